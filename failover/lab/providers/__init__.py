"""Strict stand-ins for DNS providers that cannot be rented for a rehearsal: Route 53 and Cloud DNS on loopback.

Lives here: their HTTP APIs with limits, atomicity and delays as documented, and the name servers behind them. May not
live here: anything of the product's adapters (`failover.dnszones`); the vendors' own clients speak to these.
"""

from failover.lab.providers.behind import ProviderFaults, ServedBy
from failover.lab.providers.clouddns import CloudDNSFake
from failover.lab.providers.route53 import Route53Fake

__all__ = ["CloudDNSFake", "ProviderFaults", "Route53Fake", "ServedBy"]
