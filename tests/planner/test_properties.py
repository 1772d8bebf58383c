"""What holds for every fleet: bounds, conservation, determinism, and names that always answer."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failover.model.ids import ClusterName
from failover.model.inventory import Demand, WorkloadState
from failover.model.plan import ChangeRecordsStep, Plan, PlanRequest, RunKind, ScaleStep
from failover.model.policy import OnShortage, PlacementRule, Publish, TrafficOrder
from failover.model.verdict import VerdictKind
from failover.planner import check_assumptions, plan
from tests.planner.fleet import (
    World,
    address,
    application,
    dns,
    domain,
    entry,
    inventory,
    records,
    ref,
    state,
    verdict,
    workload,
)

NAMES = ("center", "east", "north", "south", "west")
OTHERS = [
    *[VerdictKind.HEALTHY] * 8,
    VerdictKind.CONTROL_PLANE_DOWN,
    VerdictKind.DATA_PLANE_DOWN,
    VerdictKind.PATH_PROBLEM,
    VerdictKind.UNKNOWN,
]


@dataclass(frozen=True)
class Scene:
    world: World
    request: PlanRequest

    def plan(self) -> Plan:
        return plan(self.world.snapshot, self.world.policy, self.request)


def _looks(draw: Any, workload_names: list[str]) -> list[WorkloadState]:
    """What is seen of every workload in one cluster: some do not exist there, and some are not ready."""
    states = []
    for name in workload_names:
        wanted = draw(st.integers(0, 8))
        ready = max(0, wanted - draw(st.sampled_from([0, 0, 0, 1, 8])))
        states.append(state(ref(name), wanted, ready, exists=draw(st.integers(0, 9)) < 9))
    return states


@st.composite
def scenes(draw: Any) -> Scene:
    sources = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
    run_kind = draw(st.sampled_from([RunKind.EVACUATION, RunKind.STEERING, RunKind.DRAIN]))
    world = World(
        entries=[entry(name) for name in NAMES], record_sets=[], applications=[], inventories={}, verdicts={}
    )
    for name in NAMES:
        kind = draw(st.sampled_from(OTHERS))
        if name in sources:
            kind = {
                RunKind.EVACUATION: VerdictKind.DOWN,
                RunKind.STEERING: VerdictKind.DATA_PLANE_DOWN,
                RunKind.DRAIN: VerdictKind.HEALTHY,
            }[run_kind]
        world.verdicts[name] = verdict(name, kind)
    workloads: dict[str, tuple[PlacementRule, ...]] = {}
    for index in range(draw(st.integers(1, 3))):
        clusters = draw(st.lists(st.sampled_from(NAMES), min_size=2, unique=True))
        names = [f"w{index}-{number}" for number in range(draw(st.integers(1, 2)))]
        rules = {
            name: tuple(
                PlacementRule(
                    cluster=ClusterName(cluster),
                    weight=draw(st.integers(0, 3)),
                    min_replicas=draw(st.integers(0, 2)),
                    max_replicas=draw(st.one_of(st.none(), st.integers(2, 12))),
                )
                for cluster in clusters
            )
            for name in names
        }
        workloads |= rules
        world.applications.append(
            application(
                f"a{index}",
                floor=draw(st.sampled_from([0, 50, 100])),
                on_shortage=draw(st.sampled_from([OnShortage.HOLD, OnShortage.PARTIAL])),
                traffic=draw(st.sampled_from(list(TrafficOrder))),
                workloads=tuple(workload(name, rules[name]) for name in names),
                dns=(
                    dns(
                        f"a{index}.example.test",
                        publish=draw(st.sampled_from(list(Publish))),
                        clusters=tuple(clusters),
                    ),
                ),
            )
        )
        published = draw(
            st.lists(st.sampled_from([address(name) for name in clusters] + ["203.0.113.9"]), unique=True)
        )
        if published:
            world.record_sets.append(records(*published, name=f"a{index}.example.test."))
    for name in NAMES:
        world.inventories[name] = inventory(
            name,
            *_looks(draw, list(workloads)),
            room=draw(st.integers(0, 30)),
            age_s=draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 60])),
        )
    for part in world.applications:
        for item in part.workloads:
            if draw(st.booleans()):
                world.demands.append(
                    Demand(application=part.name, workload=item.ref, replicas=draw(st.integers(0, 30)))
                )
    request = PlanRequest(
        run_kind=run_kind,
        domain=domain("any"),
        sources=tuple(ClusterName(name) for name in sources),
        by_person=draw(st.booleans()),
    )
    return Scene(world=world, request=request)


quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@quick
@given(scene=scenes())
def test_no_cluster_gets_more_than_its_room_or_its_maximum(scene: Scene) -> None:
    made = scene.plan()
    added: dict[str, int] = {}
    rules = {
        (item.ref, rule.cluster): rule
        for part in scene.world.applications
        for item in part.workloads
        for rule in item.placement
    }
    for part in made.applications:
        if part.left_out is not None:
            continue
        for row in part.placements:
            if row.after <= row.before:
                continue
            added[row.cluster] = added.get(row.cluster, 0) + row.after - row.before
            limit = rules[(row.workload, row.cluster)].max_replicas
            assert limit is None or row.after <= limit
    for cluster, number in added.items():
        room = sum(node.free.pods for node in scene.world.inventories[cluster].nodes)
        assert number <= room


@quick
@given(scene=scenes())
def test_replicas_are_conserved_and_survivors_keep_what_they_run(scene: Scene) -> None:
    made = scene.plan()
    for part in made.applications:
        moved = sum(max(0, row.after - row.before) for row in part.placements)
        assert moved == part.replaced
        assert part.replaced + part.unplaced == part.lost
        for row in part.placements:
            if row.cluster not in made.sources:
                assert row.after >= row.before
    for step in made.steps:
        if isinstance(step, ScaleStep) and step.cluster not in made.sources:
            assert step.after > step.before


@quick
@given(scene=scenes())
def test_only_healthy_clusters_with_a_fresh_inventory_and_the_object_take_replicas(scene: Scene) -> None:
    for step in scene.plan().steps:
        if not isinstance(step, ScaleStep):
            continue
        assert scene.world.verdicts[step.cluster].kind is VerdictKind.HEALTHY
        seen = scene.world.inventories[step.cluster]
        assert seen.taken_mono >= 970
        held = seen.workload(step.workload)
        assert held is not None
        assert held.exists
        assert step.before == held.wanted


@quick
@given(scene=scenes())
def test_a_name_always_answers_with_a_serving_cluster_and_loses_only_sources(scene: Scene) -> None:
    made = scene.plan()
    gone = {address(name) for name in made.sources}
    served = {
        address(name) for name in NAMES if name not in made.sources and scene.world.verdicts[name].kind.serves
    }
    for step in made.steps:
        if isinstance(step, ChangeRecordsStep):
            for change in step.changes:
                assert change.after.values
                assert served & set(change.after.values)
                assert not gone & set(change.after.values)
                before = set(change.before.values) if change.before else set()
                assert before - set(change.after.values) <= gone
                assert change.before in (*scene.world.record_sets, None)


@quick
@given(scene=scenes(), seed=st.randoms(use_true_random=False))
def test_the_order_of_what_was_seen_is_nothing_to_it(scene: Scene, seed: Any) -> None:
    snapshot = scene.world.snapshot

    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        mixed = list(items)
        seed.shuffle(mixed)
        return tuple(mixed)

    mixed = replace(
        snapshot,
        inventories=shuffled(
            tuple(
                replace(item, nodes=shuffled(item.nodes), workloads=shuffled(item.workloads))
                for item in snapshot.inventories
            )
        ),
        judgement=replace(snapshot.judgement, verdicts=shuffled(snapshot.judgement.verdicts)),
        demands=shuffled(snapshot.demands),
        zones=tuple(replace(zone, record_sets=shuffled(zone.record_sets)) for zone in snapshot.zones),
    )
    request = replace(scene.request, sources=shuffled(scene.request.sources))
    policy = scene.world.policy
    mixed_policy = replace(
        policy,
        fleet=replace(policy.fleet, clusters=shuffled(policy.fleet.clusters)),
        applications=tuple(
            replace(
                part,
                workloads=tuple(replace(item, placement=shuffled(item.placement)) for item in part.workloads),
            )
            for part in policy.applications
        ),
    )
    assert plan(mixed, mixed_policy, request).to_json() == scene.plan().to_json()


@quick
@given(scene=scenes())
def test_the_same_input_gives_the_same_bytes_and_a_fresh_plan_holds(scene: Scene) -> None:
    made = scene.plan()
    assert made.to_json() == scene.plan().to_json()
    assert check_assumptions(made, scene.world.snapshot, scene.world.policy) is None


@quick
@given(scene=scenes())
def test_what_is_left_out_has_a_reason_and_no_step(scene: Scene) -> None:
    made = scene.plan()
    for part in made.applications:
        if part.left_out is not None:
            assert part.left_out.sentence
            assert part.left_out.application == part.application
            assert part.application not in {step.application for step in made.steps}
            assert part.records == ()


@quick
@given(scene=scenes())
def test_doing_it_twice_does_nothing_more(scene: Scene) -> None:
    """With the demand known, a plan made after the additions landed adds nothing (I18)."""
    world = scene.world
    world.demands = [
        Demand(
            application=part.name,
            workload=item.ref,
            replicas=sum(
                held.wanted
                for name in NAMES
                if (held := world.inventories[name].workload(item.ref)) is not None
                and held.exists
                and ClusterName(name) in {rule.cluster for rule in item.placement}
                and not (world.verdicts[name].kind.no_longer_serves and name not in scene.request.sources)
            ),
        )
        for part in world.applications
        for item in part.workloads
    ]
    first = scene.plan()
    done = {part.application for part in first.applications if part.left_out is None and not part.unplaced}
    world.finished(replace(first, steps=tuple(step for step in first.steps if step.phase != "release")))
    second = scene.plan()
    for step in second.steps:
        if isinstance(step, ScaleStep) and step.application in done:
            assert step.phase == "release"


@quick
@given(scene=scenes())
def test_what_was_moved_away_comes_back(scene: Scene) -> None:
    """Where everything landed, is healthy and has room again, a failback restores counts and drops no address."""
    world = scene.world
    before = {(name, held.ref): held.wanted for name in NAMES for held in world.inventories[name].workloads}
    done = scene.plan()
    published = {record.key: set(record.values) for record in world.record_sets}
    world.finished(done)
    for name in NAMES:
        world.judge(name, VerdictKind.HEALTHY)
        world.hold(name, *world.inventories[name].workloads, room=1000)
    made = world.plan(RunKind.FAILBACK, *scene.request.sources, by_person=True)
    if not any(isinstance(step, ScaleStep | ChangeRecordsStep) for step in done.steps):
        assert [refusal.code for refusal in made.refusals] == ["nothing-to-fail-back"]
        return
    assert all(part.left_out is None for part in made.applications)
    assert made.undoes == ("run-1",)
    world.finished(made)
    after = {(name, held.ref): held.wanted for name in NAMES for held in world.inventories[name].workloads}
    acted = {part.application for part in made.applications}
    for part in world.applications:
        for item in part.workloads if part.name in acted else ():
            for rule in item.placement:
                key = (rule.cluster, item.ref)
                assert after[key] == before[key]
    for record in world.record_sets:
        assert record.values
        assert published.get(record.key, set()) <= set(record.values)
