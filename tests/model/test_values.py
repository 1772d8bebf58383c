"""Small values and what they promise: quorum, outcomes, fences, permits, places, time, the tree of domains."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.model.ids import (
    ApplicationName,
    ClusterName,
    Domain,
    DomainKind,
    Epoch,
    IntentId,
    Subject,
    ZoneName,
)
from failover.model.inventory import ClusterInventory, NodeState, Resources, WorkloadState, places_on
from failover.model.journal import EffectResult, RunState
from failover.model.observation import Outcome
from failover.model.permit import Permit
from failover.model.policy import Timing, VantageEntry
from failover.model.records import FenceRecord, RecordSet, RecordType, ServerAnswer, Verification
from failover.model.time import Now
from tests.support.policies import WEB, policy

WORD = st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=1, max_size=20)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.integers(1, 99))
def test_a_quorum_is_a_strict_majority_and_two_never_fit(count: int) -> None:
    made = policy()
    vantages = tuple(VantageEntry(name=f"v{number}") for number in range(count))  # type: ignore[arg-type]
    quorum = replace(made.fleet, vantages=vantages).quorum
    assert quorum * 2 > count
    assert (quorum - 1) * 2 <= count


def test_exactly_the_local_faults_and_ok_never_count_as_failures() -> None:
    assert {item for item in Outcome if not item.counts_as_failure} == {Outcome.OK, Outcome.LOCAL}
    assert [item for item in Outcome if item.is_success] == [Outcome.OK]


def test_evidence_lasts_two_intervals_and_the_timeout() -> None:
    assert Timing().evidence_max_age_s == 13.0
    assert Timing(interval_s=1, timeout_s=1).evidence_max_age_s == 3.0


def test_the_defaults_are_the_balanced_column() -> None:
    timing = Timing()
    assert (timing.interval_s, timing.timeout_s, timing.jitter) == (5.0, 3.0, 0.1)
    assert (timing.fall, timing.rise, timing.confirm_s) == (3, 6, 30.0)
    assert (timing.lease_s, timing.lease_renew_s, timing.lease_margin_s) == (15.0, 5.0, 5.0)
    assert (timing.hold_down_changes, timing.hold_down_window_s) == (3, 600.0)
    assert (timing.hold_down_base_s, timing.hold_down_max_s) == (300.0, 21_600.0)
    assert (timing.inventory_max_age_s, timing.stable_s) == (30.0, 1800.0)


@given(WORD, WORD, WORD, WORD, st.integers(0, 2**60), WORD)
def test_a_fence_is_read_as_it_was_written(
    owner: str, application: str, plan: str, generation: str, epoch: int, holder: str
) -> None:
    fence = FenceRecord(
        owner=owner,
        application=ApplicationName(application),
        plan=plan,
        generation=generation,
        epoch=Epoch(epoch),
        holder=holder,
    )
    assert FenceRecord.parse(fence.text) == fence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=2 owner=a",
        "v=spf1 -all",
        "v=1 owner=a app=b",
        "v=1 owner=a app=b plan=c gen=d epoch=x holder=e",
    ],
)
def test_what_is_no_fence_of_ours_is_never_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its sentences
        FenceRecord.parse(text)


def test_a_permit_ends_with_the_lease_less_its_margin_and_names_the_epoch() -> None:
    permit = Permit(intent=IntentId("r/s/1"), epoch=Epoch(7), target="north-1", rules=(), expires_mono=100.0)
    assert permit.still_good(99.999)
    assert not permit.still_good(100.0)
    assert permit.field_manager == "failover-e7"
    with pytest.raises(FrozenInstanceError):
        permit.expires_mono = 1e9  # type: ignore[misc]


@given(
    st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 2**34), st.integers(0, 30)), max_size=6),
    st.integers(0, 4000),
    st.integers(0, 2**33),
)
def test_a_replica_never_straddles_nodes(free: list[tuple[int, int, int]], cpu: int, memory: int) -> None:
    wanted = Resources(cpu_m=cpu, memory=memory)
    nodes = tuple(
        NodeState(name=str(number), free=Resources(cpu_m=c, memory=m, pods=p))
        for number, (c, m, p) in enumerate(free)
    )
    inventory = ClusterInventory(cluster="north-1", uid="u", taken_mono=0.0, nodes=nodes)  # type: ignore[arg-type]
    places = inventory.places_for(wanted)
    assert places == sum(places_on(node.free, wanted) for node in nodes)
    assert 0 <= places <= sum(node.free.pods for node in nodes)
    for node in nodes:
        fits = places_on(node.free, wanted)
        assert fits * cpu <= node.free.cpu_m
        assert fits * memory <= node.free.memory


def look(*, wanted: int, ready: int, free_cpu_m: int) -> ClusterInventory:
    nodes = (
        NodeState(name="a", free=Resources(cpu_m=free_cpu_m, pods=9)),
        NodeState(name="b", free=Resources(cpu_m=free_cpu_m, pods=9)),
    )
    state = WorkloadState(ref=WEB, exists=True, wanted=wanted, ready=ready, requests=Resources(cpu_m=1000))
    return ClusterInventory(
        cluster=ClusterName("c"), uid="u", taken_mono=0.0, nodes=nodes, workloads=(state,)
    )


def test_what_became_ready_since_the_look_takes_its_room_and_what_went_frees_none() -> None:
    """Seed 5559: the room of what a run had just added was planned for once more."""
    seen = look(wanted=4, ready=4, free_cpu_m=2000)
    (state,) = seen.workloads
    added = seen.with_newer([replace(state, wanted=7, ready=7)])
    assert [node.free.cpu_m for node in added.nodes] == [0, 1000]
    assert added.workload(WEB) == replace(state, wanted=7, ready=7)
    waiting = seen.with_newer([replace(state, wanted=7, ready=5)])
    assert waiting.free.cpu_m == 3000, "what is not ready yet is reserved for its run"
    assert seen.with_newer([replace(state, wanted=1, ready=1)]).free == seen.free
    assert seen.with_newer([replace(state, wanted=99, ready=99)]).free.cpu_m == 0
    assert seen.with_newer([]) == seen


def test_what_was_wanted_and_had_no_node_yet_takes_its_room_when_it_is_ready() -> None:
    seen = look(wanted=7, ready=4, free_cpu_m=2000)
    (state,) = seen.workloads
    assert seen.with_newer([replace(state, ready=7)]).free.cpu_m == 1000


def test_a_verification_is_effective_where_all_that_answer_match_and_one_does() -> None:
    def seen(*answers: tuple[bool, bool]) -> Verification:
        servers = tuple(
            ServerAnswer(server=f"ns{number}", answered=answered, matches=matches)
            for number, (answered, matches) in enumerate(answers)
        )
        return Verification(zone=ZoneName("z"), servers=servers, checked_at=AT)

    assert seen((True, True), (True, True)).effective
    assert seen((True, True), (False, False)).effective
    assert seen((True, True), (False, False)).silent == ("ns1",)
    assert not seen((True, True), (True, False)).effective
    assert not seen((False, False), (False, False)).effective, "silence is never taken for an answer"
    assert not seen().effective


def test_a_record_set_is_the_same_only_in_everything_that_a_client_sees() -> None:
    one = RecordSet(name="shop.example.test.", record_type=RecordType.A, ttl=5, values=("198.51.100.11",))
    assert one.same_data(replace(one))
    assert not one.same_data(None)
    for other in (
        replace(one, ttl=6),
        replace(one, values=()),
        replace(one, name="x."),
        replace(one, record_type=RecordType.AAAA),
    ):
        assert not one.same_data(other)
    assert {item.value for item in RecordType} == {"A", "AAAA", "CNAME"}, "never NS, SOA, DS (I14)"


def test_unknown_has_not_landed() -> None:
    assert {item for item in EffectResult if item.landed} == {EffectResult.APPLIED, EffectResult.UNCHANGED}


def test_a_halted_run_is_not_over() -> None:
    unfinished = {RunState.AWAITING_APPROVAL, RunState.RUNNING, RunState.HALTED}
    assert {item for item in RunState if not item.final} == unfinished


def test_domains_are_a_tree_and_an_ambiguous_name_is_told_apart_by_its_kind() -> None:
    fleet = policy(clusters_per_region=2).fleet
    north = Domain(kind=DomainKind.REGION, name="north")
    assert [entry.name for entry in fleet.clusters_in(north)] == ["north-1", "north-2"]
    assert fleet.find_domains("region/north") == fleet.find_domains("north") == (north,)
    assert fleet.find_domains("nowhere") == ()
    kinds = [domain.kind for domain in fleet.domains()]
    assert kinds == sorted(kinds, key=list(DomainKind).index), "widest first"
    assert str(Subject(cluster="north-1", application=ApplicationName("shop"))) == "shop@north-1"  # type: ignore[arg-type]


def test_the_wall_time_of_a_monotonic_second_follows_todays_relation_of_the_two() -> None:
    now = Now(mono=100.0, wall=AT)
    assert now.wall_of(40.0) == AT - timedelta(seconds=60)
