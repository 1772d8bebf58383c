"""What `dns status`, `dns verify` and `dns history` show. Looks with its own eyes; needs no controller."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.intended import decided_by_runs, drift_since, lags_of
from failover.controller.clock import SystemClock
from failover.controller.quotas import quota_row
from failover.controller.world import zone_names
from failover.dnszones import open_zones
from failover.dnszones.delegation import servers_of
from failover.model.codec import to_plain
from failover.model.errors import PolicyError, TargetError, UsageError
from failover.model.ids import ZoneName
from failover.model.journal import EffectRecorded
from failover.model.policy import Policy, Zone
from failover.model.ports import DNSZone
from failover.model.records import RecordSet, ZoneState
from failover.policy import load_directory


def show_status(policies: Path, state: Path, zones: Sequence[str], output: render.Format) -> int:
    """One row a zone, then every problem. Exit 3 where something is wrong. `state`: whose journal says what runs decided."""
    policy, decided = load_directory(policies), decided_by_runs(state)
    found = asyncio.run(_each(policy, _chosen(policy, zones), _status))
    differing = _differences(policy, found)
    drift = drift_since(policy, _states(found), decided, state)
    for row in found:
        row.pop("state")
    rows = [
        {
            **row,
            "differs": differing.get(row["zone"], []),
            "drift": list(drift.get(row["zone"], ())),
            "drift_unknown": decided.unknown,
        }
        for row in found
    ]
    if not render.data(rows, output):
        render.table(
            ["ZONE", "PROVIDER", "APEX", "NAMES", "FENCES", "CAN", "QUOTA LEFT", "STATE"],
            [
                (
                    row["zone"],
                    row["provider"],
                    row["apex"],
                    len(row["names"]),
                    f"{len(row['fences'])} of {row['applications']}",
                    row["can"],
                    _left(row["quotas"]),
                    _word(row),
                )
                for row in rows
            ],
        )
        for row in rows:
            for item in row["problems"]:
                word = "warning: " if item["warning"] else ""
                render.line(f"{row['zone']}: {word}{render.bare(item['sentence'], row['zone'])}")
            for sentence in (*row["drift"], *row["differs"]):
                render.line(f"{row['zone']}: {sentence}")
            if row["unread"]:
                render.line(f"{row['zone']}: {row['unread']}")
        if decided.unknown:
            render.talk(decided.unknown)
    wrong = any(
        row["drift"]
        or row["differs"]
        or row["unread"]
        or any(not item["warning"] for item in row["problems"])
        for row in rows
    )
    return exits.UNHEALTHY if wrong else exits.DONE


def _states(found: Sequence[dict[str, Any]]) -> dict[ZoneName, ZoneState]:
    return {ZoneName(row["zone"]): row["state"] for row in found if row["state"] is not None}


def _word(row: dict[str, Any]) -> str:
    if any(not item["warning"] for item in row["problems"]):
        return "cannot be changed"
    if row["drift"]:
        return "drifted"
    if row["differs"]:
        return "differs"
    if row["unread"]:
        return "unread"
    return "warnings" if row["problems"] else "ok"


async def _status(policy: Policy, entry: Zone, zone: DNSZone) -> dict[str, Any]:
    names, applications = zone_names(policy.applications, entry.name)
    problems = list(await zone.check(names))
    state: ZoneState | None = None
    try:
        state = await zone.read(names, applications)
    except TargetError as error:
        if not any(not item.warning for item in problems):
            problems = [*problems, *await zone.check(names)]
        said = f"could not be read: {error}"
        return _row(entry, zone, problems, state, applications) | {"unread": said}
    return _row(entry, zone, problems, state, applications) | {"quotas": await _quotas(zone)}


async def _quotas(zone: DNSZone) -> list[dict[str, Any]] | None:
    """What the provider counts, none where it counts nothing; None where it could not be asked, which the check has said."""
    try:
        return [quota_row(item) for item in await zone.quotas()]
    except TargetError:
        return None


def _left(quotas: Sequence[dict[str, Any]] | None) -> str:
    if quotas is None:
        return "unknown"
    return ", ".join(f"{item['left']} of {item['limit']} {item['what']}" for item in quotas) or "-"


def _row(
    entry: Zone, zone: DNSZone, problems: Sequence[Any], state: ZoneState | None, applications: Sequence[str]
) -> dict[str, Any]:
    able = zone.capabilities
    can = ["weights"] if able.weights else ["shares by subset"]
    can += ["health checks"] if able.health_checked and entry.prepare else []
    return {
        "zone": str(entry.name),
        "provider": entry.provider,
        "apex": entry.apex,
        "can": ", ".join([*can, f"{able.atomic_names} names at once"]),
        "applications": len(applications),
        "names": [to_plain(item) for item in state.record_sets] if state else [],
        "fences": [item.text for item in state.fences] if state else [],
        "problems": [to_plain(item) for item in problems],
        "credentials_expire": entry.credentials_expire or None,
        "quotas": None if able.provider != "rfc2136" else [],
        "state": state,
        "unread": "",
    }


def _differences(policy: Policy, found: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """By zone: record sets that another provider of the same apex holds otherwise."""
    states = _states(found)
    differing: dict[str, list[str]] = {}
    for application in policy.applications:
        for name in application.dns:
            state = states.get(name.zone)
            held = state.find(name.name, name.record_type) if state else None
            for other in application.dns:
                if (other.name, other.record_type) != (
                    name.name,
                    name.record_type,
                ) or other.zone <= name.zone:
                    continue
                if other.zone not in states or state is None:
                    continue
                theirs = states[other.zone].find(other.name, other.record_type)
                if _answers(theirs) != _answers(held):
                    sentence = (
                        f"{name.name} {name.record_type} holds {_answers(held)}, and {_answers(theirs)} at {other.zone}; "
                        f"`failover dns plan {name.zone}` and `failover dns plan {other.zone}` say which is as decided"
                    )
                    differing.setdefault(name.zone, []).append(sentence)
    return differing


def _answers(held: RecordSet | None) -> str:
    return ", ".join(held.answered) if held is not None else "nothing"


def prepare_checks(policies: Path, zone: str) -> list[str]:
    """Make the health checks of a zone's endpoints; one sentence each. Raises UsageError where the policy does not say so."""
    policy = load_directory(policies)
    (entry,) = _chosen(policy, [zone])
    if not entry.prepare:
        raise UsageError(f"zone {zone} does not say prepare: true (a zone at route53 may)")
    from failover.dnszones.route53_checks import checked_clusters

    clusters = checked_clusters(policy, entry.name)
    if not clusters:
        raise UsageError(
            f"no name in zone {zone} says weights: true, and health checks stand beside weighted records"
        )

    async def make() -> list[str]:
        from failover.dnszones.route53 import Route53Zone

        opened = Route53Zone(entry, mono=lambda: SystemClock().now().mono)
        try:
            return [f"{value}: health check {number}" for value, number in await opened.prepare(clusters)]
        finally:
            await opened.close()

    return asyncio.run(make())


def show_verification(policies: Path, state: Path, zones: Sequence[str], output: render.Format) -> int:
    """One row a server, asked for what the primary holds, and where that is not what runs made (the journal of `state`).

    LAG is how long after a change the server was first seen to serve it, in the last run that looked.
    Exit 3 where one that answers differs, or none answers, or the primary has drifted.
    """
    policy, decided = load_directory(policies), decided_by_runs(state)
    found = asyncio.run(_each(policy, _chosen(policy, zones), _verify))
    drift = drift_since(policy, _states(found), decided, state)
    lags = lags_of(decided.runs)
    for row in found:
        row.pop("state")
        row |= {"drift": list(drift.get(row["zone"], ())), "drift_unknown": decided.unknown}
        for item in row["servers"]:
            item["lag_s"] = lags.get((row["zone"], item["server"]))
    if not render.data(found, output):
        rows = [
            (row["zone"], item["server"], _said(item), _or_dash(item["serial"]), _lag(item), item["detail"])
            for row in found
            for item in (*row["servers"], *row["resolvers"])
        ]
        render.table(["ZONE", "SERVER", "ANSWERS", "SERIAL", "LAG", "DETAIL"], rows)
        for row in found:
            for sentence in (*row["drift"], *row["sentences"]):
                render.line(f"{row['zone']}: {sentence}")
        if decided.unknown:
            render.talk(decided.unknown)
    fine = all(row["effective"] and not row["sentences"] and not row["drift"] for row in found)
    return exits.DONE if fine else exits.UNHEALTHY


def _said(item: dict[str, Any]) -> str:
    if not item["answered"]:
        return "silent"
    return "as the primary" if item["matches"] else "differs"


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _lag(item: dict[str, Any]) -> str:
    return "-" if item["lag_s"] is None else f"{item['lag_s']:.2f} s"


async def _verify(policy: Policy, entry: Zone, zone: DNSZone) -> dict[str, Any]:
    names, applications = zone_names(policy.applications, entry.name)
    row: dict[str, Any] = {
        "zone": str(entry.name),
        "servers": [],
        "resolvers": [],
        "sentences": [],
        "serial": None,
        "state": None,
    }
    try:
        state = await zone.read(names, applications)
        servers = await zone.verify(state.record_sets)
    except TargetError as error:
        return row | {
            "sentences": [f"could not be read, so what the primary holds is unknown: {error}"],
            "effective": False,
        }
    missing = [
        f"{name} {kind} does not exist"
        for name, kind in names
        if (name, kind) not in {i.key for i in state.record_sets}
    ]
    resolvers = await zone.ask_resolvers(state.record_sets)
    delegation = await servers_of(entry)
    answered = [item for item in servers if item.answered]
    return row | {
        "state": state,
        "serial": state.serial or None,
        "servers": [to_plain(item) for item in servers],
        "resolvers": [to_plain(item) for item in resolvers],
        "sentences": [*missing, *delegation.problems],
        "effective": bool(answered) and all(item.matches for item in answered),
    }


def show_history(policies: Path, state: Path, name: str, limit: int, output: render.Format) -> None:
    """Newest last. Raises UsageError for a name that is neither in the journal nor a zone or a name of the policies."""
    from failover.cli.runs import load_entries

    rows, known = [], set[str]()
    entries = load_entries(state)
    became = {
        (entry.run, str(event.intent)): event.result.value
        for entry in entries
        if isinstance(event := entry.entry, EffectRecorded)
    }
    for entry in entries:
        event = to_plain(entry.entry)
        if event["kind"] != "intent" or event["intent"]["change"]["kind"] != "records":
            continue
        change = event["intent"]["change"]["change"]
        for item in change["changes"]:
            places = (_plain(item["after"]["name"]), change["zone"])
            known.update(places)
            if name and _plain(name) not in places:
                continue
            rows.append(
                {
                    "at": to_plain(entry.at),
                    "zone": change["zone"],
                    "name": item["after"]["name"],
                    "type": item["after"]["record_type"],
                    "before": _weighed(item["before"]),
                    "after": _weighed(item["after"]),
                    "run": entry.run,
                    "epoch": event["intent"]["epoch"],
                    "by": event["intent"]["actor"],
                    "result": became.get((entry.run, event["intent"]["id"]), "unknown"),
                }
            )
    if name and not rows:
        _refuse_unknown(policies, name, known)
    rows = rows[-limit:]
    if not render.data(rows, output):
        render.table(
            ["AT", "ZONE", "NAME", "TYPE", "BEFORE", "AFTER", "RUN", "EPOCH", "BY", "RESULT"],
            [tuple(row.values()) for row in rows],
        )


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _refuse_unknown(policies: Path, name: str, journaled: set[str]) -> None:
    """Raise UsageError for a name that nothing ever told of; one that the policies have only was never changed."""
    zones: set[str] = set()
    names: set[str] = set()
    with suppress(PolicyError):  # the journal outlives its policies
        policy = load_directory(policies)
        zones = {str(zone.name) for zone in policy.zones}
        names = {_plain(item.name) for application in policy.applications for item in application.dns}
    if _plain(name) not in zones | names | journaled:
        listed = ", ".join(sorted(zones | {item for item in journaled if "." not in item})) or "none"
        raise UsageError(
            f"there is no zone or name {name!r}, in the policies or in the journal; zones are {listed}"
        )


def _weighed(held: dict[str, Any] | None) -> list[str]:
    """The values of a record set, each with its weight where it has one."""
    if held is None:
        return []
    weights = held.get("weights")
    if not weights:
        return list(held["values"])
    return [f"{value} ({weight})" for value, weight in zip(held["values"], weights, strict=True)]


def _chosen(policy: Policy, zones: Sequence[str]) -> list[Zone]:
    """Raises UsageError for a zone that there is not."""
    known = {str(zone.name): zone for zone in policy.zones}
    for name in zones:
        if name not in known:
            raise UsageError(f"there is no zone {name!r}; there are {', '.join(known) or 'none'}")
    return [known[name] for name in zones] or list(known.values())


async def _each(policy: Policy, entries: Sequence[Zone], ask: Any) -> list[dict[str, Any]]:
    """Ask every zone at once, and close them. One that hangs holds up no other for longer than its timeouts."""
    opened = open_zones(policy, SystemClock())
    try:
        return list(await asyncio.gather(*(ask(policy, entry, opened[entry.name]) for entry in entries)))
    finally:
        await asyncio.gather(*(zone.close() for zone in opened.values()))
