"""After the trouble people answer what waits for them, and fail back what has moved, region by region, as the runbook says."""

from random import Random

from failover.controller.context import Context
from failover.model.journal import Run

from .fleet import BATCH, WEB
from .oracles.standing import ANSWERED
from .world import PACE, World

TRY_EVERY_S = 5.0
WAITS = "awaiting-approval"
APPROVED_SHARE = 0.7
BALANCED_SHARE = 0.1
UNEVEN_SHARE = 0.2


async def bring_home(world: World, seconds: float, *, on_watch: bool = False) -> None:
    """Ask for the failback of every region from which something was moved; a refusal is tried again until time is over.

    `on_watch`: go on although nothing is away.
    """
    ends = world.mono + seconds
    while world.mono < ends:
        regions = _away(world)
        if not regions and not on_watch:
            return
        for region in regions:
            answer = await world.command(
                "start", kind="failback", domain=f"region/{region}", reason="the region is back"
            )
            if answer.get("run"):
                await _over(world, str(answer["run"]))
        await world.clock.sleep(TRY_EVERY_S)


async def ask_for_balance(world: World, dice: Random) -> None:
    """Now and then somebody wants the load evened out at once, before anything has come home."""
    if dice.random() < BALANCED_SHARE:
        await world.command("start", kind="rebalance", reason="the load is uneven")


async def even_out(world: World, dice: Random) -> None:
    """Now and then somebody has moved replicas by hand, where there is room, and has the load evened out again."""
    whole = [name for name, place in world.clusters.items() if world.serves(name) and WEB in place.workloads]
    crowded = any(BATCH in place.workloads for place in world.clusters.values())
    if dice.random() >= UNEVEN_SHARE or crowded or len(whole) < len(world.clusters) or _away(world):
        return
    giver, taker = dice.sample(sorted(whole), 2)
    moved = min(2, world.clusters[giver].workloads[WEB].wanted - 1)
    if moved < 1:
        return
    for name, more in ((taker, moved), (giver, -moved)):
        world.clusters[name].set_replicas(WEB, world.clusters[name].workloads[WEB].wanted + more, "kubectl")
    await world.clock.sleep(world.policy.fleet.timing.inventory_max_age_s)
    await world.command("start", kind="rebalance", reason="the load is uneven")


async def answer_what_waits(world: World) -> None:
    """Approve or abort every run that waits for a person, and let go on or abort what a doubt halted that somebody has ended, as
    `status` asks; what cannot be approved any more is aborted. Then the controller has the time to think anew.
    """
    context = _context(world)
    asked = [] if context is None else [(run.id, _yes(context, run)) for run in context.open_runs()]
    waiting = [(run, yes) for run, yes in asked if yes]
    for run, yes in waiting:
        answer = {"error": ""}
        if world.random.random() < APPROVED_SHARE:
            answer = await world.command(yes, run=run, reason="looks right")
        if "error" in answer:
            await world.command("abort", run=run, reason="not now")
    if waiting:
        await world.clock.sleep(PACE.reconsider_s + 2 * PACE.tick_s)


def _yes(context: Context, run: Run) -> str:
    """The command by which it goes on, where it waits for one; "" otherwise."""
    if run.state.value == WAITS:
        return "approve"
    halted_by_doubt = run.halted is not None and run.halted.code in ANSWERED
    return "resume-run" if halted_by_doubt and not context.doubt else ""


def _away(world: World) -> list[str]:
    context = _context(world)
    if context is None:
        return []
    moved = {
        str(world.region_of(name)) for item in context.snapshot().displacements for name in item.plan.sources
    }
    return sorted(moved)


async def _over(world: World, run: str) -> None:
    """Until a run is over, or waits for somebody."""
    for _ in range(600):
        context = _context(world)
        found = None if context is None else context.runs.get(run)  # type: ignore[call-overload]
        if found is None or found.state.final or found.halted is not None:
            return
        await world.clock.sleep(1.0)


def _context(world: World) -> Context | None:
    life = world.acting
    return life.controller.context if life is not None and life.controller is not None else None
