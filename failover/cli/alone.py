"""A command without a controller: take the lease with a new epoch, look, act, finish, give the lease back.

A plan takes no lease: it changes nothing (I25). What people say (a pause, a cordon) needs no valid policy (I23).
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from failover.cli import exits
from failover.cli.client import refusal_text
from failover.cli.exits import Stop
from failover.cli.following import Follower, how_to_go_on, stands_still
from failover.cli.lastknown import last_known
from failover.cli.places import Place
from failover.cli.render import talk
from failover.controller.app import Controller, build
from failover.controller.asking import own_judgement, probe_once
from failover.controller.run_rows import run_row
from failover.controller.status import STATUS_KEY
from failover.controller.wiring import open_ports, read_text
from failover.execution.admission import is_automatic
from failover.model.codec import canonical_json, to_plain
from failover.model.errors import (
    Conflict,
    FailoverError,
    NotLeader,
    PolicyError,
    Refused,
    StoreError,
    UsageError,
)
from failover.model.ids import RunId
from failover.model.journal import RunState
from failover.model.policy import Policy
from failover.policy import load_directory
from failover.store.reader import NoStore, StatusReader

STATUS_EVERY_S = 1.0
OF_RUNS = frozenset({"start", "apply", "approve", "resume-run", "abort"})
OF_PEOPLE = frozenset({"pause", "resume", "ack", "cordon", "uncordon"})
WITHOUT_A_LOOK = OF_PEOPLE - {"resume"}
"""Nothing outside is changed for them; who resumes has to see the fences first (I28)."""
LOOKED_AT = (
    "replicas_ready",
    "replicas_wanted",
    "replicas_last_seen",
    "serves",
    "nodes_ready",
    "nodes_total",
)
INVENTORY = ("inventory_at", "inventory_fresh", "inventory_error", *LOOKED_AT)
"""What of a cluster's line in the status one look from here tells as well as a controller's."""


def act_alone(place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one command; where it opened a run, return when the run is over or halted. Raises Stop."""
    alone = Alone(place, request)
    try:
        return asyncio.run(alone.act())
    except KeyboardInterrupt:
        talk(f"\n{stands_still(alone.run)}" if alone.run else "\nnothing was begun")
        raise
    except Refused as error:
        raise Stop(exits.REFUSED, refusal_text([to_plain(item) for item in error.refusals])) from None
    except UsageError as error:
        raise Stop(exits.USAGE, str(error)) from None
    except PolicyError as error:
        raise Stop(exits.ERROR, f"the policies are not valid:\n{error}") from None
    except FailoverError as error:
        raise Stop(exits.ERROR, str(error)) from None


class Alone:
    """One command that is its own controller. `run`: the run that it is about, "" before there is one."""

    def __init__(self, place: Place, request: dict[str, Any]) -> None:
        self._place, self._request = place, request
        self._verb = str(request["verb"])
        self.run = str(request.get("run", ""))

    async def act(self) -> dict[str, Any]:
        """Open everything, carry the command out, and give the lease back."""
        policy = self._policy()
        ports = await open_ports(policy, self._place.state)
        try:
            controller = build(ports.ports, policy, read_ca=read_text, alone=True)
            await controller.load()
            if self._verb not in WITHOUT_A_LOOK:
                await controller.context.world.refresh(policy, ports.ports.clusters, ports.ports.zones)
            if self._verb == "survivability":
                return await controller.command(self._request)
            if self._verb == "plan":
                return _without_lease(await controller.command(self._request))
            return await self._lead(controller)
        finally:
            await ports.close()

    def _policy(self) -> Policy:
        """The policy in the files; for people's words the names that were known last will do."""
        try:
            return load_directory(self._place.policies)
        except PolicyError as error:
            if self._verb not in OF_PEOPLE:
                raise
            count = len(error.problems)
            talk(
                f"the policies are not valid ({count} problems, see `failover validate`): {self._verb} needs none"
            )
        try:
            with StatusReader(self._place.state) as reader:
                return last_known(reader.document(STATUS_KEY))
        except (NoStore, ValueError, KeyError, TypeError):
            return last_known(None)  # nothing, or nothing readable, was ever said of the fleet

    async def _lead(self, controller: Controller) -> dict[str, Any]:
        """With the lease: the command, and its run to the end."""
        context = controller.context
        if not await controller.lead_once(take_over=self._place.take_over):
            raise NotLeader(context.leadership.standby, holder="another")
        keeper = asyncio.ensure_future(context.leadership.keep(talk))
        watching: list[asyncio.Task[None]] = []
        try:
            if self._verb in OF_RUNS:
                await self._watch(controller, watching)
            answer = await controller.command(self._request)
            if answer.get("run") and self._verb in OF_RUNS:
                self.run = str(answer["run"])
                answer["state"] = await self._finish(controller, RunId(self.run))
                await _end(watching)
                await _tell_look(controller)
            return answer
        finally:
            await _end([keeper, *watching])
            await controller.stop()

    async def _watch(self, controller: Controller, watching: list[asyncio.Task[None]]) -> None:
        """While a run goes on: judge for its guards, and let `status` say how far it is."""
        interval_s = controller.policy.fleet.timing.interval_s
        watching.append(asyncio.ensure_future(_again(controller, STATUS_EVERY_S, controller.keeper.publish)))
        if not self._of_automation(controller):
            await _judge(controller)
            watching.append(asyncio.ensure_future(_again(controller, interval_s, lambda: _judge(controller))))

    def _of_automation(self, controller: Controller) -> bool:
        """Whether it is about a run of automation's: that takes a quorum's verdicts, and one look from here is none."""
        run = controller.context.runs.get(RunId(self.run))
        return run is not None and is_automatic(run.actor)

    async def _finish(self, controller: Controller, run_id: RunId) -> str:
        """Drive the run until it is over or halted."""
        context = controller.context
        with StatusReader(self._place.state) as reader:
            follower = Follower(
                reader,
                run_id,
                after=self._request.get("head", 0),
                waits_for=lambda: str(
                    run_row(context.runs[run_id], context.world, context.kept_back.reasons())["waits_for"]
                ),
            )
            while True:
                run = context.runs[run_id]
                follower.look()
                if run.state.final or run.state in (RunState.HALTED, RunState.AWAITING_APPROVAL):
                    if run.halted is not None:
                        talk(how_to_go_on(run_id, run.halted.sentence))
                        if is_automatic(run.actor):
                            talk("  (automation's runs need a controller and its quorum; a person's do not)")
                    return run.state.value
                if not context.leadership.acting(context.now()):
                    raise Stop(exits.PARTIAL, f"the lease was lost in the middle; {stands_still(run_id)}")
                controller.runner.poke()
                context.news.clear()
                try:
                    async with asyncio.timeout(0.2):
                        await context.news.wait()
                except TimeoutError:
                    continue


async def _judge(controller: Controller) -> None:
    """What one look from here says: the guards of a person's run ask whether those that it relies on serve."""
    context = controller.context
    asked = await probe_once(context.ports, controller.definitions)
    context.judgement = own_judgement(context.policy, asked, context.health, context.now())


async def _again(controller: Controller, every_s: float, what: Callable[[], Awaitable[None]]) -> None:
    while True:
        await controller.ports.clock.sleep(every_s)
        await what()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _without_lease(answer: dict[str, Any]) -> dict[str, Any]:
    """A plan that is only shown: that nobody here holds the lease is no reason against it."""
    return {**answer, "refusals": [item for item in answer["refusals"] if item["code"] != "lease"]}


async def _tell_look(controller: Controller) -> None:
    """Look once more, and keep what was seen for `status`: replicas and record sets as they are after the run.

    Verdicts stay those of the controller that gave them, with their age: one look from here makes none (I3).
    """
    context = controller.context
    ports, policy, epoch = context.ports, context.policy, context.leadership.epoch
    found = await ports.store.get(STATUS_KEY)
    if found is None or epoch is None:
        return
    await context.world.refresh(policy, ports.clusters, ports.zones)
    await _judge(controller)
    seen, known = controller.status(), json.loads(found[1])
    rows = {item["name"]: item for item in seen["clusters"]}
    clusters = [
        {**item, **{key: rows[item["name"]][key] for key in INVENTORY}} if item["name"] in rows else item
        for item in known["clusters"]
    ]
    document = known | {
        "clusters": clusters,
        "applications": seen["applications"],
        "zones": seen["zones"],
        "runs": seen["runs"],
        "looked_at": seen["at"],
    }
    with contextlib.suppress(
        StoreError, Conflict
    ):  # what is shown of a run's end changes nothing about the end
        await ports.store.cas(STATUS_KEY, found[0], canonical_json(document), epoch=epoch)
