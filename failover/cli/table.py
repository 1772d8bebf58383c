"""The tables of `status`, and the banner above them: everything that a tired person must not miss."""

from typing import Any

from failover.cli import render
from failover.cli.status import aged, ago, is_current, seconds_of

OPEN = ("awaiting-approval", "running", "halted")


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
    for sentence in banner(status):
        render.line(f"! {sentence}")
    render.line()
    _clusters(status, wide=wide)
    render.line()
    _applications(status, wide=wide)
    render.line()
    _vantages(status)
    if wide:
        render.line()
        _zones(status)
    _runs(status)
    _schedules(status)


# -- the banner --------------------------------------------------------------------------------------------------------


def banner(status: dict[str, Any]) -> list[str]:
    """What holds automation back, what is wrong, and what a person is asked for, the gravest first."""
    return [
        *about_age(status),
        *_held_back(status),
        *(f"policy file refused, the last good one stays: {text}" for text in status["policy_problems"]),
        *_about_runs(status),
        *(_then(status, f"{item['code']}: {item['sentence']}") for item in status["alerts"]),
        *about_zones(status),
        *_about_duplicates(status),
        *(text for cluster in status["clusters"] for text in cluster.get("taken_back", [])),
        *_about_promises(status),
        *_not_done(status),
    ]


def about_age(status: dict[str, Any]) -> list[str]:
    """That nobody acts, and how old all of this is; nothing where the document tells the present."""
    if is_current(status):
        return []
    since = f"what follows was so {ago(status['at'])} ago ({status['at'][11:19]} UTC)"
    found = [
        f"NOT THE PRESENT: {since}, and nobody is known to watch or to act; `failover run …` starts a controller"
    ]
    looked_at = status.get("looked_at")
    if looked_at and seconds_of(looked_at) > seconds_of(status["at"]):
        found.append(
            f"replicas and record sets: a command without a controller looked at them {ago(looked_at)} ago"
        )
    return found


def _then(status: dict[str, Any], sentence: str) -> str:
    """A sentence that was true when it was written."""
    return sentence if is_current(status) else f"{ago(status['at'])} ago: {sentence}"


def _held_back(status: dict[str, Any]) -> list[str]:
    found = []
    if status["doubt"]:
        found.append(f"DOUBT: {status['doubt']}")
    if status["freeze"]:
        found.append(f"FROZEN: {status['freeze']['sentence']} (ends by itself, or by `failover resume`)")
    if status["pause"]:
        found.append(f"PAUSED {paused_by(status['pause'])} (`failover resume`)")
    if status["warm_up"]:
        warm = status["warm_up"]
        ready = f"{warm['vantages_ready']} of {warm['quorum']} vantages ready"
        found.append(_then(status, f"warming up after {warm['cause']}: {ready}; no automatic change yet"))
    if status["leader"].get("trouble"):
        found.append(f"JOURNAL: {status['leader']['trouble']} (no journal, no action)")
    return found


def paused_by(pause: dict[str, Any]) -> str:
    """`by ada@desk since 16:49:03 UTC: drill`."""
    return f"by {pause['by']} since {pause['at'][:19].replace('T', ' ')} UTC{because(pause)}"


def because(said: dict[str, Any]) -> str:
    """`: reason`, or nothing where none was given."""
    return f": {said['reason']}" if said["reason"] else ""


def _about_runs(status: dict[str, Any]) -> list[str]:
    """What a person is asked for: an approval, a word on a halted run, or on one that nobody drives."""
    found = []
    for run in status["runs"]:
        name = f"run {run['id']} ({run['run_kind']} of {run['domain']})"
        if run["state"] == "awaiting-approval":
            found.append(
                f"{name} waits for approval: `failover plan --run {run['id']}` shows it, `failover approve {run['id']}` starts it"
            )
        elif run["state"] == "halted":
            why = (run["halted"] or {}).get("sentence", "")
            found.append(
                f"{name} is halted: {why}; `failover resume-run {run['id']}` or `failover abort {run['id']}`"
            )
        elif run["state"] == "running" and not is_current(status):
            found.append(
                f"{name} stands still if nobody acts: a controller that starts resumes it, and so does `failover resume-run {run['id']}`"
            )
    return found


def about_zones(status: dict[str, Any]) -> list[str]:
    """Zones that cannot be read, and name servers that are silent or serve something else."""
    found = [
        f"zone {zone['name']} cannot be read, so its record sets are unknown and stay as they are: "
        f"{render.bare(zone['error'], zone['name'])}"
        for zone in status["zones"]
        if zone["error"]
    ]
    found += [
        f"zone {zone['name']}: {render.bare(sentence, zone['name'])}"
        for zone in status["zones"]
        if not zone["error"]
        for sentence in (*zone.get("drift", ()), *zone.get("warnings", ()))
    ]
    return found + [
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


def _about_promises(status: dict[str, Any]) -> list[str]:
    """Promises of the policy that the loss of some domain would break now, or of which nobody can say."""
    asked = status.get("survivability")
    if asked is None:
        return []
    found = []
    for row, word, verb in (
        ("broken", "PROMISE BROKEN", "would not survive"),
        ("unshown", "PROMISE NOT SHOWN", "is not known to survive"),
    ):
        told = [f"{item['application']} {verb} the loss of {item['domain']}" for item in asked.get(row, ())]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        if told:
            found.append(_then(status, f"{word}: {'; '.join(told[:3])}{more} (`failover survivability`)"))
    return found


def _not_done(status: dict[str, Any]) -> list[str]:
    found = []
    for item in status["refusals"]:
        about = f"{item['application']}: " if item["application"] else ""
        found.append(_then(status, f"not done: {about}{item['code']}: {item['sentence']}"))
    for item in status["recommendations"]:
        names = ", ".join(item["applications"])
        found.append(
            f"recommended for {names}: {item['run_kind']} of {item['domain']} (`failover plan {item['domain']}`)"
        )
    return found


# -- tables ------------------------------------------------------------------------------------------------------------


def replicas(ready: int | None, wanted: int | None, last_seen: int | None, *, serves: bool) -> str:
    """`8/8`; `0/8 (8 when last seen)` where clients are served no more; "-" where nobody ever looked."""
    if ready is None:
        return "-"
    return f"{ready}/{wanted}" if serves else f"{ready}/{wanted} ({last_seen} when last seen)"


def domains_of(cluster: dict[str, Any]) -> list[str]:
    """A cluster and its ancestors, as commands name them."""
    levels = (
        ("provider", "provider"),
        ("region", "region"),
        ("datacenter", "datacenter"),
        ("cluster", "name"),
    )
    return [f"{kind}/{cluster[key]}" for kind, key in levels]


def cordons_of(status: dict[str, Any], targets: list[str]) -> list[str]:
    """Who keeps these domains from being targets, and why."""
    return [
        f"cordoned ({item['target']}) by {item['by']}{because(item)}"
        for item in status["cordons"]
        if item["target"] in targets
    ]


def _clusters(status: dict[str, Any], *, wide: bool) -> None:
    headings = ["PROVIDER", "REGION", "DATACENTER", "CLUSTER", "VERDICT", "FOR", "READY", "NOTE"]
    rows = []
    for item in status["clusters"]:
        row = [
            item["provider"],
            item["region"],
            item["datacenter"],
            item["name"],
            aged(status, item["verdict"]),
            ago(item["since"]) if is_current(status) else "-",
            _cluster_ready(status, item),
        ]
        if wide:
            nodes = "-" if item["nodes_total"] is None else f"{item['nodes_ready']}/{item['nodes_total']}"
            row += [nodes, ago(item["inventory_at"]), item["fence"]]
        rows.append([*row, "; ".join(_cluster_notes(status, item, wide=wide))])
    if wide:
        headings[7:7] = ["NODES", "SEEN", "FENCE"]
    render.table(headings, rows)


def _cluster_ready(status: dict[str, Any], item: dict[str, Any]) -> str:
    word = replicas(
        item["replicas_ready"], item["replicas_wanted"], item["replicas_last_seen"], serves=item["serves"]
    )
    old = not item["inventory_fresh"] or not is_current(status)
    return f"{word}, {ago(item['inventory_at'])} ago" if old and item["serves"] and word != "-" else word


def _cluster_notes(status: dict[str, Any], item: dict[str, Any], *, wide: bool) -> list[str]:
    notes = cordons_of(status, domains_of(item))
    if item["hold_down_until"]:
        notes.append(f"held down until {item['hold_down_until'][11:19]} UTC (`failover ack {item['name']}`)")
    if item["verdict"] != "HEALTHY":
        notes.append(item["sentence"])
    if wide and item["inventory_error"]:
        notes.append(render.bare(item["inventory_error"], item["name"]))
    return notes


def _applications(status: dict[str, Any], *, wide: bool) -> None:
    rows = []
    for item in status["applications"]:
        ready = aged(status, f"{item['ready']}/{item['wanted']}", looked=True)
        for record in item["records"] or [None]:
            name = f"{record['name']} {record['type']}" if record else "-"
            values = (", ".join(record["values"]) if record["known"] else "unknown") if record else "-"
            row = [item["name"], item["mode"], ready, name, aged(status, values, looked=True)]
            if wide:
                row += [
                    item["on_shortage"],
                    ", ".join(f"{f['zone']} epoch {f['epoch']}" for f in item["fences"]),
                ]
            rows.append(row)
    headings = ["APPLICATION", "MODE", "READY", "RECORD", "ANSWERS"]
    render.table(headings + (["ON SHORTAGE", "FENCE"] if wide else []), rows)


def _vantages(status: dict[str, Any]) -> None:
    rows = []
    for item in status["vantages"]:
        cordon = cordons_of(status, [f"vantage/{item['name']}"])
        rows.append(
            [
                item["name"] + (" (controller)" if item["controller"] else ""),
                item["region"] or "outside",
                "; ".join([aged(status, item["state"]), *cordon]),
                ago(item["seen_at"]),
            ]
        )
    render.table(["VANTAGE", "REGION", "STATE", "SEEN"], rows)


def _zones(status: dict[str, Any]) -> None:
    rows = []
    for zone in status["zones"]:
        agree = sum(1 for item in zone["servers"] if item["matches"])
        servers = f"{agree}/{len(zone['servers'])} agree" if zone["servers"] else "-"
        readable = aged(status, "yes" if zone["readable"] else "NO", looked=True)
        rows.append(
            [zone["name"], readable, zone["serial"], servers, render.bare(zone["error"], zone["name"])]
        )
    render.table(["ZONE", "READABLE", "SERIAL", "SERVERS", "NOTE"], rows)


def _runs(status: dict[str, Any]) -> None:
    runs = [item for item in status["runs"] if item["state"] in OPEN] or status["runs"][-3:]
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
            ago(item["opened_at"]) + " ago",
            (item["halted"] or {}).get("sentence") or item["sentence"] or item["waits_for"],
        ]
        for item in runs
    ]
    render.table(["RUN", "KIND", "DOMAIN", "STATE", "CHANGES", "BY", "OPENED", "NOTE"], rows)


def _last_run(item: dict[str, Any]) -> str:
    """How the last run of a schedule ended, and when."""
    if not item["result"]:
        return "never ran"
    return f"{item['result']} {item['at'][:16].replace('T', ' ')} UTC" if item["at"] else str(item["result"])


def _schedules(status: dict[str, Any]) -> None:
    if status["schedules"]:
        render.line()
        rows = [
            [
                item["name"],
                item["job"],
                item["next"] or "-",
                _last_run(item),
                item["sentence"] or "",
            ]
            for item in status["schedules"]
        ]
        render.table(["SCHEDULE", "JOB", "NEXT", "LAST", "NOTE"], rows)
