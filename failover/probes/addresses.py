"""Which addresses a data-plane probe may go to: policies may come from many teams (facts: SSRF).

Never: link-local (cloud metadata lives there), multicast, unspecified. Loopback, private and shared ranges only where the
fleet's `probes.allowCidrs` names them.
"""

import ipaddress
from collections.abc import Iterable

_METADATA = ipaddress.ip_address("fd00:ec2::254")


def refusal_of(address: str, allow_cidrs: Iterable[str]) -> str:
    """Why this literal address may not be probed, or "" where it may."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return f"{address!r} is not a literal IP address"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_link_local or ip == _METADATA:
        return f"{address} is link-local, where cloud metadata services live"
    if ip.is_multicast or ip.is_unspecified:
        return f"{address} is not a unicast address"
    if not ip.is_global:
        networks = (ipaddress.ip_network(cidr, strict=False) for cidr in allow_cidrs)
        documentation = any(ip in network for network in _DOCUMENTATION if network.version == ip.version)
        if not documentation and not any(ip in net for net in networks if net.version == ip.version):
            return f"{address} is a private or loopback address that probes.allowCidrs does not name"
    return ""


_DOCUMENTATION = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
