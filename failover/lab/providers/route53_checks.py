"""Health checks of the Route 53 stand-in: nothing is probed; `Inverted` and `Disabled` decide, as documented."""

from dataclasses import dataclass, replace
from xml.etree import ElementTree

from failover.lab.providers.xml import element


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One health check. `healthy`: what its probe would say; `config`: its document's fields but the two switches."""

    id: str
    reference: str
    config: tuple[tuple[str, str], ...]
    version: int = 1
    inverted: bool = False
    disabled: bool = False
    healthy: bool = True

    @property
    def passes(self) -> bool:
        """A disabled check counts as healthy, and is inverted like any other (facts/dns.md 2.1)."""
        return (self.healthy or self.disabled) is not self.inverted

    @classmethod
    def created(cls, document: ElementTree.Element, *, number: int) -> "HealthCheck":
        """From a CreateHealthCheckRequest."""
        found = document.find("HealthCheckConfig")
        fields = {node.tag: node.text or "" for node in found} if found is not None else {}
        return cls(
            id=f"00000000-0000-4000-8000-{number:012d}",
            reference=document.findtext("CallerReference", ""),
            config=tuple(sorted((k, v) for k, v in fields.items() if k not in ("Inverted", "Disabled"))),
            inverted=fields.get("Inverted") == "true",
            disabled=fields.get("Disabled") == "true",
        )

    def updated(self, document: ElementTree.Element) -> "HealthCheck | None":
        """After an UpdateHealthCheckRequest, None where its version is not the current one."""
        version = document.findtext("HealthCheckVersion")
        if version is not None and int(version) != self.version:
            return None
        inverted, disabled = document.findtext("Inverted"), document.findtext("Disabled")
        return replace(
            self,
            version=self.version + 1,
            inverted=self.inverted if inverted is None else inverted == "true",
            disabled=self.disabled if disabled is None else disabled == "true",
        )

    def xml(self) -> str:
        """Its document."""
        config = "".join(element(key, value) for key, value in self.config)
        config += element("Inverted", str(self.inverted).lower()) + element(
            "Disabled", str(self.disabled).lower()
        )
        return (
            f"<HealthCheck>{element('Id', self.id)}{element('CallerReference', self.reference)}"
            f"<HealthCheckConfig>{config}</HealthCheckConfig>{element('HealthCheckVersion', self.version)}</HealthCheck>"
        )
