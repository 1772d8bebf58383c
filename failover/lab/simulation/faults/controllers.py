"""The controller itself: killed, frozen, two at once, its clock and its disk."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from failover.lab.simulation import trace
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.lives import Life
from failover.lab.simulation.world import World
from failover.model.journal import IntentRecorded

from .policies import follow
from .registry import NothingToBefall, fault

LIVES_MAX = 4
"""So many controllers stand over one store at most."""


@fault("controller-killed", "controller")
async def controller_killed(world: World) -> None:
    await kill_one(world)
    world.boot()


async def kill_one(world: World) -> None:
    life = world.acting
    if life is None:
        raise NothingToBefall
    await world.kill(life)


@fault("controller-killed-and-away", "controller", longest_s=40)
async def controller_killed_and_away(world: World) -> Undo:
    """Nobody restarts it for a while."""
    await kill_one(world)

    def undo() -> None:
        if not any(item.alive for item in world.lives):
            world.boot()

    return undo


@fault("controller-killed-before-an-effect", "controller", longest_s=90)
def controller_killed_before_an_effect(world: World) -> Undo:
    """The next intent is in the journal, and nothing was sent."""
    return kill_at(world, journals_an_intent)


@fault("controller-killed-after-an-effect", "controller", longest_s=90)
def controller_killed_after_an_effect(world: World) -> Undo:
    """The next change has landed, and nothing of that is in the journal."""
    return kill_at(world, lambda event: isinstance(event, trace.Applied))


def journals_an_intent(event: trace.Event) -> bool:
    return isinstance(event, trace.Journaled) and isinstance(event.entry.entry, IntentRecorded)


def stop_at(
    world: World, moment: Callable[[trace.Event], bool], then: Callable[[Life], Coroutine[Any, Any, None]]
) -> tuple[list[Life], Undo]:
    """Stop whoever does such a thing next, in just this moment, and go on with `then`. Who was stopped, and how to end it."""
    stopped: list[Life] = []

    def watch(event: trace.Event) -> None:
        life = next((item for item in world.lives if item.holder == event.holder), None)
        if not stopped and life is not None and life.clock.running.is_set() and moment(event):
            stopped.append(life)
            life.clock.running.clear()  # it goes no further in this turn of the loop
            world.chores.append(asyncio.ensure_future(then(life)))

    world.watchers.append(watch)
    return stopped, lambda: world.watchers.remove(watch)


def kill_at(world: World, moment: Callable[[trace.Event], bool]) -> Undo:
    """Kill whoever does such a thing next, in just this moment."""

    async def strike(life: Life) -> None:
        await world.kill(life)
        if not any(item.alive for item in world.lives):
            world.boot()

    return stop_at(world, moment, strike)[1]


def freeze(world: World) -> Undo | None:
    life = world.acting
    if life is None or not life.clock.running.is_set():
        return None
    life.clock.running.clear()
    world.note(trace.Lived(at=world.mono, holder=life.holder, what="frozen"))
    return lambda: thaw(world, life)


def thaw(world: World, life: Life) -> None:
    life.clock.running.set()
    world.thawed = world.mono
    world.note(trace.Lived(at=world.mono, holder=life.holder, what="thawed"))
    if (
        life.alive
        and life.controller is not None
        and life.controller.policy.generation != world.policy.generation
    ):
        # It slept through an edit, and reads its files as soon as it wakes up.
        world.chores.append(asyncio.ensure_future(follow([life], world.policy)))


def freeze_one(world: World) -> Undo:
    undo = freeze(world)
    if undo is None:
        raise NothingToBefall
    return undo


@fault("controller-frozen", "controller", longest_s=40)
def controller_frozen(world: World) -> Undo:
    return freeze_one(world)


@fault("controller-frozen-and-succeeded", "controller", longest_s=90)
def controller_frozen_and_succeeded(world: World) -> Undo:
    """Longer than its lease, while another stands by: the old one wakes up in a world that went on."""
    undo = freeze_one(world)
    world.boot()
    return undo


@fault("controller-frozen-before-it-sends", "controller", longest_s=120)
def controller_frozen_before_it_sends(world: World) -> Undo:
    """Between the journal and the request, for longer than its lease: what it sends when it wakes up is of another time."""

    async def succeed(life: Life) -> None:
        world.note(trace.Lived(at=world.mono, holder=life.holder, what="frozen"))
        world.boot()

    caught, end = stop_at(world, journals_an_intent, succeed)

    def undo() -> None:
        end()
        for life in caught:
            thaw(world, life)

    return undo


@fault("controller-frozen-for-minutes", "controller")
def controller_frozen_for_minutes(world: World) -> None:
    """For most of a minute or for ten, whatever it was about to do; nobody takes over."""
    asyncio.get_running_loop().call_later(world.random.choice((40.0, 40.0, 40.0, 600.0)), freeze_one(world))


@fault("two-controllers", "controller")
def two_controllers(world: World) -> None:
    if sum(life.alive for life in world.lives) >= LIVES_MAX:
        raise NothingToBefall
    world.boot()


@fault("one-controller-cut-off", "controller", longest_s=90)
def one_controller_cut_off(world: World) -> Undo:
    """Of two over one store, one reaches neither clusters nor names, and hears every vantage but its own; the other does."""
    while sum(life.alive for life in world.lives) < 2:
        world.boot()
    life = world.random.choice([life for life in world.lives if life.alive])
    world.say(f"cut off: {life.holder}")
    return life.unplugged.put("network")


@fault("clock-forward", "clock")
def clock_forward(world: World) -> None:
    world.clock.wall_offset += timedelta(seconds=world.random.choice((15, 3600, 90_000)))


@fault("clock-back", "clock")
def clock_back(world: World) -> None:
    world.clock.wall_offset -= timedelta(seconds=world.random.choice((15, 3600, 90_000)))


@fault("disk-full", "disk", longest_s=45)
def disk_full(world: World) -> Undo:
    return world.knobs.turn(world.disk, "trouble", "database or disk is full")


@fault("disk-io-error", "disk", longest_s=8)
def disk_io_error(world: World) -> Undo:
    return world.knobs.turn(world.disk, "trouble", "disk I/O error")


@fault("disk-fsync-error", "disk", longest_s=20)
async def disk_fsync_error(world: World) -> Undo:
    """The journal's writes fail after they were made; the process dies of something else before it can write again."""
    whole_again = world.knobs.turn(world.disk, "tearing", True)
    life = world.acting

    async def undo() -> None:
        whole_again()
        if world.disk.torn and not world.disk.tearing and life is not None and life.alive:
            await world.kill(life)
            world.boot()

    return lambda: world.chores.append(asyncio.ensure_future(undo()))


@fault("database-restored", "disk")
async def database_restored(world: World) -> None:
    """The machine dies, and somebody puts back the copy of some time ago: the newest that was taken, at least the first."""
    for life in [item for item in world.lives if item.alive]:
        await world.kill(life)
    world.put_back(world.backups[0])
    world.say("the database of some time ago is put back")
    world.boot()


@fault("backup-taken", "disk")
def backup_taken(world: World) -> None:
    world.backups[:] = [world.disk.copy()]
