"""A command without a controller: take the lease with a new epoch, look, act, finish, give the lease back."""

import asyncio
from typing import Any

from failover.cli import exits
from failover.cli.client import Place, refusal_text
from failover.cli.exits import Stop
from failover.cli.render import talk
from failover.controller.app import Controller, build
from failover.controller.wiring import open_ports, read_text
from failover.model.codec import to_plain
from failover.model.errors import FailoverError, NotLeader, PolicyError, Refused, UsageError
from failover.model.ids import RunId
from failover.model.journal import RunState
from failover.policy import load_directory

LOOK_S = 10.0


def act_alone(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one command; where it opened a run, return when the run is over or halted. Raises Stop."""
    try:
        return asyncio.run(_act(place, request))
    except Refused as error:
        raise Stop(exits.REFUSED, refusal_text([to_plain(item) for item in error.refusals])) from None
    except UsageError as error:
        raise Stop(exits.USAGE, str(error)) from None
    except PolicyError as error:
        raise Stop(exits.ERROR, f"the policies are not valid:\n{error}") from None
    except FailoverError as error:
        raise Stop(exits.ERROR, str(error)) from None


async def _act(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    policy = load_directory(place.policies)
    ports = await open_ports(policy, place.state)
    try:
        controller = build(ports.ports, policy, read_ca=read_text, alone=True)
        await controller.load()
        await controller.context.world.refresh(policy, ports.ports.clusters, ports.ports.zones)
        if not await controller.lead_once(take_over=place.take_over):
            raise NotLeader(controller.context.leadership.standby, holder="another")
        keeper = asyncio.ensure_future(controller.context.leadership.keep(talk))
        try:
            answer = await controller.command(request)
            if answer.get("run") and request["verb"] in ("start", "apply", "approve", "resume-run", "abort"):
                answer["state"] = await _finish(controller, RunId(answer["run"]))
            return answer
        finally:
            keeper.cancel()
            await controller.stop()
    finally:
        await ports.close()


async def _finish(controller: Controller, run_id: RunId) -> str:
    """Drive the run until it is over or halted."""
    context = controller.context
    while True:
        run = context.runs[run_id]
        if run.state.final or run.state in (RunState.HALTED, RunState.AWAITING_APPROVAL):
            return run.state.value
        if not context.leadership.acting(context.now()):
            raise NotLeader(
                "the lease was lost in the middle; `failover resume-run` goes on", holder="another"
            )
        controller.runner.poke()
        context.news.clear()
        try:
            async with asyncio.timeout(0.2):
                await context.news.wait()
        except TimeoutError:
            continue
