"""What `status` must tell a tired person: silent name servers until they answer, duplicates that returned, looks at nodes."""

import io
from contextlib import redirect_stdout

from failover.cli import explain, render
from failover.cli.table import show
from failover.controller.app import Controller
from failover.lab.virtual import run_virtual
from failover.model.journal import RunState
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs
from tests.support.policies import NAME


def shown(controller: Controller, *, about: str = "") -> str:
    status = controller.status() | {"controller": "acting", "age_s": 0.0}
    with redirect_stdout(io.StringIO()) as out:
        if about:
            explain.explain(status, about, render.Format.TABLE)
        else:
            show(status, render.Format.TABLE)
    return " ".join(out.getvalue().split())


def test_a_name_server_that_was_silent_is_named_and_asked_again_until_it_answers() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        zone = next(iter(fleet.zones.values()))
        silent = zone.servers[1]
        silent.stopped = True
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
        await fleet.until(lambda: f"name server {silent.name}" in shown(controller), seconds=60)
        silent.stopped = False
        await fleet.until(lambda: f"name server {silent.name}" not in shown(controller), seconds=60)
        told = [line for line in fleet.log.lines if " dns.server " in line]
        assert "serves what the primary holds" in told[-1]
        await fleet.stop()

    run_virtual(story())


def test_a_name_server_that_serves_something_else_is_named() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        zone = next(iter(fleet.zones.values()))
        zone.servers[1].lag_s = 1e6
        zone.set_records(
            RecordSet(name=NAME, record_type=RecordType.A, ttl=5, values=("198.51.100.11", "198.51.100.21"))
        )
        await fleet.until(lambda: "record sets differ" in shown(controller), seconds=90)
        await fleet.stop()

    run_virtual(story())


def test_replicas_of_a_region_that_returns_are_called_duplicates_until_the_failback() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
        assert "is back and runs" not in shown(controller), "a dead region runs nothing"
        fleet.revive_cluster("north-1")
        await fleet.until(
            lambda: controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY, seconds=60
        )
        await fleet.until(lambda: "north-1 is back and runs 6 replicas" in shown(controller), seconds=30)
        assert "6 replicas run here again" in shown(controller, about="north-1")
        await fleet.clock.sleep(40)
        request = {"actor": "ada@desk", "verb": "start", "kind": "failback", "domain": "region/north"}
        answer = await controller.command(request)
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=120)
        assert "is back and runs" not in shown(controller)
        await fleet.stop()

    run_virtual(story())


def test_nodes_and_workloads_are_looked_at_and_make_no_verdict() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        assert "nodes: ok, 4 of 4 nodes are ready" in shown(controller, about="north-1")
        assert "ok, 6 of 6 replicas are ready" in shown(controller, about="shop")
        fleet.clusters["north-1"].faults.down = True
        await fleet.until(lambda: "nodes: server-error" in shown(controller, about="north-1"), seconds=30)
        assert controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY
        assert runs(fleet) == []
        await fleet.stop()

    run_virtual(story())
