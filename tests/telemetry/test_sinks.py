"""Metrics: what nobody has measured is absent, and what nobody knows is neither 1 nor 0."""

from datetime import UTC, datetime

from failover.controller.quotas import quota_event
from failover.controller.surviving import event_of
from failover.model.ids import ApplicationName, ClusterName, Domain, DomainKind, ZoneName
from failover.model.records import Quota
from failover.planner import Survivability
from failover.planner.survive import Outcome
from failover.telemetry import MetricsSink

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def outcome(name: str, **more: object) -> Outcome:
    values = {"lost": 4, "replaced": 4, "unplaced": 0, "shed": 0, "tightest": "cpu", "headroom_percent": 20.0}
    domains = (Domain(kind=DomainKind.REGION, name=name),)
    return Outcome(**{"domains": domains, **values, **more})  # type: ignore[arg-type]


FOUND = Survivability(
    outcomes=(
        outcome("east"),
        outcome("north", replaced=3, unplaced=1, broken=(ApplicationName("shop"),)),
        outcome("west", unseen=(ClusterName("west-1"),), unshown=(ApplicationName("shop"),)),
    )
)


def values(sink: MetricsSink) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for metric in sink.registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def test_before_the_first_answer_nothing_is_said_of_promises() -> None:
    assert values(MetricsSink()) == {}


def test_a_loss_that_nobody_can_judge_is_neither_survived_nor_not() -> None:
    sink = MetricsSink()
    sink.emit(event_of(FOUND, AT))
    found = values(sink)
    assert {name: value for name, value in found.items() if "survives" in name} == {
        "failover_survivesregion/east": 1,
        "failover_survivesregion/north": 0,
        "failover_survives_unknownregion/west": 1,
    }
    assert (found["failover_promises_broken"], found["failover_promises_unshown"]) == (1, 1)
    assert found["failover_survivability_timestamp_seconds"] == AT.timestamp()


def test_a_domain_that_is_known_again_is_unknown_no_longer() -> None:
    sink = MetricsSink()
    sink.emit(event_of(FOUND, AT))
    sink.emit(event_of(Survivability(outcomes=(outcome("west"),)), AT))
    assert {name: value for name, value in values(sink).items() if "survives" in name} == {
        "failover_survivesregion/west": 1
    }


def test_what_is_left_of_a_quota_is_a_gauge_and_goes_when_nobody_could_ask() -> None:
    sink = MetricsSink()
    zone, other = ZoneName("aws"), ZoneName("google")
    for name, used in ((zone, 9_990), (other, 4)):
        sink.emit(quota_event(name, (Quota(what="record sets", used=used, limit=10_000),), AT))
    assert values(sink)["failover_dns_quota_leftawsrecord sets"] == 10
    sink.emit(quota_event(zone, None, AT))
    told = values(sink)
    assert "failover_dns_quota_leftawsrecord sets" not in told
    assert told["failover_dns_quota_leftgooglerecord sets"] == 9_996
