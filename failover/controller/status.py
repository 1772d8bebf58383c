"""What `status` and `explain` show: one plain document, written to the store, so that it can be read with or without
a controller and without any import heavier than sqlite3.

Times are absolute (RFC 3339), never ages: the reader works out ages, and an unchanged world gives an unchanged document.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from failover.controller.people import People
from failover.controller.world import World
from failover.execution.runs import displacements, moved_away
from failover.model.codec import to_plain
from failover.model.ids import ApplicationName, ClusterName, Subject, VantageName
from failover.model.journal import Run
from failover.model.plan import Plan, ScaleStep
from failover.model.policy import Application, Mode, Policy, VantageEntry
from failover.model.reasons import Problem, Refusal
from failover.model.time import Now
from failover.model.verdict import Judgement, Verdict

STATUS_KEY = "status"
STATUS_SCHEMA = 1
RECENT_RUNS = 20


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
) -> dict[str, Any]:
    """The whole document. Every list is sorted; nothing in it is a secret."""
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
            _cluster(policy, entry.name, judgement, world, people, runs, now)
            for entry in policy.fleet.clusters
        ],
        "applications": [_application(item, judgement, world, now) for item in policy.applications],
        "vantages": [_vantage(item, vantages_seen, judgement, people, now) for item in policy.fleet.vantages],
        "zones": [_zone(zone.name, world) for zone in policy.zones],
        "runs": [run_row(run) for run in runs[-RECENT_RUNS:]],
        "schedules": [dict(job) for job in jobs],
    }


def _cluster(
    policy: Policy,
    name: ClusterName,
    judgement: Judgement,
    world: World,
    people: People,
    runs: Sequence[Run],
    now: Now,
) -> dict[str, Any]:
    entry = policy.fleet.cluster(name)
    verdict = judgement.of_cluster(name)
    seen = world.inventories.get(name)
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
        "inventory_error": world.inventory_errors.get(name, ""),
        "nodes_ready": seen.nodes_ready if seen else None,
        "nodes_total": seen.nodes_total if seen else None,
        "replicas_ready": sum(state.ready for state in seen.workloads) if seen else None,
        "replicas_wanted": sum(state.wanted for state in seen.workloads) if seen else None,
        "nodes": _look(world, Subject(cluster=name), now),
        "duplicates": _duplicates(policy, name, judgement, world, runs, now),
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


def _duplicates(
    policy: Policy,
    name: ClusterName,
    judgement: Judgement,
    world: World,
    runs: Sequence[Run],
    now: Now,
) -> list[dict[str, Any]]:
    """Replicas that run again in a cluster that a run moved them away from (I27): reported, and never deleted by us."""
    verdict, seen = judgement.of_cluster(name), world.inventories.get(name)
    fresh = seen is not None and now.mono - seen.taken_mono <= policy.fleet.timing.inventory_max_age_s
    if seen is None or not fresh or verdict is None or verdict.kind.no_longer_serves:
        return []
    found, away = [], moved_away(runs)
    for item in displacements(runs):
        if name not in item.plan.sources:
            continue
        moved = {
            step.workload
            for step in item.plan.steps
            if isinstance(step, ScaleStep) and step.cluster != name and (name, step.application) in away
        }
        replicas = sum(state.pods for state in seen.workloads if state.ref in moved)
        if replicas:
            found.append({"run": item.run, "replicas": replicas, "domain": str(item.domain)})
    return found


def _application(application: Application, judgement: Judgement, world: World, now: Now) -> dict[str, Any]:
    clusters = []
    for name in application.clusters:
        verdict = judgement.of(Subject(cluster=name, application=application.name))
        seen = world.inventories.get(name)
        states = [
            state
            for workload in application.workloads
            if seen and (state := seen.workload(workload.ref)) is not None
        ]
        clusters.append(
            {
                "cluster": name,
                "verdict": verdict.kind.value if verdict else None,
                "sentence": verdict.sentence if verdict else "",
                "ready": sum(state.ready for state in states) if seen else None,
                "wanted": sum(state.wanted for state in states) if seen else None,
                "workloads": _look(world, Subject(cluster=name, application=application.name), now),
            }
        )
    return {
        "name": application.name,
        "mode": application.mode.value,
        "on_shortage": application.on_shortage.value,
        "floor": application.floor,
        "clusters": clusters,
        "records": [_record(item.name, item.record_type.value, item.zone, world) for item in application.dns],
        "fences": _fences(application.name, world),
    }


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


def _zone(name: str, world: World) -> dict[str, Any]:
    state = next((state for key, state in world.zones.items() if key == name), None)
    error = next((text for key, text in world.zone_errors.items() if key == name), "")
    return {
        "name": name,
        "readable": state is not None,
        "error": error,
        "serial": state.serial if state else None,
        "servers": [
            {
                "server": answer.server,
                "answered": answer.answered,
                "matches": answer.matches,
                "serial": answer.serial,
                "detail": answer.detail,
            }
            for answer in next((found for key, found in world.servers.items() if key == name), ())
        ],
    }


def run_row(run: Run) -> dict[str, Any]:
    """One run's line in `status` and `history`."""
    changing = [step for step in run.plan.steps if step.kind in ("scale", "change-records")]
    done = sum(1 for step in changing if run.steps[step.id].state.value == "done")
    return {
        "id": run.id,
        "run_kind": run.plan.run_kind.value,
        "domain": str(run.plan.domain),
        "state": run.state.value,
        "actor": run.actor,
        "reason": run.reason,
        "opened_at": to_plain(run.opened_at),
        "closed_at": to_plain(run.closed_at) if run.closed_at else None,
        "epoch": int(run.epoch),
        "changes": len(changing),
        "changes_done": done,
        "halted": to_plain(run.halted) if run.halted else None,
        "sentence": run.sentence,
        "applications": list(run.applications),
        "plan": run.plan.short_hash,
        "silent_servers": sorted(
            {
                server
                for progress in run.steps.values()
                if progress.verification is not None
                for server in progress.verification.silent
            }
        ),
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
