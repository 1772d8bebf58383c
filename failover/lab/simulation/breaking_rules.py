"""Controllers whose guards are broken, and what the guards keep from happening: evidence that ran out, names of others."""

from failover.execution import safety

from .breaking import Patch, nothing


def goes_on() -> list[Patch]:
    return [(safety, "returned_sources", nothing), (safety, "stale_evidence", nothing)]
