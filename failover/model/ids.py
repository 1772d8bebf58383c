"""Names and ids. `NewType`s, so that a cluster's name is never taken for a region's."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

ProviderName = NewType("ProviderName", str)
RegionName = NewType("RegionName", str)
DatacenterName = NewType("DatacenterName", str)
ClusterName = NewType("ClusterName", str)
VantageName = NewType("VantageName", str)
ApplicationName = NewType("ApplicationName", str)
ZoneName = NewType("ZoneName", str)
ScheduleName = NewType("ScheduleName", str)

RunId = NewType("RunId", str)
IntentId = NewType("IntentId", str)
StepId = NewType("StepId", str)
Epoch = NewType("Epoch", int)


class DomainKind(StrEnum):
    """The levels of the failure-domain tree, widest first; the fleet is its root, and nothing that could be lost. A DNS zone is
    no level: it is what a repair is about.
    """

    FLEET = "fleet"
    PROVIDER = "provider"
    REGION = "region"
    DATACENTER = "datacenter"
    CLUSTER = "cluster"
    ZONE = "zone"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Domain:
    """One node of the failure-domain tree. Written `eu-west`, or `region/eu-west` where a name is ambiguous."""

    kind: DomainKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a verdict is about: a cluster, or one application at one cluster."""

    cluster: ClusterName
    application: ApplicationName | None = None

    def __str__(self) -> str:
        return self.cluster if self.application is None else f"{self.application}@{self.cluster}"

    @property
    def key(self) -> tuple[str, str]:
        """Sort key: the cluster's own subject comes before its applications'."""
        return (self.cluster, self.application or "")
