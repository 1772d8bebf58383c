"""The lab's authoritative name server: UDP and TCP, RFC 2136 with TSIG and prerequisites, secondaries, faults.

Lives here: zone content as values, answers to messages, the sockets. May not live here: anything of the product's
adapter (`failover.dnszones`), so that the two are written from the RFCs independently and test each other.
"""

from failover.lab.nameserver.content import Content, empty_zone
from failover.lab.nameserver.faults import Faults
from failover.lab.nameserver.server import NameServer, new_key

__all__ = ["Content", "Faults", "NameServer", "empty_zone", "new_key"]
