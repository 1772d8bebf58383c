"""What a person on call relies on at three in the morning, against the shipped controller in virtual time."""

import json
from dataclasses import replace

import pytest

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import VirtualClock, run_virtual
from failover.model.errors import Refused, UsageError
from failover.model.ids import ApplicationName, ClusterName, Epoch
from failover.model.journal import Run, RunState
from failover.model.policy import Mode, Workload, WorkloadRef
from failover.model.records import FenceRecord, RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet, runs
from tests.support.policies import NAME, WEB, policy

HOME = ("198.51.100.11", "198.51.100.21", "198.51.100.31")
LEDGER = WorkloadRef(object_kind="Deployment", namespace="ledger", name="api")
LEDGER_NAME = "ledger.example.test."


async def said(fleet: TwinFleet, verb: str, **request: object) -> dict:
    return await fleet.controller.command({**PERSON, "verb": verb, **request})


async def ended(fleet: TwinFleet, run: str, seconds: float = 900) -> Run:
    await fleet.until(lambda: fleet.controller.context.runs[run].state.final, seconds=seconds)
    return fleet.controller.context.runs[run]


def verdict_of(fleet: TwinFleet, cluster: str) -> VerdictKind:
    found = fleet.controller.context.judgement.of_cluster(ClusterName(cluster))
    assert found is not None
    return found.kind


def test_a_drain_does_not_empty_the_last_living_cluster() -> None:
    """The replacements were ready and published; then both clusters that hold them die, before the source is released."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        answer = await said(fleet, "start", kind="drain", domain="north")
        await fleet.until(lambda: len(fleet.addresses("example-test", NAME)) == 2, seconds=60)
        fleet.kill_cluster("south-1")
        fleet.kill_cluster("west-1")
        run = await ended(fleet, answer["run"])
        assert run.state is RunState.PARTIAL
        assert "no longer serves" in run.sentence
        assert fleet.replicas(WEB)["north-1"] == (6, 6), "the last copy stays"
        await fleet.stop()

    run_virtual(story())


def test_the_dead_region_back_in_the_middle_of_a_persons_evacuation_ends_it_before_dns() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(mode=Mode.OBSERVE)
        for name in ("south-1", "west-1"):
            fleet.clusters[name].faults.never_ready = True
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: verdict_of(fleet, "north-1") is VerdictKind.DOWN, seconds=30)
        answer = await said(fleet, "start", kind="evacuation", domain="north")
        await fleet.clock.sleep(10)
        fleet.revive_cluster("north-1")
        await fleet.until(lambda: verdict_of(fleet, "north-1") is VerdictKind.HEALTHY, seconds=30)
        for name in ("south-1", "west-1"):
            fleet.clusters[name].faults.never_ready = False
            fleet.clusters[name].set_replicas(WEB, fleet.clusters[name].workloads[WEB].wanted, "kubectl")
        run = await ended(fleet, answer["run"])
        assert run.state is RunState.ABORTED
        assert "serves again" in run.sentence
        assert fleet.addresses("example-test", NAME) == HOME
        await fleet.stop()

    run_virtual(story())


def test_who_evacuates_what_serves_by_name_is_not_stopped_by_that() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        answer = await said(fleet, "start", kind="evacuation", domain="north", overrides=["still-serving"])
        assert (await ended(fleet, answer["run"])).state is RunState.DONE
        assert len(fleet.addresses("example-test", NAME)) == 2
        await fleet.stop()

    run_virtual(story())


def test_a_kubeconfig_that_reaches_another_cluster_is_noticed_and_nothing_is_written_there() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        fleet.clusters["south-1"].uid = "uid-of-another"
        await fleet.clock.sleep(15)
        assert any("another cluster" in line for line in fleet.log.lines)
        writes = len(fleet.clusters["south-1"].writes)
        answer = await said(fleet, "start", kind="drain", domain="north")
        await ended(fleet, answer["run"])
        assert len(fleet.clusters["south-1"].writes) == writes
        await fleet.crash()
        fleet.boot()
        await fleet.until(lambda: fleet.controller.acting, seconds=60)
        await fleet.clock.sleep(15)
        world = fleet.controller.context.world
        assert "another cluster" in world.inventory_errors[ClusterName("south-1")], "over a restart as well"
        answer = await said(fleet, "ack", target="cluster/south-1", identity=True)
        assert answer["accepted"] == "uid-of-another"
        await fleet.clock.sleep(15)
        assert ClusterName("south-1") not in world.inventory_errors
        with pytest.raises(UsageError, match="nothing to accept"):
            await said(fleet, "ack", target="cluster/south-1", identity=True)
        await fleet.stop()

    run_virtual(story())


def raise_fence(fleet: TwinFleet, epoch: int) -> None:
    zone = next(iter(fleet.zones.values()))
    fence = FenceRecord(
        owner=fleet.policy.fleet.name,
        application=ApplicationName("shop"),
        plan="p",
        generation="g",
        epoch=Epoch(epoch),
        holder="another",
    )
    zone.set_fence(fence)


def test_a_fence_above_everything_that_the_store_knows_means_waiting_for_a_person() -> None:
    """The state directory was lost or restored: fences in clusters and zones tell of leaders that the journal does not know."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        await fleet.crash()
        raise_fence(fleet, 12)
        fleet.clusters["south-1"].fence = 10
        fleet.boot()
        await fleet.until(lambda: fleet.controller.acting, seconds=60)
        context = fleet.controller.context
        assert int(context.leadership.epoch) == 13, "one more than the highest fence"
        assert "epoch 12" in context.doubt
        with pytest.raises(Refused) as refused:
            await said(fleet, "start", kind="drain", domain="north")
        assert "doubt" in [item.code for item in refused.value.refusals]
        await fleet.crash()
        fleet.boot()
        await fleet.until(lambda: fleet.controller.acting, seconds=60)
        assert fleet.controller.context.doubt, "a doubt outlives a restart: only a person resolves it"
        await said(fleet, "resume")
        await fleet.clock.sleep(30)
        assert not fleet.controller.context.doubt
        answer = await said(fleet, "start", kind="drain", domain="north")
        assert (await ended(fleet, answer["run"])).state is RunState.DONE
        await fleet.stop()

    run_virtual(story())


def test_after_a_person_has_looked_the_controller_takes_an_epoch_above_a_fence_that_was_seen_late() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        raise_fence(fleet, 40)
        await fleet.until(lambda: fleet.controller.context.doubt, seconds=30)
        await said(fleet, "resume")
        await fleet.until(lambda: fleet.controller.acting, seconds=30)
        assert int(fleet.controller.context.leadership.epoch) > 40
        await fleet.clock.sleep(20)
        assert not fleet.controller.context.doubt
        answer = await said(fleet, "start", kind="drain", domain="north")
        assert (await ended(fleet, answer["run"])).state is RunState.DONE
        await fleet.stop()

    run_virtual(story())


async def a_fleet_of_two_modes() -> TwinFleet:
    made = policy()
    shop = made.applications[0]
    ledger = replace(
        shop,
        name=ApplicationName("ledger"),
        mode=Mode.APPROVE,
        workloads=(Workload(ref=LEDGER, placement=shop.workloads[0].placement),),
        dns=(replace(shop.dns[0], name=LEDGER_NAME),),
    )
    fleet = TwinFleet(replace(made, applications=(shop, ledger)), VirtualClock(), seed=5)
    zone = next(iter(fleet.zones.values()))
    for name in (NAME, LEDGER_NAME):
        zone.set_records(RecordSet(name=name, record_type=RecordType.A, ttl=5, values=HOME))
    for world in fleet.clusters.values():
        world.add(WEB, 6)
        world.add(LEDGER, 2)
    controller = fleet.boot()
    fleet.start_vantages()
    await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
    await fleet.clock.sleep(15)
    return fleet


def test_a_run_can_be_approved_after_the_others_have_moved() -> None:
    """What its plan rests on is its own: that the shop's replicas have moved meanwhile is none of its assumptions."""

    async def story() -> None:
        fleet = await a_fleet_of_two_modes()
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: any(run.state is RunState.DONE for run in runs(fleet)), seconds=60)
        waiting = next(run for run in runs(fleet) if run.state is RunState.AWAITING_APPROVAL)
        assert waiting.applications == ("ledger",)
        await said(fleet, "approve", run=waiting.id)
        assert (await ended(fleet, waiting.id)).state is RunState.DONE
        assert len(fleet.addresses("example-test", LEDGER_NAME)) == 2
        await fleet.stop()

    run_virtual(story())


def test_the_additions_of_an_aborted_run_are_not_added_again() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        for name in ("south-1", "west-1"):
            fleet.clusters[name].ready_s = 15.0
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: sum(wanted for wanted, _ in fleet.replicas(WEB).values()) > 18, seconds=60)
        fleet.revive_cluster("north-1")
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=120)
        assert runs(fleet)[0].state is RunState.ABORTED
        await fleet.until(lambda: verdict_of(fleet, "north-1") is VerdictKind.HEALTHY, seconds=60)
        await said(fleet, "ack")
        await fleet.clock.sleep(60)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: len(runs(fleet)) == 2 and runs(fleet)[1].state.final, seconds=60)
        assert runs(fleet)[1].state is RunState.DONE
        survivors = [fleet.replicas(WEB)[name][0] for name in ("south-1", "west-1")]
        assert sum(survivors) == 18, "what is surplus already carries the region when it is lost again"
        fleet.revive_cluster("north-1")
        await fleet.until(lambda: verdict_of(fleet, "north-1") is VerdictKind.HEALTHY, seconds=60)
        await said(fleet, "ack")
        await fleet.clock.sleep(60)
        answer = await said(fleet, "start", kind="failback", domain="north")
        await ended(fleet, answer["run"])
        assert [wanted for wanted, _ in fleet.replicas(WEB).values()] == [6, 6, 6]
        await fleet.stop()

    run_virtual(story())


def test_what_a_person_resumes_or_approves_while_paused_goes_on() -> None:
    """A pause stops automation, and never a person; a pause that comes after their word stops it again."""

    async def story() -> None:
        fleet = await a_healthy_fleet(mode=Mode.APPROVE)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=30)
        await said(fleet, "pause", reason="look first")
        run = runs(fleet)[0]
        await said(fleet, "approve", run=run.id)
        await fleet.clock.sleep(0.05)
        await said(fleet, "pause", reason="no, wait")
        await fleet.until(lambda: runs(fleet)[0].state is RunState.HALTED, seconds=60)
        await said(fleet, "resume-run", run=run.id)
        assert (await ended(fleet, run.id)).state is RunState.DONE
        assert fleet.controller.context.people.pause is not None
        await fleet.stop()

    run_virtual(story())


def test_an_abort_holds_automation_back_until_a_person_releases_it() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=30)
        await said(fleet, "abort", run=runs(fleet)[0].id, reason="let me see")
        await ended(fleet, runs(fleet)[0].id)
        await fleet.clock.sleep(60)
        assert len(runs(fleet)) == 1
        refusals = [item for found in fleet.controller.context.refusals.values() for item in found]
        assert any("failover resume" in item.sentence for item in refusals if item.code == "retry-later")
        await said(fleet, "ack")
        await fleet.until(lambda: len(runs(fleet)) == 2 and runs(fleet)[1].state is RunState.DONE, seconds=60)
        await fleet.stop()

    run_virtual(story())


def test_a_misspelt_application_is_no_empty_plan() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        with pytest.raises(UsageError, match="did you mean shop"):
            await said(fleet, "plan", kind="drain", domain="north", applications=["shpo"])
        await fleet.stop()

    run_virtual(story())


def test_a_plan_that_was_edited_is_not_carried_out() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        shown = await said(fleet, "plan", kind="drain", domain="north")
        edited = json.loads(json.dumps(shown["plan"]))
        for step in edited["steps"]:
            if step["kind"] == "scale":
                step["after"] += 3
        answer = await said(fleet, "apply", plan=edited)
        run = await ended(fleet, answer["run"])
        assert sum(fleet.replicas(WEB)[name][0] for name in ("south-1", "west-1")) == 18, "as reviewed"
        assert run.state is RunState.DONE
        moved = json.loads(json.dumps(shown["plan"]))
        moved["domain"]["name"] = "nowhere"
        with pytest.raises(UsageError, match="there is no domain"):
            await said(fleet, "apply", plan=moved)
        with pytest.raises(UsageError, match="edited"):
            await said(fleet, "apply", plan=moved, hash=shown["hash"])
        await fleet.stop()

    run_virtual(story())
