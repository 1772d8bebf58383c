"""Ready-made labs that scenarios name: three regions with a cluster each, or five clusters in four datacenters."""

from typing import Any

from failover.lab.processes import free_port
from failover.lab.topology import Lab, LabApplication, LabCluster, LabVantage

THREE = (
    ("alpha", "north", "north-a", "north-1"),
    ("alpha", "south", "south-a", "south-1"),
    ("beta", "west", "west-a", "west-1"),
)
FIVE = (
    ("alpha", "north", "north-a", "north-a1"),
    ("alpha", "north", "north-b", "north-b1"),
    ("alpha", "south", "south-a", "south-a1"),
    ("alpha", "south", "south-a", "south-a2"),
    ("beta", "west", "west-a", "west-a1"),
)
PRESETS = {"three-regions": THREE, "five-clusters": FIVE}
REPLICAS_PER_CLUSTER = 2


def make_lab(preset: str = "three-regions", **changes: Any) -> Lab:
    """A lab with free ports. `changes`: fields of Lab; `dns`: its providers; `standby`: room for a second controller;
    `applications` as (name, deployments, replicas[, mode[, more]]) rows, `more` being further fields of LabApplication;
    `nodes`: of each cluster.
    """
    places = PRESETS[preset]
    dns = tuple(changes.pop("dns", ["rfc2136"]))
    ports = free_port(len(places) + 3 + 3 * len(dns))
    standby_port = ports.pop() if changes.pop("standby", False) else 0
    dns_api_ports = tuple(0 if provider == "rfc2136" else ports.pop() for provider in dns)
    dns_ports = tuple(ports.pop() for _ in range(2 * len(dns)))
    endpoint_port = ports.pop()
    nodes = {"nodes": changes.pop("nodes")} if "nodes" in changes else {}
    clusters = tuple(
        LabCluster(
            name=name,
            provider=provider,
            region=region,
            datacenter=datacenter,
            address=f"127.0.1.{number + 1}",
            endpoint_port=endpoint_port,
            api_port=ports[number],
            **nodes,
        )
        for number, (provider, region, datacenter, name) in enumerate(places)
    )
    regions = tuple(dict.fromkeys(cluster.region for cluster in clusters))
    vantages = (
        LabVantage(name="control", region="", source="127.0.2.1", controller=True),
        LabVantage(name="elsewhere", region="", source="127.0.2.2"),
        *(
            LabVantage(name=region, region=region, source=f"127.0.2.{number + 3}")
            for number, region in enumerate(regions)
        ),
    )
    share = REPLICAS_PER_CLUSTER * len(places)
    rows = changes.pop("applications", [["shop", 3, share], ["ledger", 1, share]])
    applications = tuple(
        LabApplication(
            name=row[0],
            deployments=row[1],
            replicas=row[2],
            mode=row[3] if len(row) > 3 else "auto",
            **(row[4] if len(row) > 4 else {}),
        )
        for row in rows
    )
    return Lab(
        clusters=clusters,
        vantages=vantages,
        applications=applications,
        listen_port=ports[-1],
        dns_ports=dns_ports,
        dns=dns,
        dns_api_ports=dns_api_ports,
        standby_port=standby_port,
        **changes,
    )
