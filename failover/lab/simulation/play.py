"""Plays one seed: a world, a random subset of faults at random moments, then peace, and what the oracles found."""

import asyncio
import gc
import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from failover.lab.virtual import run_virtual
from failover.model.ids import StepId
from failover.model.journal import RunOpened, RunWidened, StepDone
from failover.model.verdict import VerdictKind

from . import trace
from .faults import FAULTS, Fault
from .faults.registry import NothingToBefall
from .fleet import TTL_S, Shape, shape_of
from .homecoming import answer_what_waits, ask_for_balance, bring_home, even_out
from .layers import Undo
from .liveness import check_liveness
from .oracles import ORACLES, Violation
from .oracles.base import Runs
from .world import World

LEAST_S = 300.0
"""However soon all is well, the world goes on for so long."""
A_LITTLE_S = 0.001
"""More than what additions of virtual seconds round off."""
TROUBLE_S = 170.0
"""How long faults come and go; then everything that does not last is mended."""
PEACE_S = 45.0
"""Within this time after the last fault the world must have come to rest."""
AWAKE_S = 100.0
"""A controller that slept for long needs so much: to warm up, to see, to be sure, to act."""
IMPATIENCE_S = 60.0
"""How long people try that at once, before anything is stable."""
HOMECOMING_S = 45.0
"""How long people try to fail back what has moved, before a refusal is the answer."""
LOSSES = ("region-killed", "region-silent", "cluster-killed", "cluster-silent", "datacenter-killed", "region-isolated",
    "data-plane-refused", "data-plane-500", "drain-of-the-writer")  # fmt: skip
"""One of these befalls every seed, besides its own faults: loss, recovery and failback are what it is all about."""
PATIENCE_S = 700.0
"""Longer than a step may wait for its replicas."""
CHAPTER_MAX_S = 7200.0
"""A chapter whose end is further away than this has none: somebody waits for ever."""
KINDS_MAX = 8
FAULTS_MAX = 14
OF_ITS_TURN = 5
FOR_GOOD_SHARE = 0.35
ACKS_SHARE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault of a schedule. `number` names it for shrinking; its own random numbers depend on that, its kind and `dice`
    alone, so that they stay what they are when others are left out. `dice`: the seed and the chapter that it was drawn for.
    """

    number: int
    fault: str
    at: float
    seconds: float
    lasts: bool = False
    dice: str = ""


@dataclass(slots=True)
class Result:
    """What came of one seed."""

    seed: int
    shape: str = ""
    simulated_s: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    digest: str = ""
    lines: list[str] = field(default_factory=list)
    schedule: tuple[Planned, ...] = ()
    faults: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)


def schedule_of(
    seed: int, *, only: Sequence[str] = (), trouble_s: float = TROUBLE_S, chapter: int = 0
) -> tuple[Planned, ...]:
    """Each seed switches on a random subset of kinds, each some times (swarm testing); one kind goes by turns, so that none
    is left to chance. `chapter`: of a story that goes on for longer, each with faults of its own.
    """
    dice = random.Random(f"schedule/{seed}" + (f"/{chapter}" if chapter else ""))  # noqa: S311 - reproducible, not secret
    names = sorted(FAULTS)
    turn = [] if only else [names[(seed + chapter) % len(names)]] * OF_ITS_TURN
    kinds = sorted(only) if only else dice.sample(names, dice.randint(1, KINDS_MAX))
    found: list[Planned] = [] if only else [_loss(dice)]
    lasting = any(item.lasts for item in found)
    for number in range(len(turn) + dice.randint(2, FAULTS_MAX - OF_ITS_TURN)):
        kind = FAULTS[turn[number] if number < len(turn) else dice.choice(kinds)]
        at = dice.uniform(25.0, 25.0 + trouble_s * 0.85)
        lasts = kind.lasting and not lasting and dice.random() < 0.25
        lasting = lasting or lasts
        found.append(
            Planned(
                number=number,
                fault=kind.name,
                at=at,
                seconds=dice.uniform(min(3.0, kind.longest_s), kind.longest_s),
                lasts=lasts,
            )
        )
    return tuple(
        sorted((replace(item, dice=f"{seed}/{chapter}") for item in found), key=lambda item: item.at)
    )


def _loss(dice: random.Random) -> Planned:
    """What is lost comes back and is failed back, or stays away, and what ran there must run elsewhere."""
    kind = FAULTS[dice.choice(LOSSES)]
    return Planned(
        number=FAULTS_MAX,
        fault=kind.name,
        at=dice.uniform(28.0, 80.0),
        seconds=dice.uniform(45.0, 100.0),
        lasts=kind.lasting and dice.random() < FOR_GOOD_SHARE,
    )


def play(
    seed: int,
    schedule: Sequence[Planned] | None = None,
    *,
    trouble_s: float = TROUBLE_S,
    least_s: float = LEAST_S,
    only: Sequence[str] = (),
    shape: Shape | None = None,
    tell: bool = False,
) -> Result:
    """One seed, in virtual time. The same seed, schedule and fleet (`shape`: the seed's own) give the same log, byte by byte.

    `least_s`: a world that is to last longer goes through a chapter of faults after the other (`only` of these kinds).
    """
    planned = tuple(schedule) if schedule is not None else schedule_of(seed, trouble_s=trouble_s)
    shape = shape or shape_of(seed)
    result = Result(seed=seed, shape=shape.name, schedule=planned)
    collecting = gc.isenabled()
    gc.disable()
    try:
        run_virtual(_story(result, shape, trouble_s, least_s, only))
    finally:
        if collecting:
            gc.enable()
    result.digest = hashlib.sha256("\n".join(result.lines).encode()).hexdigest()
    if not tell:
        result.lines = []
    return result


async def _story(result: Result, shape: Shape, trouble_s: float, least_s: float, only: Sequence[str]) -> None:
    world = World(result.seed, shape)
    runs = Runs()
    oracles = [kind(world, runs) for kind in ORACLES]
    counts = Counts(result)
    world.hearers = [runs.ears.hear]
    world.watchers = [runs.see, counts.see, *(oracle.see for oracle in oracles)]
    world.boot()
    world.start_vantages()
    await until_calm(world)
    world.backups[:] = [world.disk.copy()]
    lasting = await _chapter(world, result, result.schedule, since=0.0, trouble_s=trouble_s)
    chapter = 0
    while world.mono < least_s - 1.0:
        chapter += 1
        result.violations += check_liveness(world)
        for planned, undo in lasting:
            _end(world, planned, undo)
        schedule = schedule_of(result.seed, only=only, trouble_s=trouble_s, chapter=chapter)
        lasting = await _chapter(world, result, schedule, since=world.mono, trouble_s=trouble_s)
    found = check_liveness(world)
    for oracle in oracles:
        oracle.finish()
        result.violations += oracle.found
        result.checks[oracle.label()] += oracle.checked
    result.violations += found
    counts.finish(world)
    result.simulated_s = world.mono
    await world.stop()
    for chore in world.chores:
        chore.cancel()
    result.lines = world.lines


async def _chapter(
    world: World, result: Result, schedule: Sequence[Planned], *, since: float, trouble_s: float
) -> list[tuple[Planned, Undo]]:
    """Trouble, peace, and people who fail back; returns what lasts."""
    lasting: list[tuple[Planned, Undo]] = []
    try:
        async with asyncio.timeout(trouble_s + CHAPTER_MAX_S):
            lasting = await _trouble(world, result, schedule, since=since, trouble_s=trouble_s)
            await _mend(world, acks=random.Random(f"ack/{result.seed}/{since}").random() < ACKS_SHARE)  # noqa: S311 - reproducible, not secret
            await ask_for_balance(world, random.Random(f"balance/{result.seed}/{since}"))  # noqa: S311 - reproducible, not secret
            await bring_home(world, IMPATIENCE_S)
            await come_to_rest(world)
            await bring_home(world, HOMECOMING_S)
            await even_out(world, random.Random(f"even/{result.seed}/{since}"))  # noqa: S311 - reproducible, not secret
            await come_to_rest(world, max(PEACE_S / 10, since + LEAST_S + A_LITTLE_S - world.mono))
    except TimeoutError:
        result.violations.append(
            Violation(
                invariant="liveness", at=world.mono, sentence="this story has no end: somebody waits for ever"
            )
        )
    return lasting


async def until_calm(world: World) -> None:
    """Until the first controller acts on a healthy fleet that it has looked into."""
    for _ in range(400):
        await world.clock.sleep(0.1)
        life = world.acting
        controller = life.controller if life is not None else None
        if controller is None or controller.context.judgement.warm_up is not None:
            continue
        healthy = all(one.kind is VerdictKind.HEALTHY for one in controller.context.judgement.verdicts)
        if healthy and controller.acting and len(controller.context.world.inventories) == len(world.clusters):
            return
    raise RuntimeError("the fleet did not become healthy")


async def _trouble(
    world: World, result: Result, schedule: Sequence[Planned], *, since: float, trouble_s: float
) -> list[tuple[Planned, Undo]]:
    """Play the schedule, whose moments count from `since`; returns what lasts, and is still on at its end."""
    pending: list[tuple[float, Planned, Undo]] = []
    lasting: list[tuple[Planned, Undo]] = []
    moments = sorted(schedule, key=lambda item: item.at)
    end = since + 25.0 + trouble_s
    while moments or pending:
        due = min([since + item.at for item in moments[:1]] + [item[0] for item in pending])
        if due > end:
            break
        await world.clock.sleep(max(0.0, due - world.mono))
        if moments and since + moments[0].at <= due:
            planned = moments.pop(0)
            try:
                undo = await _begin(world, planned)
            except NothingToBefall:
                world.note(trace.Broke(at=world.mono, fault=planned.fault, on=False))
                continue
            result.faults[planned.fault] += 1
            if undo is not None and planned.lasts:
                lasting.append((planned, undo))
            elif undo is not None:
                pending.append((due + planned.seconds, planned, undo))
            continue
        for item in [one for one in pending if one[0] <= due]:
            pending.remove(item)
            _end(world, item[1], item[2])
    await world.clock.sleep(max(0.0, end - world.mono))
    for _, planned, undo in pending:
        _end(world, planned, undo)
    return lasting


async def _begin(world: World, planned: Planned) -> Undo | None:
    fault: Fault = FAULTS[planned.fault]
    state = world.random.getstate()
    world.random.seed(
        f"fault/{planned.number}/{planned.fault}" + (f"/{planned.dice}" if planned.dice else "")
    )
    try:
        world.say(f"fault {planned.fault}")
        world.note(trace.Broke(at=world.mono, fault=planned.fault, on=True))
        undo = fault.begin(world)
        if asyncio.iscoroutine(undo):
            undo = await undo
    finally:
        world.random.setstate(state)
    return undo  # type: ignore[return-value]


def _end(world: World, planned: Planned, undo: Undo) -> None:
    world.say(f"mended {planned.fault}")
    world.note(trace.Broke(at=world.mono, fault=planned.fault, on=False))
    undo()


async def _mend(world: World, *, acks: bool) -> None:
    """A controller lives, people have taken back what they said; what lasts stays. Not everybody releases what is held down."""
    if not any(life.alive for life in world.lives):
        world.boot()
    for _ in range(30):
        answer = await world.command("resume")
        if "error" not in answer:
            break
        await world.clock.sleep(1.0)
    if acks:
        await world.command("ack")


async def come_to_rest(world: World, peace_s: float = PEACE_S) -> None:
    """Let what goes on come to its end: also for a controller that slept through all of it, and in clients' caches."""
    began = world.mono
    await world.clock.sleep(peace_s)
    await answer_what_waits(world)
    while world.mono - began < PATIENCE_S:
        life = world.acting
        controller = life.controller if life is not None else None
        settled = world.mono - world.thawed >= AWAKE_S and world.mono - world.names_changed >= TTL_S
        if settled and controller is not None and controller.acting and not controller.context.open_runs():
            return
        await world.clock.sleep(1.0)


class Counts:
    """What was met, for the coverage at the end."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._steps: dict[tuple[str, StepId], str] = {}
        """The kind of each step of each run."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Said):
            self._result.refusals.update(set(event.refused))
        if not isinstance(event, trace.Journaled):
            return
        entry = event.entry.entry
        if isinstance(entry, RunOpened):
            self._result.runs[entry.plan.run_kind.value] += 1
        if isinstance(entry, RunOpened | RunWidened):
            kind = entry.plan.run_kind.value
            self._steps |= {(event.entry.run, step.id): f"{kind}/{step.kind}" for step in entry.plan.steps}
        elif isinstance(entry, StepDone):
            self._result.steps[self._steps[event.entry.run, entry.step]] += 1
        elif entry.kind in ("run-halted", "step-failed"):
            self._result.refusals[
                (entry.refusal).code  # type: ignore[union-attr]
            ] += 1

    def finish(self, world: World) -> None:
        for line in world.lines:
            words = line.split(" ")
            if "verdict.changed" in words:
                self._result.verdicts[line.split(" is ", 1)[1].split(":", 1)[0]] += 1
            elif "guard.refused" in words:
                self._result.refusals[line.split(": ", 2)[1]] += 1
