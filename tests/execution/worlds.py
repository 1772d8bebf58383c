"""A fleet as values: verdicts with their votes, plans made by the planner, and the situation that the rules look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from failover.execution.moves import RunSummary
from failover.execution.situation import Situation
from failover.model.ids import (
    ApplicationName,
    ClusterName,
    Domain,
    Epoch,
    RunId,
    Subject,
    VantageName,
    ZoneName,
)
from failover.model.inventory import ClusterInventory, NodeState, Resources, WorkloadState
from failover.model.journal import Entry, JournalEntry, RunState
from failover.model.observation import Outcome, Signal
from failover.model.plan import Plan, PlanRequest, RunKind
from failover.model.policy import Policy, WorkloadRef
from failover.model.records import RecordSet, RecordType, ZoneState
from failover.model.snapshot import Displacement, Snapshot
from failover.model.time import Now
from failover.model.verdict import (
    Evidence,
    Judgement,
    SignalState,
    SignalView,
    Verdict,
    VerdictKind,
    Vote,
    VoteView,
)
from failover.planner import plan as make_plan
from tests.support.policies import NAME, WEB, policy

WALL = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = Now(mono=1000.0, wall=WALL)
NORTH, SOUTH, WEST = ClusterName("north-1"), ClusterName("south-1"), ClusterName("west-1")
SHOP = ApplicationName("shop")
ZONE = ZoneName("example-test")
VANTAGES = ("control", "elsewhere", "v-north", "v-south", "v-west")
UP, DOWN, UNKNOWN = SignalState.UP, SignalState.DOWN, SignalState.UNKNOWN

_SIGNALS = {
    VerdictKind.HEALTHY: (UP, UP),
    VerdictKind.DEGRADED: (UP, UP),
    VerdictKind.DOWN: (DOWN, DOWN),
    VerdictKind.DATA_PLANE_DOWN: (DOWN, UP),
    VerdictKind.CONTROL_PLANE_DOWN: (UP, DOWN),
    VerdictKind.ISOLATED: (DOWN, DOWN),
    VerdictKind.PATH_PROBLEM: (SignalState.SPLIT, UP),
    VerdictKind.UNKNOWN: (UNKNOWN, UNKNOWN),
}
_VOTES = {UP: Vote.UP, DOWN: Vote.DOWN, UNKNOWN: Vote.UNKNOWN, SignalState.SPLIT: Vote.UNKNOWN}


def view(signal: Signal, state: SignalState, region: str, **votes: Vote) -> SignalView:
    """Every outside vantage votes alike, but for those named (`v_south=Vote.UP`); the region's own does not vote."""
    named = {name.replace("_", "-"): vote for name, vote in votes.items()}
    return SignalView(
        signal=signal,
        state=state,
        quorum=3,
        configured=5,
        votes=tuple(
            VoteView(
                vantage=VantageName(name),
                vote=named.get(name, Vote.UNKNOWN if name == f"v-{region}" else _VOTES[state]),
            )
            for name in VANTAGES
        ),
    )


def verdict(
    cluster: str, kind: VerdictKind = VerdictKind.HEALTHY, application: str = "", **more: Any
) -> Verdict:
    """A verdict as the detector would give it: confirmed and freshly evidenced where it no longer serves."""
    data, control = _SIGNALS[kind]
    region = cluster.rpartition("-")[0]
    gone = kind.no_longer_serves
    defaults: dict[str, Any] = {
        "sentence": f"{cluster} is {kind}",
        "since": WALL - timedelta(hours=2),
        "confirmed": gone,
        "confirming_s": 3.0 if gone else None,
        "first_failure_mono": NOW.mono - 5 if gone else None,
        "last_success_mono": NOW.mono - (6 if gone else 0.5),
        "evidence": tuple(
            Evidence(
                observation=f"{name}/b/1",
                vantage=VantageName(name),
                signal=Signal.DATA_PLANE,
                outcome=Outcome.TIMEOUT,
                measured_mono=NOW.mono - 0.5,
            )
            for name in VANTAGES
            if name != f"v-{region}"
        )
        if gone
        else (),
        "data": view(Signal.DATA_PLANE, data, region),
        "control": view(Signal.CONTROL_PLANE, control, region),
    }
    return Verdict(
        subject=Subject(
            cluster=ClusterName(cluster), application=ApplicationName(application) if application else None
        ),
        kind=kind,
        **{**defaults, **more},
    )


def judged(*verdicts: Verdict, **more: Any) -> Judgement:
    """Everything HEALTHY but for what is given."""
    given = {item.subject: item for item in verdicts}
    healthy = [verdict(name) for name in (NORTH, SOUTH, WEST)]
    merged = {item.subject: item for item in healthy} | given
    return Judgement(verdicts=tuple(merged.values()), **more)


NORTH_DOWN = judged(verdict(NORTH, VerdictKind.DOWN))
ALL_WELL = judged()


def addresses(world_policy: Policy) -> dict[str, str]:
    return {entry.name: entry.ipv4[0] for entry in world_policy.fleet.clusters}


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the planner is shown: replicas by cluster, and the record sets."""

    policy: Policy = field(default_factory=policy)
    replicas: dict[tuple[ClusterName, WorkloadRef], int] = field(
        default_factory=lambda: {(name, WEB): 6 for name in (NORTH, SOUTH, WEST)}
    )
    records: tuple[RecordSet, ...] = ()
    displacements: tuple[Displacement, ...] = ()

    def __post_init__(self) -> None:
        if not self.records:
            values = tuple(sorted(addresses(self.policy).values()))
            self.records = (RecordSet(name=NAME, record_type=RecordType.A, ttl=5, values=values),)

    def snapshot(self, judgement: Judgement) -> Snapshot:
        clusters = sorted({cluster for cluster, _ in self.replicas})
        return Snapshot(
            now=NOW,
            policy_generation=self.policy.generation,
            judgement=judgement,
            inventories=tuple(
                ClusterInventory(
                    cluster=cluster,
                    uid=f"uid-{cluster}",
                    taken_mono=NOW.mono - 1,
                    nodes=(NodeState(name="n", free=Resources(cpu_m=10**6, memory=10**12, pods=1000)),),
                    workloads=tuple(
                        WorkloadState(
                            ref=ref,
                            exists=True,
                            wanted=count,
                            ready=count,
                            pods=count,
                            resource_version="1",
                            requests=Resources(cpu_m=100, memory=100),
                            single_writer=ref.object_kind == "StatefulSet",
                        )
                        for (where, ref), count in self.replicas.items()
                        if where == cluster
                    ),
                )
                for cluster in clusters
            ),
            zones=(ZoneState(zone=ZONE, record_sets=self.records),),
            displacements=self.displacements,
        )

    def plan(
        self, run_kind: RunKind, *sources: ClusterName, judgement: Judgement = NORTH_DOWN, **more: Any
    ) -> Plan:
        domain = self.policy.fleet.cluster(sources[0]).domains()[1]
        request = PlanRequest(
            run_kind=run_kind,
            domain=more.pop("domain", Domain(kind=domain.kind, name=domain.name)),
            sources=sources,
            **more,
        )
        return make_plan(self.snapshot(judgement), self.policy, request)


def evacuation(seen: Seen | None = None) -> Plan:
    return (seen or Seen()).plan(RunKind.EVACUATION, NORTH)


def situation(**more: Any) -> Situation:
    """North is DOWN, and the acting controller may act."""
    defaults: dict[str, Any] = {
        "policy": policy(),
        "judgement": NORTH_DOWN,
        "now": NOW,
        "epoch": Epoch(7),
        "acting_until": NOW.mono + 10,
    }
    return Situation(**{**defaults, **more})


def summary(number: int, *regions: str, **more: Any) -> RunSummary:
    """A finished automatic evacuation, two hours ago, that nobody has failed back from."""
    defaults: dict[str, Any] = {
        "run_kind": RunKind.EVACUATION,
        "automatic": True,
        "state": RunState.DONE,
        "opened_at": WALL - timedelta(hours=2),
        "closed_at": WALL - timedelta(hours=2),
        "changed": True,
        "applications": (SHOP,),
        "moved": (SHOP,),
    }
    return RunSummary(id=RunId(f"run-{number}"), regions=regions, **{**defaults, **more})


def journal(
    entries: Iterable[Entry], *, run: str = "run-1", epoch: int = 7, start: datetime = WALL
) -> tuple[JournalEntry, ...]:
    """Entries of one run, a second apart."""
    return tuple(
        JournalEntry(
            sequence=number + 1,
            epoch=Epoch(epoch),
            at=start + timedelta(seconds=number),
            run=run,
            entry=entry,
            previous_hash="",
            hash="",
        )
        for number, entry in enumerate(entries)
    )


def codes(refusals: Iterable[Any]) -> set[str]:
    return {item.code for item in refusals}


def with_application(base: Policy, **changes: Any) -> Policy:
    """The policy with its application changed."""
    return replace(base, applications=tuple(replace(item, **changes) for item in base.applications))


def counts(replicas: Mapping[tuple[ClusterName, WorkloadRef], int], ref: WorkloadRef = WEB) -> dict[str, int]:
    return {cluster: count for (cluster, which), count in replicas.items() if which == ref}
