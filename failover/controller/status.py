"""What `status` and `explain` show: one plain document, written to the store, so that it can be read with or without
a controller and without any import heavier than sqlite3.

Times are absolute (RFC 3339), never ages: the reader works out ages, and an unchanged world gives an unchanged document.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from failover.controller.drift import drifted, unadopted
from failover.controller.people import People
from failover.controller.placing import placement_of, survives_row
from failover.controller.quotas import quota_row
from failover.controller.run_rows import NOTHING_HELD, Held, run_row
from failover.controller.world import World
from failover.dnszones.expiring import expiry
from failover.execution.moves import displacements, moved_away
from failover.execution.taken_back import TakenBack, taken_back
from failover.model.codec import to_plain
from failover.model.ids import ApplicationName, ClusterName, Subject, VantageName
from failover.model.inventory import WorkloadState
from failover.model.journal import Run, RunState
from failover.model.plan import (
    Plan,
    RunKind,
    ScaleStep,
)
from failover.model.policy import Application, Mode, Policy, VantageEntry, WorkloadRef, Zone
from failover.model.reasons import Problem, Refusal
from failover.model.records import OwnedName
from failover.model.snapshot import Displacement
from failover.model.time import Now
from failover.model.verdict import Judgement, Verdict
from failover.planner import Survivability

STATUS_KEY = "status"
STATUS_SCHEMA = 1
RECENT_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """The runs, and what they moved: worked out once for all clusters and applications."""

    runs: Sequence[Run]
    away: frozenset[tuple[ClusterName, ApplicationName]]
    displaced: tuple[Displacement, ...]
    taken_back: tuple[TakenBack, ...]


def build_status(
    *,
    now: Now,
    policy: Policy,
    problems: Iterable[Problem],
    judgement: Judgement,
    world: World,
    people: People,
    vantages_seen: Mapping[VantageName, float],
    runs: Sequence[Run],
    refusals: Iterable[Refusal],
    recommendations: Iterable[Plan],
    jobs: Iterable[Mapping[str, Any]],
    leader: Mapping[str, Any],
    doubt: str,
    windows: Mapping[ApplicationName, str],
    survives: tuple[datetime, Survivability] | None,
    owned: frozenset[OwnedName] = frozenset(),
    held: Held = NOTHING_HELD,
) -> dict[str, Any]:
    """The whole document. Every list is sorted; nothing in it is a secret."""
    moves = Moves(
        runs=runs,
        away=moved_away(runs),
        displaced=displacements(runs),
        taken_back=taken_back(runs, world.inventories.values(), now),
    )
    drift, strange = drifted(policy, runs, world.zones), unadopted(policy, owned, world.zones)
    return {
        "schema": STATUS_SCHEMA,
        "at": to_plain(now.wall),
        "fleet": policy.fleet.name,
        "generation": policy.generation,
        "policy_problems": [str(problem) for problem in problems],
        "leader": dict(leader),
        "doubt": doubt,
        "pause": to_plain(people.pause) if people.pause else None,
        "cordons": to_plain(people.cordons),
        "freeze": to_plain(judgement.freeze) if judgement.freeze else None,
        "warm_up": to_plain(judgement.warm_up) if judgement.warm_up else None,
        "alerts": to_plain(judgement.alerts),
        "refusals": to_plain(tuple(refusals)),
        "recommendations": [_recommendation(plan) for plan in recommendations],
        "clusters": [
            _cluster(policy, entry.name, judgement, world, people, moves, now)
            for entry in policy.fleet.clusters
        ],
        "applications": [
            {
                **_application(item, judgement, world, moves, now),
                "placement": placement_of(item, runs, windows.get(item.name, "")),
            }
            for item in policy.applications
        ],
        "survivability": survives_row(survives),
        "vantages": [_vantage(item, vantages_seen, judgement, people, now) for item in policy.fleet.vantages],
        "zones": [
            _zone(zone, world, drift.get(zone.name, ()), strange.get(zone.name, ()), now)
            for zone in policy.zones
        ],
        "runs": [run_row(run, world, held) for run in runs[-RECENT_RUNS:]],
        "schedules": [dict(job) for job in jobs],
    }


def _cluster(
    policy: Policy,
    name: ClusterName,
    judgement: Judgement,
    world: World,
    people: People,
    moves: Moves,
    now: Now,
) -> dict[str, Any]:
    entry = policy.fleet.cluster(name)
    verdict = judgement.of_cluster(name)
    seen = world.inventories.get(name)
    serves = not (verdict and verdict.kind.no_longer_serves)
    ready = sum(state.ready for state in seen.workloads) if seen else None
    domains = {str(domain) for domain in entry.domains()}
    return {
        "provider": entry.provider,
        "region": entry.region,
        "datacenter": entry.datacenter,
        "name": name,
        "verdict": verdict.kind.value if verdict else "UNKNOWN",
        "since": to_plain(verdict.since) if verdict else None,
        "sentence": verdict.sentence if verdict else "not judged yet",
        "confirmed": bool(verdict and verdict.confirmed),
        "hold_down_until": to_plain(verdict.hold_down_until) if verdict and verdict.hold_down_until else None,
        "signals": _signals(verdict, now),
        "cordoned": sorted(cordon.target for cordon in people.cordons if cordon.target in domains),
        "fence": entry.fence.value if entry.fence else None,
        "inventory_at": to_plain(now.wall_of(seen.taken_mono)) if seen else None,
        "inventory_fresh": _fresh(policy, world, name, now),
        "inventory_error": world.inventory_errors.get(name, ""),
        "nodes_ready": seen.nodes_ready if seen else None,
        "nodes_total": seen.nodes_total if seen else None,
        "serves": serves,
        "replicas_ready": ready if serves or ready is None else 0,
        "replicas_last_seen": ready,
        "replicas_wanted": sum(state.wanted for state in seen.workloads) if seen else None,
        "nodes": _look(world, Subject(cluster=name), now),
        "duplicates": _duplicates(policy, name, judgement, world, moves, now),
        "taken_back": [str(item) for item in moves.taken_back if item.cluster == name],
        "odd": list(seen.odd) if seen else [],
    }


def _signals(verdict: Verdict | None, now: Now) -> list[dict[str, Any]]:
    if verdict is None:
        return []
    return [
        {
            "signal": view.signal.value,
            "state": view.state.value,
            "quorum": view.quorum,
            "configured": view.configured,
            "votes": [
                {
                    "vantage": vote.vantage,
                    "vote": vote.vote.value,
                    "outcome": vote.outcome.value if vote.outcome else None,
                    "seen_at": to_plain(_wall(now, vote.measured_mono)),
                    "failures": vote.failures,
                    "successes": vote.successes,
                    "reason": vote.reason,
                }
                for vote in view.votes
            ],
        }
        for view in (verdict.data, verdict.control)
    ]


def _wall(now: Now, mono: float | None) -> datetime | None:
    return None if mono is None else now.wall_of(mono)


def _look(world: World, subject: Subject, now: Now) -> dict[str, Any] | None:
    """The latest look at nodes or workloads (signal W): it informs, and never makes a verdict."""
    look = world.looks.get(subject)
    if look is None:
        return None
    return {
        "probe": look.probe.value,
        "outcome": look.result.outcome.value,
        "detail": look.result.detail,
        "seen_at": to_plain(now.wall_of(look.at_mono)),
    }


def _fresh(policy: Policy, world: World, name: ClusterName, now: Now) -> bool:
    """Whether the last look at a cluster is young enough to be gone by."""
    seen = world.inventories.get(name)
    return seen is not None and now.mono - seen.taken_mono <= policy.fleet.timing.inventory_max_age_s


def _duplicates(
    policy: Policy,
    name: ClusterName,
    judgement: Judgement,
    world: World,
    moves: Moves,
    now: Now,
) -> list[dict[str, Any]]:
    """Replicas that run again in a cluster that a run moved them away from (I27): reported, and never deleted by us.

    Only what was seen after the run had ended, and is wanted there above what the run left: pods that still terminate are
    none. Each replica is told once, for the last run that moved it.
    """
    verdict, seen = judgement.of_cluster(name), world.inventories.get(name)
    fresh = _fresh(policy, world, name, now)
    if seen is None or not fresh or verdict is None or verdict.kind.no_longer_serves:
        return []
    found: list[dict[str, Any]] = []
    told: set[WorkloadRef] = set()
    for item in reversed(moves.displaced):
        if name not in item.plan.sources or now.wall_of(seen.taken_mono) <= item.finished_at:
            continue
        steps = [step for step in item.plan.steps if isinstance(step, ScaleStep)]
        left = {step.workload: step.after for step in steps if step.cluster == name}
        moved = {
            step.workload for step in steps if step.cluster != name and (name, step.application) in moves.away
        } - told
        told |= moved
        replicas = sum(
            state.pods
            for state in seen.workloads
            if state.ref in moved and state.wanted > left.get(state.ref, 0)
        )
        if replicas:
            found.append({"run": item.run, "replicas": replicas, "domain": str(item.domain)})
    return found[::-1]


def _application(
    application: Application, judgement: Judgement, world: World, moves: Moves, now: Now
) -> dict[str, Any]:
    clusters = []
    for name in application.clusters:
        verdict = judgement.of(Subject(cluster=name, application=application.name))
        whole = judgement.of_cluster(name)
        serves = not any(item is not None and item.kind.no_longer_serves for item in (verdict, whole))
        states = _states(application, name, world)
        ready = None if states is None else sum(state.ready for state in states)
        clusters.append(
            {
                "cluster": name,
                "verdict": verdict.kind.value if verdict else None,
                "sentence": verdict.sentence if verdict else "",
                "serves": serves,
                "ready": ready if serves or ready is None else 0,
                "last_seen": ready,
                "wanted": None if states is None else sum(state.wanted for state in states),
                "workloads": _look(world, Subject(cluster=name, application=application.name), now),
            }
        )
    ready, wanted = _carried(application.name, clusters, moves)
    return {
        "name": application.name,
        "mode": application.mode.value,
        "on_shortage": application.on_shortage.value,
        "floor": application.floor,
        "ready": ready,
        "wanted": wanted,
        "clusters": clusters,
        "records": [_record(item.name, item.record_type.value, item.zone, world) for item in application.dns],
        "fences": _fences(application.name, world),
    }


def _states(application: Application, name: ClusterName, world: World) -> list[WorkloadState] | None:
    """The application's workloads in a cluster as last seen; None where it was never seen."""
    seen = world.inventories.get(name)
    if seen is None:
        return None
    found = (seen.workload(workload.ref) for workload in application.workloads)
    return [state for state in found if state is not None]


def _carried(name: ApplicationName, clusters: Sequence[dict[str, Any]], moves: Moves) -> tuple[int, int]:
    """(replicas that are ready where clients are served, replicas that clients need).

    What a run has moved away from a cluster is needed there no more, and what runs there again is a duplicate (I27). While
    a run moves it, and after one that did not get through, the need is what that run found.
    """
    run = next((item for item in reversed(moves.runs) if name in item.applications), None)
    home = run is not None and not run.state.final and run.plan.run_kind is RunKind.FAILBACK
    here = [item for item in clusters if home or (item["cluster"], name) not in moves.away]
    ready, wanted = (sum(item[key] or 0 for item in here) for key in ("ready", "wanted"))
    if run is None or run.state in (RunState.DONE, RunState.ABORTED, RunState.FAILED, RunState.REFUSED):
        return ready, wanted
    needed = next(part.demand for part in run.plan.applications if part.application == name)
    return ready, max(needed, wanted) if run.state is RunState.PARTIAL else needed or wanted


def _record(name: str, record_type: str, zone: str, world: World) -> dict[str, Any]:
    state = next((state for key, state in world.zones.items() if key == zone), None)
    found = (
        next((item for item in state.record_sets if item.key == (name, record_type)), None) if state else None
    )
    return {
        "name": name,
        "type": record_type,
        "zone": zone,
        "known": state is not None,
        "values": list(found.values) if found else [],
        "ttl": found.ttl if found else None,
    }


def _fences(application: ApplicationName, world: World) -> list[dict[str, Any]]:
    return [
        {
            "zone": name,
            "owner": fence.owner,
            "epoch": int(fence.epoch),
            "plan": fence.plan,
            "holder": fence.holder,
        }
        for name, state in sorted(world.zones.items())
        if (fence := state.fence(application)) is not None
    ]


def _vantage(
    entry: VantageEntry, seen: Mapping[VantageName, float], judgement: Judgement, people: People, now: Now
) -> dict[str, Any]:
    last = seen.get(entry.name)
    state = "ok"
    if last is None:
        state = "never seen"
    elif entry.name in judgement.silent_vantages:
        state = "silent"
    elif entry.name in judgement.suspect_vantages:
        state = "suspects itself"
    return {
        "name": entry.name,
        "region": entry.region,
        "controller": entry.controller,
        "state": state,
        "seen_at": to_plain(now.wall_of(last)) if last is not None else None,
        "cordoned": entry.name in people.cordoned_vantages,
    }


def _zone(
    zone: Zone, world: World, drift: tuple[str, ...], strange: tuple[str, ...], now: Now
) -> dict[str, Any]:
    state, error = world.zones.get(zone.name), world.zone_errors.get(zone.name, "")
    ends = expiry(zone.credentials_expire, now.wall.date())
    return {
        "name": zone.name,
        "readable": state is not None,
        "error": error,
        "serial": state.serial if state else None,
        "drift": list(drift),
        "warnings": list(dict.fromkeys((*strange, *ends, *world.zone_warnings.get(zone.name, ())))),
        "credentials_expire": zone.credentials_expire or None,
        "quotas": [quota_row(item) for item in world.zone_quotas.get(zone.name, ())],
        "servers": [
            {
                "server": answer.server,
                "answered": answer.answered,
                "matches": answer.matches,
                "serial": answer.serial,
                "detail": answer.detail,
            }
            for answer in world.servers.get(zone.name, ())
        ],
    }


def _recommendation(plan: Plan) -> dict[str, Any]:
    return {
        "run_kind": plan.run_kind.value,
        "domain": str(plan.domain),
        "plan": plan.short_hash,
        "applications": [
            part.application
            for part in plan.applications
            if part.left_out is not None and part.mode in (Mode.RECOMMEND, Mode.OBSERVE)
        ],
        "reasons": list(plan.reasons),
    }
