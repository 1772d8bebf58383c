"""Plays a scripted scenario in the simulated world, with every oracle watching."""

import asyncio
import gc
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from failover.lab.scenario import ScenarioError
from failover.lab.virtual import run_virtual
from failover.model.policy import Policy, Timing

from . import trace
from .aim import Aimed
from .expecting import Ledger, failures
from .layers import Undo
from .liveness import check_liveness
from .oracles import ORACLES, Violation
from .oracles.base import Runs
from .play import come_to_rest, until_calm
from .script import KINDS, Expect, Moment, Script, Settings
from .world import World


@dataclass(slots=True)
class Staged:
    """What came of a scenario. `violations`: by the oracles; `unmet`: (seconds into the story, what did not hold).

    `looks`: how often expectations were looked at; `checks`: how often oracles checked something.
    """

    unmet: list[tuple[float, str]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    simulated_s: float = 0.0
    looks: int = 0
    checks: int = 0
    digest: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.unmet and not self.violations


Look = Callable[[Expect, World, Ledger], None]
"""Called at each look, with what is expected and where it must hold."""


def stage(script: Script, *, beside: Look | None = None) -> Staged:
    """Play it, in virtual time. The same scenario gives the same log. Raises ScenarioError: it means what cannot be done."""
    found = Staged()
    collecting = gc.isenabled()
    gc.disable()
    try:
        run_virtual(_story(script, found, beside))
    finally:
        if collecting:
            gc.enable()
    found.digest = hashlib.sha256("\n".join(found.lines).encode()).hexdigest()
    return found


def settled(policy: Policy, settings: Settings) -> Policy:
    """The simulated fleet's policy with what the scenario fixes: nothing of it is left to the seed."""
    shop = replace(
        policy.applications[0], mode=settings.mode, floor=settings.floor, on_shortage=settings.on_shortage
    )
    timing = policy.fleet.timing if settings.timing == "simulation" else Timing()
    return replace(
        policy,
        fleet=replace(policy.fleet, timing=timing),
        applications=(shop, *policy.applications[1:]),
        guards=replace(
            policy.guards, per_hour=settings.per_hour, per_day=settings.per_day, changes_per_second=100.0
        ),
    )


async def _story(script: Script, found: Staged, beside: Look | None) -> None:
    world = World(script.seed)
    world.written = settled(world.policy, script.policy)
    world.put_in_force(world.written)
    runs, ledger = Runs(), Ledger()
    oracles = [kind(world, runs) for kind in ORACLES]
    world.hearers = [runs.ears.hear]
    world.watchers = [runs.see, ledger.see, *(oracle.see for oracle in oracles)]
    world.boot()
    world.start_vantages()
    await until_calm(world)
    telling = _Stage(world, ledger, found, beside)
    try:
        await telling.play(script)
        await come_to_rest(world, script.rest)
        telling.look(Moment(at=telling.second, expect=script.expect))
        found.violations += check_liveness(world)
        # Before the controllers are stopped: what stands is judged while somebody acts.
        for oracle in oracles:
            oracle.finish()
    finally:
        found.simulated_s, found.lines = world.mono, world.lines
        await world.stop()
        for chore in world.chores:
            chore.cancel()
    for oracle in oracles:
        found.violations += oracle.found
        found.checks += oracle.checked


class _Stage:
    """The moments of one scenario, in their order; of two at one second the one that is written first."""

    def __init__(self, world: World, ledger: Ledger, found: Staged, beside: Look | None) -> None:
        self._world, self._ledger, self._found, self._beside = world, ledger, found, beside
        self._began = world.mono
        world.say("the story begins: its seconds are counted from here")
        self._ends: list[tuple[float, str, Undo]] = []

    @property
    def second(self) -> float:
        return self._world.mono - self._began

    async def play(self, script: Script) -> None:
        for moment in sorted(script.timeline, key=lambda item: item.at):
            await self._until(moment.at)
            if moment.fault is not None:
                await self._break(moment, moment.fault)
            elif moment.command is not None:
                await self._world.command(**moment.command)
            else:
                self.look(moment)
        await self._until(max((end for end, _, _ in self._ends), default=self.second))

    def look(self, moment: Moment) -> None:
        """Whether what is expected at this moment holds."""
        assert moment.expect is not None
        self._found.looks += 1
        if self._beside is not None:
            self._beside(moment.expect, self._world, self._ledger)
        self._found.unmet += [
            (round(self.second, 1), sentence)
            for sentence in failures(moment.expect, self._world, self._ledger)
        ]

    async def _until(self, second: float) -> None:
        """Let time pass, and faults end."""
        while due := sorted((item for item in self._ends if item[0] <= second), key=lambda item: item[0]):
            end, name, undo = due[0]
            self._ends.remove(due[0])
            await self._world.clock.sleep(max(0.0, end - self.second))
            self._world.say(f"mended {name}")
            self._world.note(trace.Broke(at=self._world.mono, fault=name, on=False))
            undo()
        await self._world.clock.sleep(max(0.0, second - self.second))

    async def _break(self, moment: Moment, name: str) -> None:
        world, dice = self._world, self._world.random
        aimed = Aimed(random.Random(f"{name}/{moment.at}"), moment.of)  # noqa: S311 - reproducible, not secret
        world.say(f"fault {name} {' '.join(moment.of)}".rstrip())
        world.note(trace.Broke(at=world.mono, fault=name, on=True))
        world.random = aimed
        try:
            undo = KINDS[name].begin(world)
            if asyncio.iscoroutine(undo):
                undo = await undo
        finally:
            world.random = dice
        if aimed.missed:
            raise ScenarioError(f"the fault {name} has no {', '.join(aimed.missed)} to choose")
        if moment.lasts is None:
            return
        if undo is None:
            raise ScenarioError(f"the fault {name} happens at once and lasts for no time; leave out `lasts`")
        self._ends.append((self.second + moment.lasts, name, cast(Undo, undo)))
