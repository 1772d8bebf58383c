"""What many seeds must have met, or they prove little: every kind of fault, every verdict, every refusal, every step.

The marks hold for a thousand seeds. What only a defect of ours could meet is named with the reason.
"""

from collections.abc import Iterator, Mapping

from failover.execution.rules import RULES
from failover.model.verdict import VerdictKind

from .faults import FAULTS
from .oracles import ORACLES

SEEDS = 1000
FAULTS_MARK = 50
MARK = 20
STEPS = {
    "evacuation": ("scale", "wait-ready", "change-records"),
    "steering": ("scale", "wait-ready", "change-records"),
    "drain": ("scale", "wait-ready", "change-records", "wait", "prove-gone"),
    "failback": ("scale", "wait-ready", "change-records", "wait", "prove-gone"),
    "rebalance": ("scale", "wait-ready"),
}
"""The steps that each kind of run may have: how often each was done."""
FIRST_ELSEWHERE = {
    "lease": "who has lost the lease stops before it asks the guard",
    "epoch": "the same",
    "hypothetical": "what-if plans have no run",
    "no-evidence": "every run carries what it was opened for",
    "quorum": "counts again what the detector has counted",
    "halted": "a run that is halted sends nothing to ask about",
    "aborted": "the same for one that is being aborted",
    "velocity": "the sender paces itself by the same figure",
    "share-per-step": "the planner cuts its steps by the same figure",
    "absolute": "changes are composed with a precondition",
    "shed": "the planner takes only what may be given up, and grows into it",
    "order": "the step machine offers only what may go",
    "add-before-remove": "the same",
    "control-plane": "the planner takes no such cluster for a target",
    "never-empty": "the planner leaves such a name out",
    "own-names": "policies are checked when they are loaded",
    "unknown-endpoint": "the same",
    "dead-endpoint": "the planner publishes what serves",
    "serving-member": "the planner removes what it moves away from",
}
"""Rules that ask once more what somebody before them has seen to: only a defect of ours would meet them. The mutants and the
rules' own tests do.
"""
RARE = {
    "held-down": "a region that flaps must be asked home after it has been stable for long enough and before it is let go",
    "journal": "the store must fail within the second of a decision",
    "stale-evidence": "a quorum must fall silent between a verdict and its first change",
}
"""Rules that are met, but not twenty times in a thousand seeds."""


def below_the_mark(
    faults: Mapping[str, int],
    verdicts: Mapping[str, int],
    refusals: Mapping[str, int],
    steps: Mapping[str, int],
    checks: Mapping[str, int],
) -> Iterator[str]:
    """What a thousand seeds met too seldom, each with how often."""
    yield from _missing("fault", FAULTS, faults, FAULTS_MARK)
    yield from _missing("verdict", (kind.value for kind in VerdictKind), verdicts, MARK)
    codes = (code for code in RULES if code not in FIRST_ELSEWHERE and code not in RARE)
    yield from _missing("refusal", codes, refusals, MARK)
    yield from _missing("refusal", RARE, refusals, 1)
    yield from _missing("oracle", (one.label() for one in ORACLES), checks, MARK)
    wanted = (f"{run}/{step}" for run, kinds in STEPS.items() for step in kinds)
    yield from _missing("step", wanted, steps, MARK)


def _missing(
    what: str, wanted: Iterator[str] | Mapping[str, object], met: Mapping[str, int], mark: int
) -> Iterator[str]:
    for name in wanted:
        if met.get(name, 0) < mark:
            yield f"{what} {name}: {met.get(name, 0)} of {mark}"
