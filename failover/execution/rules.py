"""The rules by name: what `--override RULE` takes, which invariant each keeps, and which no person may override."""

from dataclasses import dataclass
from enum import StrEnum

from failover.model.reasons import Refusal


class Firmness(StrEnum):
    """Who may act against a rule: nobody, or a person who names it. Automation never may."""

    FIRM = "firm"
    BY_NAME = "by-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One safety rule. `invariant`: its number in the design; `about`: what it keeps, for the docs and `--help`."""

    code: str
    invariant: str
    about: str
    firmness: Firmness

    @property
    def overridable(self) -> bool:
        return self.firmness is Firmness.BY_NAME


FIRM, BY_NAME = Firmness.FIRM, Firmness.BY_NAME

_TABLE: tuple[tuple[str, str, Firmness, str], ...] = (
    # who acts, and on what ground
    ("lease", "I22", FIRM, "only the acting leader sends, and not after its lease minus the margin"),
    ("epoch", "I22", FIRM, "every change carries the acting epoch"),
    ("journal", "I20", FIRM, "no journal, no action"),
    ("doubt", "I28", FIRM, "history is missing or at odds with the world: a person resolves it first"),
    ("hypothetical", "I25", FIRM, "a what-if plan is never carried out"),
    ("off-plan", "I25", FIRM, "a change is one that the run's plan holds, and nothing else"),
    ("stale-plan", "I15", FIRM, "what the plan assumes still holds"),
    ("no-evidence", "I2", FIRM, "every change cites observations, or the person who asked for it"),
    # what holds automation back; a person is not asked
    ("paused", "I23", FIRM, "a pause stops automation"),
    ("frozen", "I6", FIRM, "too many regions look wrong at once"),
    ("warm-up", "I7", FIRM, "the detectors have not seen enough yet"),
    ("not-confirmed", "I3", FIRM, "a confirmed verdict, of the kind that the run needs"),
    ("quorum", "I3", FIRM, "a quorum of configured vantages, and no outside vantage that says up"),
    ("stale-evidence", "I2", FIRM, "evidence younger than the limit"),
    ("rate", "I8", FIRM, "at most so many automatic evacuations and steerings an hour and a day"),
    ("retry-later", "I8", FIRM, "after a run that failed, automation waits longer each time"),
    ("mode", "modes", FIRM, "the application's mode lets automation act"),
    # how much at once
    ("regions-at-once", "I8", BY_NAME, "at most so many regions evacuated or steered away at once"),
    ("halted", "I23", FIRM, "a run that is halted, or waits for approval, sends nothing"),
    ("aborted", "I21", FIRM, "a run that is being aborted begins nothing new"),
    ("busy", "I21", FIRM, "one run at a time for an application"),
    ("velocity", "I12", FIRM, "changes per second and target"),
    ("share-per-step", "I12", BY_NAME, "share of a workload's replicas in the fleet that one change may move"),
    # whether it helps
    ("still-serving", "I4", BY_NAME, "a serving cluster is not evacuated"),
    ("not-serving", "I10", BY_NAME, "a drain needs both sides alive"),
    ("incident", "I6", BY_NAME, "nothing is rebalanced while something no longer serves, or is still away"),
    ("others-alive", "I6", BY_NAME, "the regions that the plan relies on are proven alive"),
    ("capacity-floor", "I9", BY_NAME, "ready capacity of the rest before traffic moves"),
    ("shed", "I9", FIRM, "only a later tier gives up replicas, for growth of the plan, where the policy says shed"),
    ("no-target", "I11", FIRM, "no plan with an empty or insufficient target set"),
    ("not-stable", "I26", BY_NAME, "failback only after stable time"),
    ("held-down", "I26", BY_NAME, "not during a hold-down"),
    ("moved-on", "I26", FIRM, "what was moved twice goes home in the opposite order"),
    # single changes of replicas
    ("absolute", "I18", FIRM, "changes set values and carry a precondition"),
    ("order", "I10", FIRM, "the steps that a step needs are done before it"),
    ("add-before-remove", "I10", FIRM, "replacements are ready before anything is taken away"),
    ("single-writer", "I10", BY_NAME, "single writers are not moved by automation without a fence gate"),
    ("control-plane", "I4", BY_NAME, "no change in a cluster whose control plane is not up"),
    # single changes of record sets
    ("never-empty", "I13", FIRM, "a managed record set is never empty"),
    ("own-names", "I14", FIRM, "only names that the policy owns; never NS, SOA, DS, never the apex as CNAME"),
    ("unknown-endpoint", "I14", FIRM, "only endpoints of the fleet are published"),
    ("dead-endpoint", "I13", BY_NAME, "nothing is published that no longer serves"),
    ("serving-member", "I13", BY_NAME, "a serving member is never removed from a record set as a side effect"),
)  # fmt: skip

RULES = {
    code: Rule(code=code, invariant=invariant, about=about, firmness=firmness)
    for code, invariant, firmness, about in _TABLE
}


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
