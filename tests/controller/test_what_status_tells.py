"""What `status` must tell a tired person: silent name servers until they answer, duplicates that returned, looks at nodes."""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import timedelta
from typing import Any

from failover.cli import explain, render
from failover.cli.status import calm, healthy
from failover.cli.table import show
from failover.controller.app import Controller
from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.ids import RunId
from failover.model.journal import RunState
from failover.model.policy import Mode
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs
from tests.support.policies import NAME, WEB


def told(controller: Controller) -> dict[str, Any]:
    """The document as `failover status` reads it beside a controller that acts."""
    return controller.status() | {"controller": "acting", "age_s": 0.0}


def shown(controller: Controller, *, about: str = "", wide: bool = False) -> str:
    with redirect_stdout(io.StringIO()) as out:
        if about:
            explain.explain(told(controller), about, render.Format.TABLE)
        else:
            show(told(controller), render.Format.WIDE if wide else render.Format.TABLE)
    return " ".join(out.getvalue().split())


async def lost_and_home() -> tuple[TwinFleet, Controller, RunId]:
    """A fleet whose north was lost and failed back, and the failback's run."""
    fleet = await a_healthy_fleet()
    controller = fleet.controller
    assert controller is not None
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
    fleet.revive_cluster("north-1")
    await fleet.clock.sleep(60)
    answer = await controller.command(
        {"actor": "ada@desk", "verb": "start", "kind": "failback", "domain": "north"}
    )
    await fleet.until(lambda: controller.context.runs[answer["run"]].state is RunState.DONE, seconds=120)
    return fleet, controller, answer["run"]


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


def test_a_key_that_ends_soon_is_told_of_by_a_zone_that_takes_updates_too() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        (zone,) = fleet.policy.zones
        day = (fleet.clock.now().wall + timedelta(days=3)).date().isoformat()
        fleet.policy = replace(
            fleet.policy, zones=(replace(zone, credentials_expire=day),), generation="another"
        )
        await controller.use_policy(fleet.policy)
        (row,) = controller.status()["zones"]
        assert row["credentials_expire"] == day
        assert row["warnings"] == [f"the credentials expire on {day}"]
        assert f"the credentials expire on {day}" in shown(controller)
        await fleet.stop()

    run_virtual(story())


def test_a_record_set_that_somebody_edited_is_told_and_left_alone() -> None:
    async def story() -> None:
        fleet, controller, _ = await lost_and_home()
        zone = next(iter(fleet.zones.values()))
        await fleet.clock.sleep(90)
        assert not [line for line in fleet.log.lines if " zone.drift " in line], (
            "our own changes are no drift"
        )
        key = (NAME, RecordType.A)
        decided = next(item for item in zone.current.record_sets.values() if item.key == key)
        edited = replace(decided, values=(*decided.values, "203.0.113.77"))
        zone.set_records(edited)
        await fleet.until(lambda: "it was edited" in shown(controller), seconds=60)
        assert "203.0.113.77" in shown(controller)
        await fleet.clock.sleep(90)
        told = [line for line in fleet.log.lines if " zone.drift " in line]
        assert len(told) == 1, "once, and not at every look"
        assert zone.current.record_sets[edited.key] == edited, "nobody said repair: true"
        zone.set_records(decided)
        await fleet.until(lambda: "it was edited" not in shown(controller), seconds=60)
        await fleet.stop()

    run_virtual(story())


def test_a_ttl_that_is_not_the_policys_is_told_before_a_failover_has_to_wait_for_it() -> None:
    """No run ever touched the name: what it holds is nobody's decision yet, but clients would hold it for an hour."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        zone = next(iter(fleet.zones.values()))
        (held,) = zone.current.record_sets.values()
        assert "TTL" not in shown(controller)
        zone.set_records(replace(held, ttl=3600))
        await fleet.until(lambda: "has a TTL of 3600 s, not 5 s" in shown(controller), seconds=60)
        await fleet.clock.sleep(90)
        told = [line for line in fleet.log.lines if " zone.drift " in line]
        assert len(told) == 1
        zone.set_records(held)
        await fleet.until(lambda: "TTL" not in shown(controller), seconds=60)
        await fleet.stop()

    run_virtual(story())


def test_a_number_that_another_manager_sets_back_after_a_failback_is_told_with_its_name() -> None:
    """GitOps brings back what the stand-ins had: nothing in the run waits for a scale-down any more."""

    async def story() -> None:
        fleet, controller, failback = await lost_and_home()
        await fleet.clock.sleep(30)
        assert fleet.replicas(WEB)["south-1"][0] == 6
        assert "back to" not in shown(controller)
        fleet.clusters["west-1"].set_replicas(WEB, 5, "kubectl")  # less than we left: a new wish
        fleet.clusters["south-1"].set_replicas(WEB, 9, "argocd")
        sentence = f"argocd set deployment/shop/web in south-1 back to 9 after run {failback} had set 6"
        await fleet.until(lambda: sentence in shown(controller), seconds=60)
        assert sentence in shown(controller, about="south-1")
        assert "west-1 back to" not in shown(controller)
        await fleet.clock.sleep(60)
        paged = [line for line in fleet.log.lines if "workload.taken-back" in line]
        assert len(paged) == 1, "told once"
        assert fleet.replicas(WEB)["south-1"][0] == 9, "and not fought over"
        await fleet.clock.sleep(3600)
        assert sentence not in shown(controller), "by now it is what they want"
        await fleet.stop()

    run_virtual(story())


def test_an_addition_that_is_set_back_after_the_run_is_told_as_well() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
        fleet.clusters["south-1"].set_replicas(WEB, 6, "argocd")
        sentence = "argocd set deployment/shop/web in south-1 back to 6 after run"
        await fleet.until(lambda: sentence in shown(controller), seconds=60)
        fleet.clusters["south-1"].set_replicas(WEB, 12, "argocd")
        await fleet.until(lambda: sentence not in shown(controller), seconds=60)
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
        await fleet.until(lambda: "it lags: serial 1" in shown(controller), seconds=90)
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


def test_a_zone_that_cannot_be_read_says_why_wherever_somebody_looks() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        assert healthy(told(controller))
        zone = next(iter(fleet.zones.values()))
        zone.primary.stopped = True
        await fleet.until(lambda: "cannot be read" in shown(controller), seconds=60)
        for text in (shown(controller), shown(controller, wide=True), shown(controller, about="shop")):
            assert "zone example-test cannot be read" in text
            assert "connection refused" in text
            assert "example-test: zone example-test:" not in text
        assert "example-test NO - " in shown(controller, wide=True)
        assert not healthy(told(controller))
        await fleet.stop()

    run_virtual(story())


def test_what_runs_in_a_cluster_that_no_longer_serves_is_not_ready() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        assert "shop auto 18/18" in shown(controller)
        for world in (fleet.clusters["south-1"], fleet.clusters["west-1"]):
            world.ready_s = 20.0
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=40)
        assert "0/6 (6 when last seen)" in shown(controller)
        assert "shop auto 12/18" in shown(controller)
        assert "replicas: 0/6 (6 when last seen)" in shown(controller, about="north-1")
        assert "north-1 0/6 (6 when last seen) ready" in shown(controller, about="shop")
        await fleet.until(lambda: "waits for replicas, 12 of 18 ready" in shown(controller), seconds=20)
        await fleet.until(lambda: runs(fleet)[0].state is RunState.DONE, seconds=60)
        assert "shop auto 18/18" in shown(controller), "what was moved away is needed there no more"
        fleet.revive_cluster("north-1")
        await fleet.until(lambda: "is back and runs 6 replicas" in shown(controller), seconds=90)
        assert "shop auto 18/18" in shown(controller), "a duplicate is no capacity"
        await fleet.stop()

    run_virtual(story())


def test_a_cluster_that_was_drained_is_not_called_back() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        request = {"actor": "ada@desk", "verb": "start", "kind": "drain", "domain": "region/north"}
        answer = await controller.command(request)
        seen = []

        def over() -> bool:
            seen.append("is back and runs" in shown(controller))
            return controller.context.runs[answer["run"]].state.final

        await fleet.until(over, seconds=120)
        until = fleet.clock.now().mono + 60
        await fleet.until(lambda: over() and fleet.clock.now().mono > until, seconds=70)
        assert not any(seen)
        await fleet.stop()

    run_virtual(story())


def test_a_duplicate_is_told_once_however_many_runs_have_moved_it() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
        first = runs(fleet)[0]
        controller.context.runs[RunId("another")] = replace(first, id=RunId("another"))
        fleet.revive_cluster("north-1")
        await fleet.until(lambda: "is back and runs 6 replicas" in shown(controller), seconds=90)
        assert shown(controller).count("is back and runs") == 1
        await fleet.stop()

    run_virtual(story())


def test_a_run_that_waits_for_a_person_says_how_it_is_looked_at_and_started() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(mode=Mode.APPROVE)
        controller = fleet.controller
        assert controller is not None
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=40)
        run = runs(fleet)[0]
        assert f"`failover plan --run {run.id}` shows it, `failover approve {run.id}` starts it" in shown(
            controller
        )
        await controller.command({"actor": "ada@desk", "verb": "approve", "run": run.id})
        await fleet.until(lambda: runs(fleet)[0].state is RunState.DONE, seconds=40)
        assert "failover approve" not in shown(controller)
        await fleet.stop()

    run_virtual(story())


def test_who_holds_back_and_why_is_told_and_no_reason_leaves_no_hole() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        person = {"actor": "ada@desk", "reason": "API server down"}
        await controller.command({**person, "verb": "cordon", "target": "region/north"})
        await controller.command({**person, "verb": "cordon", "target": "vantage/elsewhere"})
        await controller.command({"actor": "ada@desk", "verb": "pause"})
        text = shown(controller)
        assert "cordoned (region/north) by ada@desk: API server down" in text
        assert "cordoned (vantage/elsewhere) by ada@desk: API server down" in text
        assert "PAUSED by ada@desk since 2026-01-01 12:00" in text
        assert ": (" not in text
        assert "cordoned (region/north) by ada@desk" in shown(controller, about="north-1")
        await fleet.stop()

    run_virtual(story())


def test_nothing_that_happens_is_no_news() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        await fleet.clock.sleep(30)
        before = calm(told(controller))
        for _ in range(60):
            await fleet.clock.sleep(1)
            assert calm(told(controller)) == before
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: calm(told(controller)) != before, seconds=10)
        await fleet.stop()

    run_virtual(story())
