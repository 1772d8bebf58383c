"""Where the record sets are not what the policies and the verdicts would have them: told, never touched."""

from failover.model.ids import ClusterName, Domain, DomainKind
from failover.model.plan import PlanRequest, RunKind
from failover.model.policy import Application, DNSName, Policy
from failover.model.records import RecordSet
from failover.model.snapshot import Snapshot
from failover.planner.eligibility import broken_there, target_refusals
from failover.planner.loss import Targets
from failover.planner.traffic import current_set, foreign_values, publishes_one, values_of
from failover.planner.world import World, absolute, see


def drift(snapshot: Snapshot, policy: Policy) -> tuple[str, ...]:
    """One sentence for each difference, in the policies' order. An unread zone is unknown, not different."""
    nothing = PlanRequest(
        run_kind=RunKind.STEERING, domain=Domain(kind=DomainKind.CLUSTER, name=""), sources=()
    )
    world = see(snapshot, policy, nothing)
    targets = target_refusals(world)
    sentences: dict[str, None] = {}
    for application in policy.applications:
        for name in application.dns:
            if name.zone not in world.zones:
                sentences[f"zone {name.zone} could not be read: its record sets are unknown"] = None
                continue
            sentences.update(dict.fromkeys(_of_name(world, application, name, targets)))
    return tuple(sentences)


def _of_name(world: World, application: Application, name: DNSName, targets: Targets) -> list[str]:
    held = current_set(world, name)
    what = _what(application, name)
    if held is None:
        return [f"{what} does not exist"]
    sentences = []
    if held.ttl != name.ttl:
        sentences.append(f"{what} has a TTL of {held.ttl} s, not {name.ttl} s")
    sentences += [
        f"{what} holds {value}, which is no cluster's endpoint" for value in foreign_values(world, name, held)
    ]
    current = values_of(name, held)
    for cluster in world.entries:
        values = world.published.get((name.record_type, cluster), ())
        if not values or not current.intersection(values):
            continue
        kind = world.kind(cluster)
        if kind.no_longer_serves:
            sentences.append(f"{what} publishes {cluster}, which is {kind}")
        if cluster not in name.clusters:
            sentences.append(f"{what} publishes {cluster}, which the policy does not list")
    sentences += _missing(world, application, name, targets, held)
    return sentences


def _what(application: Application, name: DNSName) -> str:
    """The record set in words, with its zone where several providers hold the name: each may differ in its own way."""
    places = [
        item for item in application.dns if (item.name, item.record_type) == (name.name, name.record_type)
    ]
    where = f" at {name.zone}" if len(places) > 1 else ""
    return f"{absolute(name.name)} {name.record_type} ({application.name}){where}"


def _missing(
    world: World, application: Application, name: DNSName, targets: Targets, held: RecordSet
) -> list[str]:
    """Healthy clusters that carry the application and are not published, or a better first one."""
    current = values_of(name, held)
    what = _what(application, name)
    sentences = []
    for cluster in name.clusters:
        values = world.published.get((name.record_type, cluster), ())
        if not values or targets.get(cluster) is not None or not _carries(world, application, cluster):
            continue
        missing = [value for value in values if value not in current]
        if missing:
            sentences.append(
                f"{what} lacks {', '.join(missing)} of {cluster}, which is healthy and carries it"
            )
        if publishes_one(name):
            break
    return sentences


def _carries(world: World, application: Application, cluster: ClusterName) -> bool:
    if broken_there(world, application, cluster) is not None:
        return False
    states = [world.state(cluster, workload.ref) for workload in application.workloads]
    return not application.workloads or any(state is not None and state.ready > 0 for state in states)
