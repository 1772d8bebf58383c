"""I16 to I19 over the pure parts: crash at any point, any number of times, with any luck, and go on: the same world."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from failover.execution.trace import violations
from failover.model.ids import ClusterName
from failover.model.journal import AbortRequested, IntentRecorded, RunState
from failover.model.plan import Plan, RunKind
from failover.model.policy import PlacementRule, Workload, WorkloadRef, Writers
from failover.model.records import RecordType
from tests.execution.tiny import Crash, TinyShell, TinyWorld
from tests.execution.worlds import ALL_WELL, NORTH, NORTH_DOWN, Seen, situation, with_application
from tests.support.policies import NAME, WEB, policy

API = WorkloadRef(object_kind="Deployment", namespace="shop", name="api")
DATABASE = WorkloadRef(object_kind="StatefulSet", namespace="shop", name="db")


def two_workloads() -> Seen:
    base = policy()
    rules = base.applications[0].workloads[0].placement
    wide = with_application(base, workloads=tuple(Workload(ref=ref, placement=rules) for ref in (WEB, API)))
    replicas = {(rule.cluster, ref): 6 for rule in rules for ref in (WEB, API)}
    return Seen(policy=wide, replicas=replicas)


def with_single_writer() -> Seen:
    base = policy()
    rules = base.applications[0].workloads[0].placement
    single = Workload(
        ref=DATABASE,
        placement=tuple(PlacementRule(cluster=rule.cluster) for rule in rules),
        writers=Writers.SINGLE,
    )
    wide = with_application(base, workloads=(Workload(ref=WEB, placement=rules), single))
    replicas = {(rule.cluster, WEB): 6 for rule in rules}
    replicas |= {(rule.cluster, DATABASE): int(rule.cluster == NORTH) for rule in rules}
    return Seen(policy=wide, replicas=replicas)


def world_of(seen: Seen) -> TinyWorld:
    return TinyWorld(replicas=dict(seen.replicas), records={item.key: item for item in seen.records})


STORIES: dict[str, tuple[Seen, Plan, str]] = {}
_two, _single = two_workloads(), with_single_writer()
STORIES["evacuation"] = (_two, _two.plan(RunKind.EVACUATION, NORTH), "automation")
STORIES["drain"] = (
    _single,
    _single.plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL, by_person=True),
    "ada@desk",
)


def shell(story: str, world: TinyWorld, journal: list, **more: object) -> TinyShell:
    seen, _, _ = STORIES[story]
    judgement = NORTH_DOWN if story == "evacuation" else ALL_WELL
    return TinyShell(world, journal, situation(policy=seen.policy, judgement=judgement), **more)  # type: ignore[arg-type]


def undisturbed(story: str) -> tuple[object, TinyShell]:
    seen, plan, actor = STORIES[story]
    one = shell(story, world_of(seen), [])
    one.open(plan, actor)
    run = one.finish()
    assert run.state is RunState.DONE, run.sentence
    return one.world.picture, one


def test_an_evacuation_and_a_drain_with_a_single_writer_go_through() -> None:
    _, evacuated = undisturbed("evacuation")
    assert evacuated.world.records[(NAME, RecordType.A.value)].values == ("198.51.100.21", "198.51.100.31")
    assert (
        sum(evacuated.world.replicas[c, WEB] for c in (ClusterName("south-1"), ClusterName("west-1"))) == 18
    )
    assert evacuated.world.replicas[NORTH, WEB] == 6, "a dead source gets no step"
    _, drained = undisturbed("drain")
    assert drained.world.replicas[NORTH, WEB] == 0
    assert drained.world.replicas[NORTH, DATABASE] == 0
    assert (
        sum(drained.world.replicas[c, DATABASE] for c in (ClusterName("south-1"), ClusterName("west-1"))) == 1
    )
    stopped = drained.world.changed.index(f"{NORTH} {DATABASE}=0")
    started = next(
        i for i, line in enumerate(drained.world.changed) if str(DATABASE) in line and line.endswith("=1")
    )
    assert stopped < started, "the old writer is gone before the new one starts"


@settings(max_examples=150, deadline=None)
@given(
    story=st.sampled_from(sorted(STORIES)),
    crashes=st.lists(st.integers(0, 60), max_size=5),
    luck=st.lists(
        st.sampled_from(["applied", "applied", "lost", "unknown", "unavailable", "throttled", "conflict"]),
        max_size=25,
    ),
)
def test_a_crash_anywhere_and_any_luck_end_in_the_same_world(
    story: str, crashes: list[int], luck: list[str]
) -> None:
    expected, _ = undisturbed(story)
    seen, plan, actor = STORIES[story]
    world, journal, fates = world_of(seen), [], list(luck)

    def next_luck(what: str) -> str:
        assert any(isinstance(e.entry, IntentRecorded) and e.entry.intent.id == what for e in journal), "I16"
        return fates.pop(0) if fates else "applied"

    epoch, mono = 7, 1000.0
    for crash_at in [*crashes, None]:
        life = shell(story, world, journal, epoch=epoch, crash_at=crash_at, luck=next_luck, mono=mono)
        try:
            if not journal:
                life.open(plan, actor)
            life.finish()
        except Crash:
            pass
        epoch, mono = epoch + 1, life.mono + 1
    if not journal:
        return
    last = shell(story, world, journal, epoch=epoch, mono=mono)
    run = last.finish()
    assert run.state is RunState.DONE, run.sentence
    assert world.picture == expected
    assert violations(journal) == ()


@settings(max_examples=100, deadline=None)
@given(
    story=st.sampled_from(sorted(STORIES)),
    turn=st.integers(0, 40),
    crashes=st.lists(st.integers(0, 40), max_size=2),
    luck=st.lists(st.sampled_from(["applied", "lost", "unavailable"]), max_size=8),
)
def test_a_persons_abort_in_any_phase_ends_at_a_safe_point(
    story: str, turn: int, crashes: list[int], luck: list[str]
) -> None:
    seen, plan, actor = STORIES[story]
    world, journal, fates = world_of(seen), [], list(luck)
    turns = 0

    def ask(life: TinyShell) -> None:
        nonlocal turns
        if turns == turn and not life.run.state.final:
            life.append(AbortRequested(actor="ada@desk", reason="enough"))
        turns += 1

    epoch, mono = 7, 1000.0
    for crash_at in [*crashes, None]:
        life = shell(
            story,
            world,
            journal,
            epoch=epoch,
            crash_at=crash_at,
            luck=lambda what: fates.pop(0) if fates else "applied",
            at_each_turn=ask,
            mono=mono,
        )
        try:
            if not journal:
                life.open(plan, actor)
            life.finish()
        except Crash:
            pass
        epoch, mono = epoch + 1, life.mono + 1
    if not journal:
        return
    run = shell(story, world, journal, epoch=epoch, mono=mono).finish()
    assert run.state in (RunState.ABORTED, RunState.DONE)
    assert violations(journal) == ()
    assert all(held.values for held in world.records.values())
    writers = sum(count for (_, ref), count in world.replicas.items() if ref == DATABASE)
    assert writers == (1 if story == "drain" else 0), "a single writer that was stopped is started"
    serving = sum(
        count for (cluster, ref), count in world.replicas.items() if ref == WEB and cluster != NORTH
    )
    if world.replicas[NORTH, WEB] < 6:
        assert serving == 18, "nothing is taken away before the rest carries it all"
    if run.state is RunState.ABORTED:
        assert "aborted by ada@desk: enough" in run.sentence


def test_a_refusal_in_the_middle_halts_and_changes_nothing_more() -> None:
    seen, plan, actor = STORIES["evacuation"]
    for turn in range(6):
        world, journal = world_of(seen), []
        turns = 0

        def pause(life: TinyShell, turn: int = turn) -> None:
            nonlocal turns
            if turns == turn:
                life.situation = replace(life.situation, paused="paused by ada")
            turns += 1

        life = shell("evacuation", world, journal, at_each_turn=pause)
        life.open(plan, actor)
        run = life.finish()
        assert run.state in (RunState.HALTED, RunState.DONE)
        assert violations(journal) == ()
        if run.state is RunState.HALTED:
            assert run.halted is not None
            assert run.halted.code == "paused"
            before = list(world.changed)
            assert shell("evacuation", world, journal).finish().state is RunState.HALTED
            assert world.changed == before
