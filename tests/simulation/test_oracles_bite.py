"""Every oracle catches the controller that breaks its invariant; an oracle that nothing breaks proves nothing."""

import pytest

from failover.lab.simulation.mutants import MUTANTS, hunt
from failover.lab.simulation.oracles import ORACLES
from failover.lab.simulation.play import play, schedule_of

CAUGHT = (
    ("unknown-is-down", "I1", 1),
    ("unknown-is-down", "I2", 1),
    ("unknown-is-down", "I3", 1),
    ("unknown-is-down", "I4", 1),
    ("stale-evidence", "I1", 4),
    ("stale-evidence", "I2", 4),
    ("stale-evidence", "I3", 4),
    ("quorum-of-those-that-answer", "I1", 3),
    ("quorum-of-those-that-answer", "I2", 3),
    ("quorum-of-those-that-answer", "I3", 3),
    ("quorum-of-those-that-answer", "I4", 14),
    ("no-dissent", "I3", 3),
    ("no-dissent", "I4", 21),
    ("old-failures-convict", "I3", 10),
    ("old-failures-convict", "I4", 12),
    ("gray-is-dead", "I4", 2),
    ("gray-is-dead", "I1", 7),
    ("gray-is-dead", "I3", 2),
    ("control-plane-is-enough", "I4", 2),
    ("control-plane-is-enough", "I3", 2),
    ("control-plane-is-enough", "I1", 2),
    ("deaf-to-heartbeats", "I4", 1),
    ("local-faults-count", "I5", 1),
    ("local-faults-count", "I1", 1),
    ("local-faults-count", "I4", 1),
    ("no-freeze", "I6", 4),
    ("no-freeze", "I8", 1),
    ("freezes-late", "I6", 7),
    ("freeze-halts-nothing", "I6", 13),
    ("shrugs-it-off", "I7", 2),
    ("no-warm-up", "I7", 2),
    ("no-limits", "I8", 1),
    ("wall-clock-for-deadlines", "I8", 1),
    ("wall-clock-for-deadlines", "I15", 3),
    ("floor-ignored", "I9", 5),
    ("floor-ignored", "I10", 1),
    ("removes-before-adding", "I10", 1),
    ("removes-before-adding", "I15", 1),
    ("removes-before-adding", "I9", 5),
    ("two-writers", "I10", 5),
    ("plans-into-the-source", "I11", 1),
    ("plans-into-an-empty-target", "I11", 1),
    ("plans-without-room", "I11", 98),
    ("widens-too-far", "I1", 1),
    ("widens-too-far", "I3", 1),
    ("widens-too-far", "I4", 1),
    ("widens-unasked", "I6", 19),
    ("counts-on-what-was", "I10", 7535),
    ("waits-for-nothing", "I10", 1),
    ("loses-count", "I11", 1),
    ("says-replaced", "I11", 6),
    ("no-velocity", "I12", 3),
    ("moves-too-much", "I12", 3),
    ("steers-unready", "I9", 5),
    ("sheds-nothing", "I9", 6),
    ("delete-then-create", "I13", 1),
    ("goes-on-though-it-is-back", "I13", 27),
    ("goes-on-though-it-is-back", "I2", 17),
    ("neighbours-record", "I14", 1),
    ("plans-for-a-neighbour", "I14", 1),
    ("never-verified", "I15", 5),
    ("skips-fsync", "I16", 1),
    ("deltas", "I17", 1),
    ("takes-for-done", "I21", 6),
    ("begins-anew", "I17", 1),
    ("no-precondition", "I18", 1),
    ("replaces-anything", "I18", 1),
    ("replaces-anything", "I30", 1),
    ("no-read-back", "I19", 1),
    ("no-journal", "I20", 1),
    ("no-journal", "I16", 1),
    ("closes-early", "I21", 1),
    ("stays-halted", "I21", 21),
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
    ("home-without-names", "I26", 2),
    ("tidies-up", "I27", 1),
    ("ignores-doubt", "I28", 1),
    ("half-a-policy", "I29", 1),
    ("takes-in-half", "I29", 1),
    ("takes-a-broken-file", "I29", 1),
    ("tells-twice", "I30", 2),
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
