"""Name servers and the zone."""

from collections.abc import Callable
from typing import Any

from failover.lab.simulation.fleet import TTL_S, ZONE
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.world import World
from failover.model.records import RecordSet, RecordType

from .registry import fault


def primary(world: World, name: str, value: Any) -> Undo:
    return world.knobs.turn(world.zones[ZONE].primary.faults, name, value)


def secondary(world: World) -> Any:
    return world.zones[ZONE].servers[1]


@fault("names-refuse-updates", "dns", longest_s=45)
def names_refuse(world: World) -> Undo:
    return primary(world, "refuse_updates", True)


@fault("names-apply-and-fall-silent", "dns")
def names_apply_and_fall_silent(world: World) -> None:
    world.zones[ZONE].primary.faults.lose_answers += world.random.randint(1, 2)


@fault("names-lose-updates", "dns")
def names_lose_updates(world: World) -> None:
    world.zones[ZONE].primary.faults.drop_updates += world.random.randint(1, 2)


@fault("names-silent", "dns", longest_s=45)
def names_silent(world: World) -> Undo:
    return primary(world, "silent", True)


@fault("names-servfail", "dns", longest_s=45)
def names_servfail(world: World) -> Undo:
    return primary(world, "servfail", True)


@fault("names-slow", "dns")
def names_slow(world: World) -> Undo:
    return primary(world, "delay_s", world.random.uniform(0.2, 2.0))


@fault("names-throttle", "dns")
def names_throttle(world: World) -> Undo:
    return primary(world, "updates_per_s", 1)


@fault("key-clock-skewed", "dns", longest_s=45)
def key_clock_skewed(world: World) -> Undo:
    return primary(world, "clock_offset_s", 3600.0)


@fault("key-refused", "dns", longest_s=45)
def key_refused(world: World) -> Undo:
    """Somebody has changed the key at the server (BADKEY, BADSIG)."""
    return primary(world, "rejects_key", True)


@fault("secondary-lags", "dns", longest_s=60)
def secondary_lags(world: World) -> Undo:
    return world.knobs.turn(secondary(world), "lag_s", world.random.uniform(1, 20))


@fault("secondary-dead", "dns", longest_s=120)
def secondary_dead(world: World) -> Undo:
    return world.knobs.turn(secondary(world), "stopped", True)


@fault("primary-dead", "dns", longest_s=45)
def primary_dead(world: World) -> Undo:
    return world.knobs.turn(world.zones[ZONE].primary, "stopped", True)


def by_hand(world: World, values: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
    zone = world.zones[ZONE]
    name = world.random.choice(("shop.example.test.", "ledger.example.test."))
    found = zone.current.record_sets.get((name, RecordType.A))
    if found is not None:
        zone.set_records(
            RecordSet(name=name, record_type=RecordType.A, ttl=TTL_S, values=values(found.values))
        )


@fault("zone-edited-by-hand", "dns")
def zone_edited_by_hand(world: World) -> None:
    by_hand(world, lambda values: values[1:] or values)


@fault("neighbour-record-edited", "dns")
def neighbour_record_edited(world: World) -> None:
    """Somebody changes a name in the zone that is not ours: it must stay as they left it."""
    world.zones[ZONE].set_records(
        RecordSet(
            name="mail.example.test.",
            record_type=RecordType.A,
            ttl=300,
            values=(f"203.0.113.{world.random.randint(10, 99)}",),
        )
    )
