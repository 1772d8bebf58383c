"""Why a run that is not over may stand: what the journal says of it, and whether that still holds in the world."""

from collections.abc import Sequence
from dataclasses import dataclass

from failover.lab.simulation.world import World
from failover.model.ids import ClusterName
from failover.model.journal import (
    AbortRequested,
    JournalEntry,
    PersonSaid,
    RunApproved,
    RunHalted,
    RunOpened,
    RunResumed,
    RunWidened,
)
from failover.model.plan import Plan

from .base import UNPLANNED, correlated_limit

ANSWERED = ("doubt", "epoch")
"""Halts that a person ends: somebody has looked, says `resume`, and then of each such run `resume-run` or `abort`."""


@dataclass(slots=True)
class Standing:
    """A run as the journal leaves it. `said`: what stands there since it was halted."""

    plan: Plan
    approved: bool
    halted: str = ""
    said: Sequence[JournalEntry] = ()


def stands_for_a_reason(world: World, run: str) -> bool:
    """Whether it waits for a person, or is halted by what holds still. One that is not in the journal any more, since that was
    restored or lost its end, nobody can know of.
    """
    found = _standing(world.disk.journal, run)
    if found is None or not found.approved:
        return True
    if found.halted in ANSWERED:
        return not any(_said(line, "resume") for line in found.said)
    return bool(found.halted) and _holds_back(world, found.plan)


def _standing(journal: Sequence[JournalEntry], run: str) -> Standing | None:
    found: Standing | None = None
    for place, line in enumerate(journal):
        entry = line.entry
        if line.run != run:
            continue
        if isinstance(entry, RunOpened):
            found = Standing(plan=entry.plan, approved=entry.approved)
        elif found is None:
            continue
        elif isinstance(entry, RunWidened):
            found.plan = entry.plan
        elif isinstance(entry, RunHalted):
            found.halted, found.said = entry.refusal.code, journal[place:]
        elif isinstance(entry, RunApproved | RunResumed | AbortRequested):
            found.approved, found.halted = True, ""
    return found


def _holds_back(world: World, plan: Plan) -> bool:
    """A pause, a store that takes nothing, too few who look, too many regions that are gone, or a source of which nobody can
    say that it serves again. Any of them may have taken the place of the one that the run was halted by.
    """
    said = [line for line in world.disk.journal if _said(line, "pause", "resume")]
    paused = bool(said) and _said(said[-1], "pause")
    looking = sum(not state.faults for state in world.vantages.values())
    gone = {world.region_of(name) for name in world.clusters if not world.serves(name)}
    return bool(
        paused
        or world.disk.trouble
        or looking <= len(world.vantages) // 2
        or len(gone) > correlated_limit(world)
        or (plan.run_kind in UNPLANNED and any(_in_doubt(world, plan, name) for name in plan.sources))
    )


def _in_doubt(world: World, plan: Plan, cluster: ClusterName) -> bool:
    """Whether a source is gone, partly or for an application of the plan, unseen, or in no policy any more."""
    named = {entry.name for entry in world.policy.fleet.clusters}
    concerned = ("", *(part.application for part in plan.applications if part.left_out is None))
    served = all(world.serves(cluster, application) for application in concerned)
    return cluster not in named or not served or world.is_gray(cluster) or bool(world.blind_vantages(cluster))


def _said(line: JournalEntry, *verbs: str) -> bool:
    return isinstance(line.entry, PersonSaid) and line.entry.verb in verbs
