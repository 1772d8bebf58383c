"""`failover explain DOMAIN|APPLICATION`: which votes, which rule, what would change the answer. From the status alone."""

import time
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.status import aged, ago, is_current, seconds_of
from failover.cli.table import about_age, about_zones, cordons_of, domains_of, paused_by, replicas
from failover.cli.telling import workload


def explain(status: dict[str, Any], name: str, output: render.Format) -> None:
    """Write the explanation of a domain, or of an application. Raises Stop for a name that is neither."""
    bare = name.split("/", 1)[-1]
    clusters = [
        item
        for item in status["clusters"]
        if bare in (item["name"], item["datacenter"], item["region"], item["provider"])
    ]
    applications = [item for item in status["applications"] if item["name"] == name]
    if not clusters and not applications:
        known = sorted(
            {item[key] for item in status["clusters"] for key in ("provider", "region", "datacenter", "name")}
        )
        names = [item["name"] for item in status["applications"]]
        raise Stop(
            exits.USAGE,
            f"{name!r} is neither a domain ({', '.join(known)}) nor an application ({', '.join(names)})",
        )
    refusals = [item for item in status["refusals"] if not applications or item["application"] in ("", name)]
    zones = [
        item
        for item in status["zones"]
        if clusters
        or any(record["zone"] == item["name"] for one in applications for record in one["records"])
    ]
    found = {
        "controller": status["controller"],
        "at": status["at"],
        "age_s": status["age_s"],
        "clusters": clusters,
        "applications": applications,
        "zones": zones,
        "refusals": refusals,
        "holding_back": _holding(status),
    }
    if render.data(found, output):
        return
    for sentence in about_age(status):
        render.line(f"! {sentence}")
    for item in clusters:
        _cluster(status, item)
    for item in applications:
        _application(status, item)
    for sentence in about_zones({"zones": zones}):
        render.line(f"  ! {sentence}")
    if refusals:
        render.line("why nothing (more) is done:")
        for item in refusals:
            _refusal(item)
    for sentence in _survivability(status, {*(item["name"] for item in applications)}, clusters):
        render.line(sentence)
    for sentence in found["holding_back"]:
        render.line(f"automation is held back: {sentence}")


def _survivability(
    status: dict[str, Any], applications: set[str], clusters: list[dict[str, Any]]
) -> list[str]:
    """What the calendar last found about the loss of these domains, or about these applications' promises."""
    asked = status.get("survivability")
    if asked is None:
        return []
    domains = {domain for item in clusters for domain in domains_of(item)}
    when = f"asked {ago(asked['at'])} ago"
    found = [_lost(item, when) for item in asked["outcomes"] if domains & set(item["domains"])]
    for row, verb in (
        ("broken", "would be broken"),
        ("unshown", "cannot be shown to hold, and might be broken"),
    ):
        found += [
            f"the promise {item['promise']} {verb} by the loss of {item['domain']} ({when})"
            for item in asked.get(row, ())
            if item["application"] in applications
        ]
    return found


def _lost(item: dict[str, Any], when: str) -> str:
    where, source = ", ".join(item["domains"]), f"({when}; `failover survivability`)"
    if item["survives"] is None:
        return f"nobody knows what its loss ({where}) would mean: {', '.join(item['unseen'])} not seen lately {source}"
    waiting = item.get("waiting", 0)
    told = f"{item['unplaced']} replicas without a place, {item['shed']} given up" + (
        f", {waiting} that only a person moves" if waiting else ""
    )
    return f"its loss ({where}) would not be survived whole: {told} {source}"


def _holding(status: dict[str, Any]) -> list[str]:
    found = []
    if not is_current(status):
        found.append(f"controller {status['controller']}")
    if status["pause"]:
        found.append(
            f"paused {paused_by(status['pause'])}; `failover resume` ends it; a person's commands still work"
        )
    if status["freeze"]:
        found.append(f"frozen: {status['freeze']['sentence']}")
    if status["warm_up"]:
        found.append(f"warming up after {status['warm_up']['cause']}")
    if status["doubt"]:
        found.append(status["doubt"])
    return found


def _cluster(status: dict[str, Any], item: dict[str, Any]) -> None:
    place = f"{item['provider']} / {item['region']} / {item['datacenter']}"
    render.line(f"{item['name']} ({place}): {aged(status, item['verdict'])}")
    render.line(f"  {item['sentence']}")
    for signal in item["signals"]:
        word = {"D": "data plane", "C": "control plane"}[signal["signal"]]
        render.line(f"  {word}: {signal['state']} (quorum {signal['quorum']} of {signal['configured']})")
        for vote in signal["votes"]:
            age = (
                "never"
                if vote["seen_at"] is None
                else f"{time.time() - seconds_of(vote['seen_at']):.1f} s ago"
            )
            why = f"   {vote['reason']}" if vote["reason"] else ""
            render.line(
                f"    {vote['vantage']:<16} {vote['vote']:<8} {vote['outcome'] or '-':<13} {age}{why}"
            )
    if item["replicas_ready"] is not None:
        counts = (item["replicas_ready"], item["replicas_wanted"], item["replicas_last_seen"])
        render.line(
            f"  replicas: {replicas(*counts, serves=item['serves'])} (looked at {ago(item['inventory_at'])} ago)"
        )
    if item["nodes"]:
        render.line(f"  nodes: {_look(item['nodes'], item['name'])}; this informs, and makes no verdict")
    for found in item["duplicates"]:
        render.line(
            f"  {found['replicas']} replicas run here again that run {found['run']} replaced elsewhere; nothing is deleted"
        )
    for sentence in item.get("taken_back", []):
        render.line(f"  {sentence}")
    if item["hold_down_until"]:
        render.line(f"  held down until {item['hold_down_until']}; `failover ack {item['name']}` releases it")
    for sentence in cordons_of(status, domains_of(item)):
        render.line(f"  {sentence}; `failover uncordon` undoes it")
    if item["inventory_error"]:
        render.line(f"  inventory: {render.bare(item['inventory_error'], item['name'])}")
    for sentence in item["odd"]:
        render.line(f"  odd: {sentence}")
    if is_current(status):
        render.line(f"  what would change the answer: {_what_would_change(item)}")
    else:
        render.line("  what would change the answer: a controller that watches; nobody judges at present")


def _what_would_change(item: dict[str, Any]) -> str:
    verdict = item["verdict"]
    if verdict == "HEALTHY":
        quorum = item["signals"][0]["quorum"] if item["signals"] else "a quorum"
        return f"{quorum} vantages outside its region that see the data plane down, and none that sees it up"
    if verdict in ("CONTROL_PLANE_DOWN", "CONTROL_PLANE_UNKNOWN"):
        return "its data plane going down as well; an API server alone never moves anything"
    if verdict == "PATH_PROBLEM":
        return (
            "the dissenting vantage changing its mind, or `failover cordon vantage/NAME` where it is broken"
        )
    if verdict == "UNKNOWN":
        return "fresh observations from a quorum of vantages; unknown is never down"
    return (
        "one success from outside resets the clock; a confirmed verdict lets automation act within the guards"
    )


def _application(status: dict[str, Any], item: dict[str, Any]) -> None:
    carried = aged(status, f"{item['ready']} of {item['wanted']} replicas ready", looked=True)
    render.line(
        f"{item['name']}: mode {item['mode']}, floor {item['floor']} %, on shortage {item['on_shortage']}; {carried}"
    )
    for cluster in item["clusters"]:
        own = (
            f"   own verdict {aged(status, cluster['verdict'])}: {cluster['sentence']}"
            if cluster["verdict"]
            else ""
        )
        word = replicas(cluster["ready"], cluster["wanted"], cluster["last_seen"], serves=cluster["serves"])
        ready = "never seen" if word == "-" else aged(status, f"{word} ready", looked=True)
        look = f"   {_look(cluster['workloads'], cluster['cluster'])}" if cluster["workloads"] else ""
        render.line(f"  {cluster['cluster']:<18} {ready}{own}{look}")
    if "placement" in item:  # a controller of an earlier version says nothing of it
        _placement(item["placement"])
    for record in item["records"]:
        values = ", ".join(record["values"]) if record["known"] else "unknown (the zone cannot be read)"
        render.line(
            f"  {record['name']} {record['type']} {record['ttl'] or ''} -> {aged(status, values, looked=True)}"
        )
    for fence in item["fences"]:
        render.line(
            f"  fence in {fence['zone']}: owner {fence['owner']}, epoch {fence['epoch']}, plan {fence['plan']}"
        )


def _placement(placement: dict[str, Any]) -> None:
    """Which rules hold now, and why the latest run placed each replica where it did."""
    promise = f", promises to survive the loss of a {placement['survives']}" if placement["survives"] else ""
    window = f", window {placement['window']} holds" if placement["window"] else ""
    render.line(f"  tier {placement['tier']}{promise}{window}")
    for item in placement["workloads"]:
        rules = ", ".join(_rule(rule) for rule in item["rules"])
        spread = "".join(
            f"; over {one['over']}s"
            + (f", at least {one['at_least']}" if one["at_least"] else "")
            + (f", at most {one['at_most_percent']} % in one" if one["at_most_percent"] else "")
            for one in item["spread"]
        )
        standby = f"; {item['standby']} kept warm in later groups" if item["standby"] else ""
        render.line(f"  {workload(item['workload'])}: {item['strategy']} over {rules}{spread}{standby}")
    if placement["why"]:
        render.line(f"  why it stands where it stands (run {placement['why_run']}):")
    for row in placement["why"]:
        run = row.get("run", placement["why_run"])
        other = f" (run {run})" if run != placement["why_run"] else ""
        render.line(
            f"    {workload(row['workload'])} in {row['cluster']}: {row['before']} -> {row['after']}: {row['reason']}{other}"
        )
        if row["would_change"]:
            render.line(f"      what would change it: {row['would_change']}")


def _rule(rule: dict[str, Any]) -> str:
    bounds = [f"weight {rule['weight']}"]
    bounds += [f"min {rule['min']}"] if rule["min"] else []
    bounds += [f"max {rule['max']}"] if rule["max"] is not None else []
    bounds += [f"group {rule['group']}"] if rule["group"] else []
    return f"{rule['cluster']} ({', '.join(bounds)})"


def _look(look: dict[str, Any], cluster: str) -> str:
    return f"{look['outcome']}, {render.bare(look['detail'], cluster)} ({ago(look['seen_at'])} ago)"


def _refusal(item: dict[str, Any]) -> None:
    about = f"{item['application']}: " if item["application"] else ""
    override = f"   (a person may --override {item['code']})" if item["overridable"] else ""
    render.line(f"  {about}{item['code']}: {item['sentence']}{override}")
    for fact in item["evidence"]:
        render.line(f"    {fact}")
