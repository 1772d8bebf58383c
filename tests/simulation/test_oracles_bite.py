"""Every oracle catches the controller that breaks its invariant; an oracle that nothing breaks proves nothing."""

import pytest

from failover.lab.simulation.mutants import MUTANTS, hunt
from failover.lab.simulation.oracles import ORACLES
from failover.lab.simulation.play import play, schedule_of

CAUGHT = (
    ("unknown-is-down", "I2", 2),
    ("unknown-is-down", "I3", 2),
    ("unknown-is-down", "I4", 2),
    ("unknown-is-down", "I1", 2),
    ("stale-evidence", "I1", 4),
    ("stale-evidence", "I2", 4),
    ("stale-evidence", "I3", 4),
    ("quorum-of-those-that-answer", "I1", 14),
    ("quorum-of-those-that-answer", "I2", 14),
    ("quorum-of-those-that-answer", "I3", 14),
    ("quorum-of-those-that-answer", "I4", 14),
    ("no-dissent", "I3", 23),
    ("old-failures-convict", "I3", 13),
    ("old-failures-convict", "I4", 13),
    ("gray-is-dead", "I4", 8),
    ("control-plane-is-enough", "I4", 2),
    ("control-plane-is-enough", "I3", 2),
    ("control-plane-is-enough", "I1", 2),
    ("deaf-to-heartbeats", "I4", 6),
    ("local-faults-count", "I5", 2),
    ("local-faults-count", "I4", 2),
    ("local-faults-count", "I1", 2),
    ("no-freeze", "I6", 4),
    ("no-freeze", "I8", 4),
    ("freezes-late", "I6", 8),
    ("freeze-halts-nothing", "I6", 26),
    ("no-warm-up", "I7", 2),
    ("shrugs-it-off", "I7", 1),
    ("no-limits", "I8", 1),
    ("wall-clock-for-deadlines", "I15", 3),
    ("floor-ignored", "I9", 5),
    ("steers-unready", "I9", 5),
    ("sheds-nothing", "I9", 6),
    ("removes-before-adding", "I10", 1),
    ("removes-before-adding", "I15", 1),
    ("two-writers", "I10", 2),
    ("plans-into-the-source", "I11", 1),
    ("plans-into-an-empty-target", "I11", 1),
    ("plans-without-room", "I11", 6),
    ("widens-too-far", "I1", 1),
    ("widens-too-far", "I3", 1),
    ("widens-too-far", "I4", 1),
    ("widens-unasked", "I6", 23),
    ("waits-for-nothing", "I10", 1),
    ("loses-count", "I11", 1),
    ("says-replaced", "I11", 15),
    ("no-velocity", "I12", 5),
    ("moves-too-much", "I12", 1),
    ("delete-then-create", "I13", 1),
    ("goes-on-though-it-is-back", "I13", 9),
    ("neighbours-record", "I14", 1),
    ("plans-for-a-neighbour", "I14", 1),
    ("never-verified", "I15", 5),
    ("skips-fsync", "I16", 1),
    ("deltas", "I17", 1),
    ("takes-for-done", "I21", 6),
    ("begins-anew", "I17", 1),
    ("no-precondition", "I18", 2),
    ("replaces-anything", "I18", 2),
    ("no-read-back", "I19", 2),
    ("no-journal", "I20", 1),
    ("no-journal", "I16", 1),
    ("closes-early", "I21", 1),
    ("stays-halted", "I21", 5),
    ("forgets-the-fence", "I22", 1),
    ("says-done", "I21", 1),
    ("sends-after-the-lease", "I22", 1),
    ("leads-for-ever", "I22", 1),
    ("sends-twice", "I30", 1),
    ("pause-stops-people", "I23", 2),
    ("shows-another", "I25", 1),
    ("ignores-pause", "I23", 1),
    ("hides-overrides", "I24", 1),
    ("plans-act", "I25", 1),
    ("plans-act-unseen", "I25", 2),
    ("home-too-soon", "I26", 3),
    ("home-at-once", "I26", 1),
    ("home-unready", "I26", 1),
    ("home-without-names", "I26", 1),
    ("tidies-up", "I27", 1),
    ("ignores-doubt", "I28", 1),
    ("half-a-policy", "I29", 1),
    ("takes-in-half", "I29", 2),
    ("takes-a-broken-file", "I29", 1),
    ("tells-twice", "I30", 1),
    ("never-acts", "liveness", 1),
    ("hangs", "liveness", 1),
)
"""Mutant, invariant that it breaks, and the first seed whose oracle said so (`python -m tests.simulation.hunt`)."""
PATIENCE = 60
"""Seeds from there on that are tried: a change of the world may move the one that shows it."""


@pytest.mark.parametrize(("name", "invariant", "seed"), CAUGHT)
def test_a_broken_controller_is_caught(name: str, invariant: str, seed: int) -> None:
    (mutant,) = (one for one in MUTANTS if one.name == name)
    assert invariant in mutant.caught_by
    catch = hunt(mutant, first=seed, seeds=PATIENCE, by=invariant)
    assert catch.seed is not None, f"{mutant.about}: {invariant} did not notice"


def test_every_invariant_is_seen_to_bite_and_every_mutant_is_caught() -> None:
    invariants = {f"I{number}" for number in range(1, 31)}
    assert {oracle.invariant for oracle in ORACLES} == invariants
    assert {invariant for _, invariant, _ in CAUGHT} == invariants | {"liveness"}
    assert {name for name, _, _ in CAUGHT} == {mutant.name for mutant in MUTANTS}


def test_both_halves_of_one_acting_epoch_bite() -> None:
    """An older epoch, and what comes after its lease, are two ways to break I22."""
    said = {}
    for name, words in (("forgets-the-fence", "took epoch"), ("sends-after-the-lease", "lease ran out")):
        (mutant,) = (one for one in MUTANTS if one.name == name)
        for seed in range(1, PATIENCE):
            with mutant.alive():
                found = play(seed, schedule_of(seed, only=mutant.faults)).violations
            said[name] = any(item.invariant == "I22" and words in item.sentence for item in found)
            if said[name]:
                break
    assert said == {"forgets-the-fence": True, "sends-after-the-lease": True}


def test_a_mutant_leaves_the_shipped_code_as_it_was() -> None:
    for mutant in MUTANTS:
        before = [(owner, name, owner.__dict__.get(name)) for owner, name, _ in mutant.patches()]
        with mutant.alive():
            pass
        assert [(owner, name, owner.__dict__.get(name)) for owner, name, _ in before] == before
