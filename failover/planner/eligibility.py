"""Which clusters may take replicas, and why not."""

from failover.model.ids import ClusterName
from failover.model.policy import Application, ClusterEntry
from failover.model.reasons import Refusal
from failover.model.snapshot import Cordon
from failover.model.verdict import VerdictKind
from failover.planner.world import World


def target_refusals(world: World) -> dict[ClusterName, Refusal | None]:
    """For every cluster of the fleet: None where it may be a target, else why it is none."""
    return {
        name: Refusal(code="source", sentence=f"{name} is a source of this plan", overridable=False)
        if name in world.sources
        else target_refusal(world, entry)
        for name, entry in world.entries.items()
    }


def broken_there(world: World, application: Application, cluster: ClusterName) -> Refusal | None:
    """An application that runs in a cluster and is not reached there takes nothing more there."""
    if not world.application_broken(application, cluster):
        return None
    return Refusal(
        code="application-down",
        sentence=f"clients do not reach {application.name} in {cluster} although it runs there",
        application=application.name,
    )


def target_refusal(world: World, entry: ClusterEntry) -> Refusal | None:
    """Why this cluster may not take replicas, source or not; None where it may."""
    kind = world.kind(entry.name)
    if kind is not VerdictKind.HEALTHY:
        return Refusal(
            code="not-healthy",
            sentence=f"{entry.name} is {kind}",
            evidence=(f"verdict={kind}",),
            overridable=False,
        )
    return _cordoned(world, entry) or _held_down(world, entry) or _inventory(world, entry)


def _cordoned(world: World, entry: ClusterEntry) -> Refusal | None:
    cordon = cordon_of(entry, world.snapshot.cordons)
    if cordon is None or "cordoned" in world.request.overrides:
        return None
    why = f": {cordon.reason}" if cordon.reason else ""
    return Refusal(
        code="cordoned",
        sentence=f"{entry.name} is cordoned ({cordon.target} by {cordon.by}{why})",
        evidence=(f"cordon={cordon.target}",),
    )


def cordon_of(entry: ClusterEntry, cordons: tuple[Cordon, ...]) -> Cordon | None:
    """The first cordon, by name, on the cluster or on any domain that it lies in."""
    names = {text for domain in entry.domains() for text in (domain.name, str(domain))}
    found = [cordon for cordon in cordons if cordon.target in names]
    return min(found, key=lambda cordon: (cordon.target, cordon.by, cordon.reason), default=None)


def _held_down(world: World, entry: ClusterEntry) -> Refusal | None:
    until = world.verdicts[entry.name].hold_down_until
    if until is None or until <= world.snapshot.now.wall or "held-down" in world.request.overrides:
        return None
    return Refusal(
        code="held-down",
        sentence=f"{entry.name} flapped and stays ineligible until {until:%Y-%m-%d %H:%M:%S}Z",
        evidence=(f"until={until.isoformat()}",),
    )


def _inventory(world: World, entry: ClusterEntry) -> Refusal | None:
    age = world.inventory_age_s(entry.name)
    if age is None:
        return Refusal(
            code="no-inventory",
            sentence=f"nothing is known about what {entry.name} holds",
            overridable=False,
        )
    if not world.fresh(entry.name):
        limit = world.policy.fleet.timing.inventory_max_age_s
        return Refusal(
            code="inventory-too-old",
            sentence=f"the last look at {entry.name} is {age:.0f} s old, more than {limit:g} s",
            evidence=(f"age_s={age:.0f}",),
            overridable=False,
        )
    if world.inventories[entry.name].capacity_unknown and entry.assumed_free is None:
        return Refusal(
            code="no-capacity",
            sentence=(
                f"{entry.name} has no node that could tell what fits; assumedFree in its entry says what may be counted on"
            ),
            evidence=("nodes=0",),
            overridable=False,
        )
    return None
