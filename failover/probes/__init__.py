"""Data-plane and control-plane probers, a vantage's references, and the cadence that runs them.

Lives here: sending probes and classifying what came back. May not live here: votes or verdicts (health), credentials,
anything that changes the outside.
"""

from failover.probes.cadence import ProbeRunner
from failover.probes.definitions import build_definitions
from failover.probes.prober import ProberSet
from failover.probes.references import SelfCheck

__all__ = ["ProbeRunner", "ProberSet", "SelfCheck", "build_definitions"]
