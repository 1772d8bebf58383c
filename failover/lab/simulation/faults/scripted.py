"""Kinds that tell one story: scenarios name them, and no seed draws them (or every seed would play another world)."""

from collections.abc import Callable

from failover.lab.simulation import trace
from failover.lab.simulation.fleet import ZONE
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.world import World
from failover.lab.twins.store import StoreDisk
from failover.model.journal import IntentRecorded, RecordsChange
from failover.model.records import ZoneChange

from .clusters import REGIONS
from .controllers import freeze
from .policies import BLANK_POLICY, leave_out, push
from .registry import Begin, Fault, all_of

SCRIPTED: dict[str, Fault] = {}


def scripted(name: str, area: str) -> Callable[[Begin], Begin]:
    """Enter a function into the table of scenarios alone."""

    def entered(begin: Begin) -> Begin:
        if name in SCRIPTED:
            raise ValueError(f"there are two scripted faults called {name}")
        SCRIPTED[name] = Fault(name=name, area=area, begin=begin)
        return begin

    return entered


# -- names -----------------------------------------------------------------------------------------------------------------


@scripted("dns-provider-gone", "dns")
def dns_provider_gone(world: World) -> Undo:
    """Every name server of the zone is silent, to us and to resolvers."""
    return _all_silent(world)


def _all_silent(world: World) -> Undo:
    servers = world.zones[ZONE].servers
    return all_of(*(world.knobs.turn(server.faults, "silent", True) for server in servers))


@scripted("dns-provider-gone-at-next-change", "dns")
def dns_provider_gone_at_next_change(world: World) -> Undo:
    """The same, from the moment on at which a controller has written down that it will change names."""
    undos: list[Undo] = []

    def begin(holder: str) -> None:
        world.say(f"the provider is gone before {holder} sends")
        undos.append(_all_silent(world))

    return all_of(_at_next_dns_intent(world, begin), lambda: all_of(*undos)())


@scripted("next-update-held-back", "dns")
def next_update_held_back(world: World) -> Undo:
    """The next update of the zone is lost from sight on its way; it arrives when this ends, at whatever stands there then."""
    zone = world.zones[ZONE]
    taken: list[ZoneChange] = []

    def take(change: ZoneChange) -> str:
        del zone.apply
        world.say(f"an update of {change.application} is held back on its way")
        taken.append(change)
        return ""

    def arrive() -> None:
        if not taken:
            del zone.apply
            return
        different = zone.apply(taken[0])
        world.say(
            f"the update that was held back arrives and is {f'refused: not as it was: {different}' if different else 'applied'}"
        )

    zone.apply = take  # type: ignore[method-assign]
    return arrive


@scripted("controller-frozen-at-its-next-dns-change", "controller")
def frozen_at_its_next_dns_change(world: World) -> Undo:
    """It is stopped between the intent and the message, while another controller stands by; it wakes when this ends."""
    thaws: list[Undo] = []

    def begin(holder: str) -> None:
        thaw = freeze(world)
        if thaw is not None:
            thaws.append(thaw)
            world.say(f"{holder} is frozen before it sends")

    return all_of(_at_next_dns_intent(world, begin), lambda: all_of(*thaws)())


def _at_next_dns_intent(world: World, begin: Callable[[str], None]) -> Undo:
    """Once, when a change of names has been journaled and not yet sent."""
    begun: list[str] = []

    def watch(event: trace.Event) -> None:
        if begun or not isinstance(event, trace.Journaled):
            return
        entry = event.entry.entry
        if isinstance(entry, IntentRecorded) and isinstance(entry.intent.change, RecordsChange):
            begun.append(event.holder)
            begin(event.holder)

    world.watchers.append(watch)
    return lambda: world.watchers.remove(watch)


# -- what a controller is told, and what it remembers ------------------------------------------------------------------------


@scripted("policy-blank", "people")
async def policy_blank(world: World) -> Undo:
    """A file whose fields are empty is pushed everywhere; whatever the shipped loader makes of it reaches every controller."""
    return await push(world, BLANK_POLICY)


@scripted("policy-without-a-region", "people")
async def policy_without_a_region(world: World) -> Undo:
    """A valid file in which a region is missing, in force in every controller at once."""
    region = world.random.choice(REGIONS)
    entries = world.written.fleet.clusters
    return await leave_out(world, [entry.name for entry in entries if entry.region == region])


@scripted("state-lost", "disk")
async def state_lost(world: World) -> None:
    """The machine and its disk are gone; a controller is started elsewhere, with an empty state directory."""
    for life in [item for item in world.lives if item.alive]:
        await world.kill(life)
    world.put_back(StoreDisk(install_id="twin-anew"))
    world.say("the state directory is gone; a new one is begun")
    world.boot()
