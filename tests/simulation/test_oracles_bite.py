"""Every oracle catches the controller that breaks its invariant; an oracle that nothing breaks proves nothing."""

import pytest

from failover.lab.simulation.mutants import MUTANTS, Mutant, hunt
from failover.lab.simulation.oracles import ORACLES

CAUGHT_BY_SEED = {
    "unknown-is-down": 2,
    "stale-evidence": 32,
    "quorum-of-those-that-answer": 1,
    "no-dissent": 5,
    "old-failures-convict": 5,
    "control-plane-is-enough": 2,
    "deaf-to-heartbeats": 6,
    "local-faults-count": 2,
    "no-freeze": 6,
    "no-warm-up": 5,
    "wall-clock-for-deadlines": 3,
    "floor-ignored": 5,
    "removes-before-adding": 1,
    "two-writers": 2,
    "plans-into-the-source": 1,
    "no-velocity": 5,
    "delete-then-create": 1,
    "neighbours-record": 1,
    "never-verified": 2,
    "skips-fsync": 1,
    "deltas": 1,
    "no-precondition": 2,
    "no-read-back": 2,
    "no-journal": 1,
    "closes-early": 1,
    "forgets-the-fence": 11,
    "ignores-pause": 1,
    "hides-overrides": 1,
    "plans-act": 1,
    "home-too-soon": 3,
    "tidies-up": 1,
    "ignores-doubt": 1,
    "half-a-policy": 1,
    "tells-twice": 1,
}
"""The first seed that showed each mutant (`python -m tests.simulation.hunt` finds them anew)."""
PATIENCE = 60
"""Seeds from there on that are tried: a change of the world may move the one that shows it."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_broken_controller_is_caught(mutant: Mutant) -> None:
    catch = hunt(mutant, first=CAUGHT_BY_SEED[mutant.name], seeds=PATIENCE)
    assert catch.seed is not None, f"{mutant.about}: nobody noticed"
    assert catch.invariant in mutant.caught_by


def test_every_invariant_has_an_oracle_and_a_mutant_that_breaks_it() -> None:
    invariants = {f"I{number}" for number in range(1, 31)}
    assert {oracle.invariant for oracle in ORACLES} == invariants
    assert {name for mutant in MUTANTS for name in mutant.caught_by} == invariants


def test_a_mutant_leaves_the_shipped_code_as_it_was() -> None:
    for mutant in MUTANTS:
        before = [(owner, name, owner.__dict__.get(name)) for owner, name, _ in mutant.patches()]
        with mutant.alive():
            pass
        assert [(owner, name, owner.__dict__.get(name)) for owner, name, _ in before] == before
