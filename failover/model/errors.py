"""The one error tree. Adapters translate their SDK's errors into it; nothing above them sees an SDK's.

FailoverError
├── PolicyError                 a policy file is wrong (carries Problems with file:line:column)
├── UsageError                  a command's arguments are wrong (exit 64)
├── Refused                     a guard said no (carries Refusals; exit 4)
├── StoreError
│   ├── StoreUnavailable        locked, full, read-only, broken: no journal, no action (I20)
│   ├── StoreDoubt              missing, truncated, restored, newer: a person decides (I28)
│   └── StaleEpoch              another leader holds a newer epoch; stop acting (I22)
├── NotLeader                   somebody else acts; carries who
└── TargetError                 something outside answered, or did not
    ├── LocalFault              our fault: name, certificate, token, 401, 403, exec plugin (never counts as down)
    ├── Throttled               429 or the provider's word for it; carries retry_after_s
    ├── Conflict                the precondition did not hold: re-read and decide again (409, NXRRSET)
    ├── FencedOff               the resource refuses our epoch: a newer leader has been there
    ├── NotFound                the object does not exist
    ├── Rejected                the target understood and refuses for good (422, REFUSED, NOTAUTH)
    ├── Unavailable             5xx, refused, reset: nothing was changed as far as the protocol tells
    └── OutcomeUnknown          sent, no answer: may have been applied; read back (I19)
"""

from collections.abc import Iterable

from failover.model.reasons import Problem, Refusal


class FailoverError(Exception):
    """Root of every error that this project raises on purpose. `str()` is a sentence for a person."""


class PolicyError(FailoverError):
    """All problems of all policy files, found in one go."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(FailoverError):
    """A command cannot mean anything as it was written."""


class Refused(FailoverError):
    """A guard refused; every reason is carried."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("; ".join(f"{refusal.code}: {refusal.sentence}" for refusal in self.refusals))


class StoreError(FailoverError):
    """Root of what the store can say."""


class StoreUnavailable(StoreError):
    """The store cannot be written now: automation stops (I20)."""


class StoreDoubt(StoreError):
    """The store's history is missing, older than the world, newer than this program, or damaged (I28)."""


class StaleEpoch(StoreError):
    """An append carried an epoch that is not the acting one."""


class NotLeader(FailoverError):
    """Another holder acts. `holder` is who, for the sentence."""

    def __init__(self, sentence: str, *, holder: str) -> None:
        self.holder = holder
        super().__init__(sentence)


class TargetError(FailoverError):
    """Root of what a cluster or a DNS provider can answer. `target` is its name."""

    def __init__(self, sentence: str, *, target: str = "") -> None:
        self.target = target
        super().__init__(sentence)


class LocalFault(TargetError):
    """We are at fault (credentials, certificate, name, plugin): never evidence that the target is down (I5)."""


class Throttled(TargetError):
    """The target asks for patience. `retry_after_s` is its wish in seconds, or None.

    `account`: what is used up belongs to the whole account; False: this target alone is busy, and others may be asked.
    """

    def __init__(
        self, sentence: str, *, target: str = "", retry_after_s: float | None = None, account: bool = True
    ) -> None:
        self.retry_after_s = retry_after_s
        self.account = account
        super().__init__(sentence, target=target)


class Conflict(TargetError):
    """The precondition of a change did not hold; nothing was changed."""


class FencedOff(TargetError):
    """The resource's fence refuses our epoch: somebody newer acts. Stop at once."""


class NotFound(TargetError):
    """The object does not exist at the target."""


class Rejected(TargetError):
    """The target refuses this change for good; retrying cannot help."""


class Unavailable(TargetError):
    """The target could not be reached or failed before it changed anything."""


class OutcomeUnknown(TargetError):
    """A change was sent and no trustworthy answer came: only a read-back can tell (I19)."""
