"""The rules by name: what `--override RULE` takes, which invariant each keeps, and which no person may override."""

from dataclasses import dataclass

from failover.model.reasons import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One safety rule. `invariant`: its number in the design; `about`: what it keeps, for the docs and `--help`."""

    code: str
    invariant: str
    about: str
    overridable: bool = True


_TABLE = (
    Rule(
        code="lease",
        invariant="I22",
        about="only the acting leader sends, and not after its lease minus the margin",
        overridable=False,
    ),
    Rule(code="epoch", invariant="I22", about="every change carries the acting epoch", overridable=False),
    Rule(code="journal", invariant="I20", about="no journal, no action", overridable=False),
    Rule(
        code="doubt",
        invariant="I28",
        about="history is missing or at odds with the world: a person resolves it first",
        overridable=False,
    ),
    Rule(
        code="hypothetical", invariant="I25", about="a what-if plan is never carried out", overridable=False
    ),
    Rule(
        code="absolute",
        invariant="I18",
        about="changes set values and carry a precondition",
        overridable=False,
    ),
    Rule(code="never-empty", invariant="I13", about="a managed record set is never empty", overridable=False),
    Rule(
        code="own-names",
        invariant="I14",
        about="only names that the policy owns; never NS, SOA, DS",
        overridable=False,
    ),
    Rule(code="paused", invariant="I23", about="a pause stops automation", overridable=False),
    Rule(code="frozen", invariant="I6", about="too many regions look wrong at once", overridable=False),
    Rule(code="warm-up", invariant="I7", about="the detectors have not seen enough yet", overridable=False),
    Rule(
        code="not-confirmed",
        invariant="I3",
        about="a confirmed verdict by a quorum without dissent",
        overridable=False,
    ),
    Rule(code="stale-evidence", invariant="I2", about="evidence younger than the limit", overridable=False),
    Rule(code="stale-plan", invariant="I15", about="what the plan assumes still holds", overridable=False),
    Rule(code="still-serving", invariant="I4", about="a serving cluster is not evacuated"),
    Rule(code="not-serving", invariant="I10", about="a drain needs both sides alive"),
    Rule(code="others-alive", invariant="I6", about="the regions that the plan relies on are proven alive"),
    Rule(
        code="regions-at-once",
        invariant="I8",
        about="at most so many regions evacuated or steered away at once",
    ),
    Rule(
        code="rate",
        invariant="I8",
        about="at most so many automatic evacuations an hour and a day",
        overridable=False,
    ),
    Rule(code="capacity-floor", invariant="I9", about="ready capacity of the rest before traffic moves"),
    Rule(
        code="no-target",
        invariant="I11",
        about="no plan with an empty or insufficient target set",
        overridable=False,
    ),
    Rule(
        code="single-writer",
        invariant="I10",
        about="single writers are not moved by automation without a fence gate",
    ),
    Rule(
        code="add-before-remove",
        invariant="I10",
        about="replacements are ready before anything is taken away",
        overridable=False,
    ),
    Rule(
        code="serving-member",
        invariant="I13",
        about="a serving member is never removed from a record set as a side effect",
    ),
    Rule(code="velocity", invariant="I12", about="changes per second and cluster", overridable=False),
    Rule(code="control-plane", invariant="I4", about="no change in a cluster whose control plane is not up"),
    Rule(code="mode", invariant="modes", about="the application's mode lets automation act"),
    Rule(code="busy", invariant="I8", about="one run at a time for an application", overridable=False),
    Rule(code="not-stable", invariant="I26", about="failback only after stable time"),
    Rule(code="held-down", invariant="I26", about="not during a hold-down"),
)

RULES = {rule.code: rule for rule in _TABLE}


def refuse(code: str, sentence: str, *evidence: str, application: str = "") -> Refusal:
    """A refusal by a rule of the table. Raises KeyError for a rule that is not in it."""
    return Refusal(
        code=code,
        sentence=sentence,
        evidence=evidence,
        application=application,
        overridable=RULES[code].overridable,
    )


def unknown_overrides(codes: tuple[str, ...]) -> tuple[str, ...]:
    """Names that are no rule, or rules that nobody may override."""
    return tuple(code for code in codes if code not in RULES or not RULES[code].overridable)
