"""`failover status`: what is going on, within 0.3 s, controller or no controller."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.store.reader import NoStore, StatusReader

STALE_S = 10.0


def read_status(state: Path) -> dict[str, Any]:
    """The status document with who leads now and how old it is. Raises Stop where there is none."""
    try:
        reader = StatusReader(state)
        document = reader.document("status")
        leader = reader.leader()
        reader.close()
    except NoStore as error:
        raise Stop(exits.ERROR, str(error)) from None
    if document is None:
        raise Stop(exits.ERROR, "no controller has written a status yet; is it warming up or standing by?")
    age_s = max(0.0, time.time() - _seconds(document["at"]))
    document["age_s"] = round(age_s, 1)
    document["leader"] = {**document["leader"], **(leader or {})}
    document["controller"] = _controller_word(leader, age_s)
    return dict(document)


def _controller_word(leader: dict[str, Any] | None, age_s: float) -> str:
    if leader is None or leader["gone"]:
        return "dead: nobody acts; commands work without it"
    if leader["expires_wall"] < time.time():
        return "silent: its lease ran out"
    return "acting" if age_s < STALE_S else f"acting, but its last word is {age_s:.0f} s old"


def _seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def healthy(status: dict[str, Any]) -> bool:
    """What `--exit-code` asks: an acting controller, every verdict HEALTHY, nothing that holds automation back."""
    return (
        status["controller"] == "acting"
        and all(cluster["verdict"] == "HEALTHY" for cluster in status["clusters"])
        and not (status["freeze"] or status["pause"] or status["doubt"] or status["policy_problems"])
        and all(vantage["state"] == "ok" for vantage in status["vantages"])
    )


def show(status: dict[str, Any], output: render.Format) -> None:
    """Write it."""
    if render.data(status, output):
        return
    wide = output is render.Format.WIDE
    leader = status["leader"]
    render.line(
        f"fleet {status['fleet']}   policy {status['generation']}   controller {leader.get('holder') or '-'} "
        f"(epoch {leader.get('epoch')}): {status['controller']}"
    )
    for sentence in _banner(status):
        render.line(f"! {sentence}")
    render.line()
    _clusters(status, wide=wide)
    render.line()
    _applications(status, wide=wide)
    render.line()
    _vantages(status)
    _runs(status)
    _schedules(status)


def _banner(status: dict[str, Any]) -> list[str]:
    """Everything that a tired person must not miss."""
    found = []
    if status["doubt"]:
        found.append(f"DOUBT: {status['doubt']}")
    if status["freeze"]:
        found.append(f"FROZEN: {status['freeze']['sentence']} (ends by itself, or by `failover resume`)")
    if status["pause"]:
        pause = status["pause"]
        found.append(f"PAUSED by {pause['by']} since {pause['at']}: {pause['reason']} (`failover resume`)")
    if status["warm_up"]:
        warm = status["warm_up"]
        ready = f"{warm['vantages_ready']} of {warm['quorum']} vantages ready"
        found.append(f"warming up after {warm['cause']}: {ready}; no automatic change yet")
    if status["leader"].get("trouble"):
        found.append(f"JOURNAL: {status['leader']['trouble']} (no journal, no action)")
    found += [f"policy file refused, the last good one stays: {text}" for text in status["policy_problems"]]
    found += [f"{item['code']}: {item['sentence']}" for item in status["alerts"]]
    found += _about_servers(status) + _about_duplicates(status)
    found += [
        f"not done: {item['application'] + ': ' if item['application'] else ''}{item['code']}: {item['sentence']}"
        for item in status["refusals"]
    ]
    for item in status["recommendations"]:
        names = ", ".join(item["applications"])
        found.append(
            f"recommended for {names}: {item['run_kind']} of {item['domain']} (`failover plan {item['domain']}`)"
        )
    return found


def _about_servers(status: dict[str, Any]) -> list[str]:
    return [
        f"zone {zone['name']}: name server {item['server']}: {item['detail'] or 'does not answer'} (it is asked again)"
        for zone in status["zones"]
        for item in zone["servers"]
        if not item["matches"]
    ]


def _about_duplicates(status: dict[str, Any]) -> list[str]:
    return [
        f"{cluster['name']} is back and runs {item['replicas']} replicas that run {item['run']} had replaced elsewhere; "
        f"nothing is deleted (`failover failback {item['domain']}`)"
        for cluster in status["clusters"]
        for item in cluster["duplicates"]
    ]


def _since(text: str | None) -> str:
    return render.duration(time.time() - _seconds(text)) if text else "-"


def _clusters(status: dict[str, Any], *, wide: bool) -> None:
    headings = ["PROVIDER", "REGION", "DATACENTER", "CLUSTER", "VERDICT", "FOR", "READY", "NOTE"]
    rows = []
    for item in status["clusters"]:
        ready = (
            "-" if item["replicas_ready"] is None else f"{item['replicas_ready']}/{item['replicas_wanted']}"
        )
        notes = [f"cordoned ({', '.join(item['cordoned'])})"] if item["cordoned"] else []
        if item["hold_down_until"]:
            notes.append(
                f"held down until {item['hold_down_until'][11:19]} UTC (`failover ack {item['name']}`)"
            )
        if item["verdict"] != "HEALTHY":
            notes.append(item["sentence"])
        row = [
            item["provider"],
            item["region"],
            item["datacenter"],
            item["name"],
            item["verdict"],
            _since(item["since"]),
            ready,
        ]
        if wide:
            nodes = "-" if item["nodes_total"] is None else f"{item['nodes_ready']}/{item['nodes_total']}"
            row += [nodes, _since(item["inventory_at"]), item["fence"]]
            notes += [item["inventory_error"]] if item["inventory_error"] else []
        rows.append([*row, "; ".join(notes)])
    if wide:
        headings[7:7] = ["NODES", "SEEN", "FENCE"]
    render.table(headings, rows)


def _applications(status: dict[str, Any], *, wide: bool) -> None:
    rows = []
    for item in status["applications"]:
        ready = sum(cluster["ready"] or 0 for cluster in item["clusters"])
        wanted = sum(cluster["wanted"] or 0 for cluster in item["clusters"])
        for record in item["records"] or [None]:
            name = f"{record['name']} {record['type']}" if record else "-"
            values = (", ".join(record["values"]) if record["known"] else "unknown") if record else "-"
            row = [item["name"], item["mode"], f"{ready}/{wanted}", name, values]
            if wide:
                row += [
                    item["on_shortage"],
                    ", ".join(f"{f['zone']} epoch {f['epoch']}" for f in item["fences"]),
                ]
            rows.append(row)
    headings = ["APPLICATION", "MODE", "READY", "RECORD", "ANSWERS"]
    render.table(headings + (["ON SHORTAGE", "FENCE"] if wide else []), rows)


def _vantages(status: dict[str, Any]) -> None:
    rows = [
        [
            item["name"] + (" (controller)" if item["controller"] else ""),
            item["region"] or "outside",
            item["state"] + (", cordoned" if item["cordoned"] else ""),
            _since(item["seen_at"]),
        ]
        for item in status["vantages"]
    ]
    render.table(["VANTAGE", "REGION", "STATE", "SEEN"], rows)


def _runs(status: dict[str, Any]) -> None:
    runs = [item for item in status["runs"] if item["closed_at"] is None] or status["runs"][-3:]
    if not runs:
        return
    render.line()
    run_table(runs)


def run_table(runs: list[dict[str, Any]]) -> None:
    """Runs, one a line; also what `history` shows."""
    rows = [
        [
            item["id"],
            item["run_kind"],
            item["domain"],
            item["state"],
            f"{item['changes_done']}/{item['changes']}",
            item["actor"],
            _since(item["opened_at"]) + " ago",
            (item["halted"] or {}).get("sentence") or item["sentence"],
        ]
        for item in runs
    ]
    render.table(["RUN", "KIND", "DOMAIN", "STATE", "CHANGES", "BY", "OPENED", "NOTE"], rows)


def _schedules(status: dict[str, Any]) -> None:
    if status["schedules"]:
        render.line()
        rows = [
            [
                item["name"],
                item["job"],
                item["next"] or "-",
                item["result"] or "never ran",
                item["sentence"] or "",
            ]
            for item in status["schedules"]
        ]
        render.table(["SCHEDULE", "JOB", "NEXT", "LAST", "NOTE"], rows)
