"""Vantages: dead, stuck, blind, restarted, at fault themselves, or always saying up."""

from failover.lab.simulation.layers import Undo
from failover.lab.simulation.vantages import VantageState
from failover.lab.simulation.world import World

from .registry import NothingToBefall, all_of, fault


def one(world: World) -> VantageState:
    names = [name for name in world.vantages if name != "control"]
    return world.vantages[world.random.choice(names)]


@fault("vantage-dead", "vantage", longest_s=120)
def vantage_dead(world: World) -> Undo:
    """Its process is gone; another one starts in its place, which remembers nothing."""
    return bury(world, one(world))


def bury(world: World, state: VantageState) -> Undo:
    undo_dead = state.faults.put("dead")

    def undo() -> None:
        undo_dead()
        if not state.faults.has("dead"):
            world.start_vantage(state.name)

    return undo


@fault("two-vantages-dead", "vantage", longest_s=90)
def two_vantages_dead(world: World) -> Undo:
    names = world.random.sample([name for name in world.vantages if name != "control"], 2)
    return all_of(*(bury(world, world.vantages[name]) for name in names))


@fault("vantage-stuck", "vantage", longest_s=90)
def vantage_stuck(world: World) -> Undo:
    """It lives and probes nothing; later it goes on where it was."""
    return one(world).faults.put("stuck")


@fault("vantage-blind", "vantage", longest_s=90)
def vantage_blind(world: World) -> Undo:
    """All that it probes times out, and it does not know that it is at fault."""
    return one(world).faults.put("blind")


@fault("vantage-at-fault", "vantage", longest_s=90)
def vantage_at_fault(world: World) -> Undo:
    """Blind too, and its references tell it so: it abstains."""
    state = one(world)
    return all_of(state.faults.put("blind"), state.faults.put("suspect"))


@fault("vantage-local-faults", "vantage", longest_s=90)
def vantage_local_faults(world: World) -> Undo:
    return one(world).faults.put("local")


@fault("vantage-restarted", "vantage")
def vantage_restarted(world: World) -> None:
    world.start_vantage(one(world).name)


@fault("vantage-always-up", "vantage", longest_s=60)
def vantage_always_up(world: World) -> Undo:
    return one(world).faults.put("always-up")


@fault("vantage-clock-skewed", "vantage", longest_s=60)
def vantage_clock_skewed(world: World) -> Undo:
    """Its clock is stepped between a probe and the report: ages are too great, or too small by what the report took."""
    return one(world).faults.put("clock", world.random.choice((-1.0, 3.0, 30.0)))


@fault("vantage-suspended", "vantage", longest_s=60)
def vantage_suspended(world: World) -> Undo:
    """The machine it runs on is suspended, and goes on where it was."""
    state = one(world)
    if state.faults.has("asleep"):
        raise NothingToBefall
    began = world.mono
    undo_mute = state.faults.put("asleep")

    def undo() -> None:
        undo_mute()
        if state.probing is not None:
            state.probing.slept(world.mono - began)

    return undo


@fault("controller-vantage-local-faults", "vantage", longest_s=90)
def controller_vantage_local_faults(world: World) -> Undo:
    return world.vantages["control"].faults.put("local")  # type: ignore[index]
