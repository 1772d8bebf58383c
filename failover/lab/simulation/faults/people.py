"""People: what they say, at any moment."""

import asyncio
from collections.abc import Callable

from failover.lab.simulation import trace
from failover.lab.simulation.homecoming import bring_home
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.world import World
from failover.model.journal import RunOpened, RunState

from .clusters import REGIONS
from .registry import ender, fault

TRIES, TRY_EVERY_S = 12, 10.0


@fault("pause", "people", longest_s=40)
async def pause(world: World) -> Undo:
    await world.command("pause", reason="a test")
    return taking_back(world, "resume")


def taking_back(world: World, verb: str, **request: object) -> Undo:
    return lambda: world.chores.append(asyncio.ensure_future(until_heard(world, verb, **request)))


async def until_heard(world: World, verb: str, **request: object) -> None:
    """Whoever takes back what he said tries until a controller has taken it in."""
    for _ in range(TRIES):
        if "error" not in await world.command(verb, **request):
            return
        await world.clock.sleep(TRY_EVERY_S)


def later(world: World, verb: str, **request: object) -> None:
    world.chores.append(asyncio.ensure_future(world.command(verb, **request)))


@fault("resume", "people")
async def resume(world: World) -> None:
    await world.command("resume")


@fault("ack", "people")
async def ack(world: World) -> None:
    await world.command("ack")


@fault("abort", "people", longest_s=120)
async def abort(world: World) -> Undo | None:
    """Somebody stops what is open; where nothing is, the next move, soon after it begins."""
    life = world.acting
    after_s = world.random.uniform(0.5, 5.0)
    runs = life.controller.context.open_runs() if life is not None and life.controller is not None else ()
    for run in runs:
        await world.command("abort", run=run.id, reason="a test")
    return None if runs else answer_the_next(world, "abort", after_s, lambda opened: True)


def answer_the_next(world: World, verb: str, after_s: float, meant: Callable[[RunOpened], bool]) -> Undo:
    """What somebody says to the next run of those that are meant, so long after it was opened."""
    met: list[str] = []

    def answer(run: str) -> None:
        later(world, verb, run=run, reason="a test")

    def watch(event: trace.Event) -> None:
        if met or not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, RunOpened):
            return
        if meant(event.entry.entry):
            met.append(event.entry.run)
            asyncio.get_running_loop().call_later(after_s, answer, met[0])

    world.watchers.append(watch)
    return lambda: world.watchers.remove(watch)


@fault("cordon-region", "people", longest_s=60)
async def cordon_region(world: World) -> Undo:
    target = f"region/{world.random.choice(REGIONS)}"
    await world.command("cordon", target=target, reason="a test")
    return taking_back(world, "uncordon", target=target)


@fault("cordon-vantage", "people", longest_s=60)
async def cordon_vantage(world: World) -> Undo:
    target = f"vantage/{world.random.choice(list(world.vantages))}"
    await world.command("cordon", target=target, reason="a test")
    return taking_back(world, "uncordon", target=target)


async def start(world: World, kind: str, overrides: tuple[str, ...] = ()) -> None:
    domain = f"region/{world.random.choice(REGIONS)}"
    await world.command("start", kind=kind, domain=domain, reason="a test", overrides=list(overrides))


@fault("failback-without-patience", "people", longest_s=120)
def failback_without_patience(world: World) -> Undo:
    """Somebody asks again and again for what has moved to come home, however short a time its region has been back."""
    task = asyncio.ensure_future(bring_home(world, 600.0, on_watch=True))
    world.chores.append(task)
    return ender(task)


@fault("drain-of-the-writer", "people")
async def drain_of_the_writer(world: World) -> None:
    """A planned drain of the region where the single writer runs: the old one must be proven gone before the new one starts."""
    await world.command("start", kind="drain", domain="region/north", reason="maintenance")


@fault("evacuate-by-hand", "people")
async def evacuate(world: World) -> None:
    await start(world, "evacuation")


@fault("evacuate-with-overrides", "people")
async def evacuate_with_overrides(world: World) -> None:
    await start(world, "evacuation", ("still-serving", "serving-member", "regions-at-once", "capacity-floor"))


@fault("drain-by-hand", "people")
async def drain(world: World) -> None:
    await start(world, "drain")


@fault("failback-by-hand", "people")
async def failback(world: World) -> None:
    await start(world, "failback")


@fault("plan-only", "people")
async def plan_only(world: World) -> None:
    domain = f"region/{world.random.choice(REGIONS)}"
    await world.command("plan", kind="evacuation", domain=domain)


@fault("plan-then-start", "people")
async def plan_then_start(world: World) -> None:
    """Somebody looks at a plan, and has just that one carried out."""
    asked = {
        "kind": world.random.choice(("drain", "drain", "evacuation")),
        "domain": f"region/{world.random.choice(REGIONS)}",
    }
    shown = await world.command("plan", **asked)
    if "hash" in shown:
        await world.command("start", **asked, reason="as shown", hash=shown["hash"])


@fault("approve", "people", longest_s=120)
async def approve(world: World) -> Undo | None:
    """Somebody says yes to what waits for it; where nothing does, to the next run that will."""
    life = world.acting
    after_s = world.random.uniform(0.5, 20.0)
    runs = life.controller.context.open_runs() if life is not None and life.controller is not None else ()
    waiting = [run for run in runs if run.state is RunState.AWAITING_APPROVAL]
    for run in waiting:
        await world.command("approve", run=run.id)
    return None if waiting else answer_the_next(world, "approve", after_s, lambda opened: not opened.approved)
