"""What is really so in a lab, asked of its name servers and API servers and not of the controller."""

import contextlib
import json
import ssl
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import yaml

from failover.lab.processes import LabProcesses
from failover.lab.refusals import refusals_in
from failover.lab.sleeper import outcomes_in
from failover.lab.topology import ZONE, workload_names

ASK_EVERY_S = 0.1
WEIGHTED_LOOKS = 60


def answers(lab: LabProcesses, application: str, server: int = 0) -> tuple[str, ...] | None:
    """Addresses that a name server gives for an application; None where it does not answer."""
    question = dns.message.make_query(f"{application}.{ZONE}", dns.rdatatype.A)
    with contextlib.suppress(dns.exception.DNSException, OSError):
        answer = dns.query.udp(question, "127.0.0.1", port=lab.lab.dns_ports[server], timeout=1.0)
        return tuple(
            sorted(item.address for rrset in answer.answer for item in rrset if hasattr(item, "address"))
        )
    return None


def fence_epoch(lab: LabProcesses, application: str, server: int) -> int | None:
    """The epoch in an application's fence as a name server gives it; None without an answer or a fence."""
    question = dns.message.make_query(f"_failover-fence.{application}.{ZONE}", dns.rdatatype.TXT)
    with contextlib.suppress(dns.exception.DNSException, OSError):
        answer = dns.query.udp(question, "127.0.0.1", port=lab.lab.dns_ports[server], timeout=1.0)
        texts = [b"".join(item.strings).decode() for rrset in answer.answer for item in rrset]
        found = [word for text in texts for word in text.split() if word.startswith("epoch=")]
        return int(found[0].partition("=")[2]) if found else None
    return None


def _seen(lab: LabProcesses, application: str, server: int) -> tuple[str, ...]:
    """Every address that a weighted set gives in many answers, of which each has one."""
    found = (answers(lab, application, server) for _ in range(WEIGHTED_LOOKS))
    return tuple(sorted({address for one in found for address in one or ()}))


def workloads(lab: LabProcesses, cluster: str) -> dict[str, tuple[int, int]] | None:
    """`namespace/name` -> (wanted, ready) in a cluster; None where its API server does not answer."""
    one = next(item for item in lab.lab.clusters if item.name == cluster)
    assert lab.certificates is not None
    token = yaml.safe_load((lab.folder / "kubeconfig.yaml").read_text())["users"][0]["user"]["token"]
    found: dict[str, tuple[int, int]] = {}
    context = ssl.create_default_context(cafile=str(lab.certificates.authority))
    request = urllib.request.Request(
        f"https://127.0.0.1:{one.api_port}/apis/apps/v1/deployments",
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=2.0, context=context) as response:  # noqa: S310
            items = json.load(response)["items"]
    except (OSError, ValueError):
        return None
    for item in items:
        name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        found[name] = (item["spec"]["replicas"], item.get("status", {}).get("readyReplicas", 0))
    return found


def expected_workloads(lab: LabProcesses) -> dict[str, int]:
    """`namespace/name` -> replicas that clients need over the whole fleet."""
    return {
        f"{app.name}/{name}": app.replicas // len(lab.lab.clusters) * len(lab.lab.clusters)
        for app in lab.lab.applications
        for name in workload_names(app)
    }


@dataclass(slots=True)
class Watch:
    """Asks the primary all the time, in a thread; collects what must never be seen (I13)."""

    lab: LabProcesses
    violations: list[str] = field(default_factory=list)
    asked: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        known = {cluster.address for cluster in self.lab.lab.clusters}
        while not self._stop.is_set():
            for app in self.lab.lab.applications:
                server = self.asked % len(self.lab.lab.dns_ports)
                found = answers(self.lab, app.name, server) if server not in self.lab.dead_servers else None
                if found is None:
                    self.asked += server in self.lab.dead_servers
                    continue
                self.asked += 1
                if not found:
                    self._note(f"{app.name}.{ZONE} was empty")
                elif set(found) - known:
                    self._note(f"{app.name}.{ZONE} named {', '.join(sorted(set(found) - known))}")
            time.sleep(ASK_EVERY_S)

    def _note(self, sentence: str) -> None:
        if sentence not in self.violations:
            self.violations.append(sentence)


def check_unnamed(lab: LabProcesses, domain: str) -> list[str]:
    """What is wrong if every name server is to answer, and with no address of a domain."""
    gone = {one.address for one in lab.lab.in_domain(domain)}
    wrong = []
    for app in lab.lab.applications:
        for server in range(len(lab.lab.dns_ports)):
            found = _seen(lab, app.name, server)
            if not found or gone & set(found):
                wrong.append(f"name server {server} answers {', '.join(found) or 'nothing'} for {app.name}")
    return wrong


def check_moved(lab: LabProcesses, moved: list[str]) -> list[str]:
    """What is wrong if exactly these clusters were moved away from: DNS, replicas, and nothing else changed."""
    wrong: list[str] = []
    serving = sorted(one.address for one in lab.lab.clusters if one.name not in moved)
    for app in lab.lab.applications:
        for server in range(len(lab.lab.dns_ports)):
            if server in lab.dead_servers:
                continue
            found = answers(lab, app.name, server)
            if lab.lab.weights:
                found = _seen(lab, app.name, server)
            if found != tuple(serving):
                wrong.append(
                    f"name server {server} answers {found} for {app.name}, expected {', '.join(serving)}"
                )
    totals: dict[str, int] = {}
    unread = (
        0  # a cluster that serves but whose API server does not answer keeps its share: it cannot be asked
    )
    for one in lab.lab.clusters:
        if one.name in moved:
            continue
        states = workloads(lab, one.name)
        unread += states is None
        for name, (_, ready) in (states or {}).items():
            totals[name] = totals.get(name, 0) + ready
    for name, fleet_wide in expected_workloads(lab).items():
        wanted = fleet_wide - unread * (fleet_wide // len(lab.lab.clusters))
        if totals.get(name, 0) != wanted:
            wrong.append(
                f"{name} has {totals.get(name, 0)} ready replicas outside {moved or 'nothing'}, expected {wanted}"
            )
    return wrong


def check_placed(lab: LabProcesses, placed: dict[str, dict[str, int]]) -> list[str]:
    """What is wrong if these were the ready replicas of each application by cluster. `rest`: in all other clusters that
    answer.
    """
    wrong = []
    for name, rows in placed.items():
        found = {
            one.name: sum(ready for key, (_, ready) in states.items() if key.startswith(f"{name}/"))
            for one in lab.lab.clusters
            if (states := workloads(lab, one.name)) is not None
        }
        rest = sum(count for cluster, count in found.items() if cluster not in rows)
        for where, count in rows.items():
            real = rest if where == "rest" else found.get(where)
            if real != count:
                wrong.append(f"{name} has {real} ready replicas in {where}, expected {count}")
    return wrong


def check_fenced_off(lab: LabProcesses) -> list[str]:
    """What is wrong if every provider had to refuse a controller that woke with a change in its hand, because of the fence.

    By the word of the servers: each refused a change of an older epoch than that of the fence which stood there. And by what
    the controller was told: fenced off, not merely in conflict, and not stopped by its own look at its lease.
    """
    wrong = []
    refused = refusals_in((lab.folder / "names.log").read_text(errors="replace"))
    outcomes = outcomes_in(lab.asleep)
    for provider, zone in zip(lab.lab.dns, lab.lab.zone_names(), strict=True):
        stale = [item for item in refused if item.provider == provider]
        if not any(item.stands is not None and item.sent.epoch < item.stands.epoch for item in stale):
            wrong.append(f"no change of an older epoch than its fence's ever came to {provider}")
        outcome, sentence = outcomes.get(zone, ("never sent", ""))
        if outcome != "FencedOff":
            wrong.append(f"what the woken controller sent to zone {zone}: {outcome} {sentence}")
    return wrong


def check_home(lab: LabProcesses) -> list[str]:
    """What is wrong if everything should be as it was at first."""
    wrong = check_moved(lab, [])
    share = {name: count // len(lab.lab.clusters) for name, count in expected_workloads(lab).items()}
    for one in lab.lab.clusters:
        states = workloads(lab, one.name) or {}
        wrong += [
            f"{name} has {states.get(name, (0, 0))[0]} replicas in {one.name}, at first {count}"
            for name, count in share.items()
            if states.get(name, (0, 0))[0] != count
        ]
    return wrong


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """The parts of a run report that a scenario's report shows."""
    return {key: report[key] for key in ("phases", "replicas", "records")}
