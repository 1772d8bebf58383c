"""Free room of the clusters while one plan is made: shared by all of its workloads, taken node by node."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from failover.model.ids import ClusterName
from failover.model.inventory import ClusterInventory, Resources
from failover.model.resources import first_fit, minus, places_on, total


@dataclass(slots=True, kw_only=True)
class _Room:
    """One cluster's nodes in the order of their names, and how many replicas of each size they still hold."""

    nodes: list[Resources]
    whole: list[Resources]
    places: dict[Resources, int] = field(default_factory=dict)
    places_at_most: dict[Resources, int] = field(default_factory=dict)


class FreeCapacity:
    """What is left in each cluster. An application that is left out gives back what it took (`mark`, `give_back`)."""

    def __init__(
        self,
        inventories: Mapping[ClusterName, ClusterInventory],
        assumed: Mapping[ClusterName, Resources] | None = None,
    ) -> None:
        """`assumed`: what counts as free, as if on one node, in clusters that have no node that could tell."""
        self._inventories = inventories
        self._assumed = assumed or {}
        self._rooms: dict[ClusterName, _Room] = {}
        self._taken: list[tuple[ClusterName, int, Resources]] = []

    def places(self, cluster: ClusterName, requests: Resources) -> int:
        """How many more replicas of these requests fit there now; 0 where nothing is known."""
        room = self._room(cluster)
        if requests not in room.places:
            room.places[requests] = sum(places_on(free, requests) for free in room.nodes)
        return room.places[requests]

    def places_at_most(self, cluster: ClusterName, requests: Resources) -> int:
        """How many replicas of these requests its nodes hold when nothing else runs on them."""
        room = self._room(cluster)
        if requests not in room.places_at_most:
            room.places_at_most[requests] = sum(places_on(whole, requests) for whole in room.whole)
        return room.places_at_most[requests]

    def take(self, cluster: ClusterName, requests: Resources, replicas: int) -> None:
        """Use up the room of `replicas`; the caller asked `places` before."""
        room = self._room(cluster)
        before = self.places(cluster, requests)
        left = replicas
        for index, number in first_fit(room.nodes, requests, replicas):
            self._taken.append((cluster, index, room.nodes[index]))
            room.nodes[index] = minus(room.nodes[index], requests, number)
            left -= number
        if left:
            raise ValueError(f"{cluster} has no room for {left} of {replicas} replicas")
        room.places = {requests: before - replicas}

    def total(self, cluster: ClusterName) -> Resources:
        """What is left there, over all nodes."""
        return total(self._room(cluster).nodes)

    def largest(self, cluster: ClusterName) -> Resources:
        """Of each resource, the most that is left on any one node."""
        return _largest(self._room(cluster).nodes)

    def largest_node(self, cluster: ClusterName) -> Resources:
        """Of each resource, the most that any one node has when nothing runs on it."""
        return _largest(self._room(cluster).whole)

    def mark(self) -> int:
        """A point to come back to."""
        return len(self._taken)

    def give_back(self, mark: int) -> None:
        """Undo everything that was taken since `mark`."""
        while len(self._taken) > mark:
            cluster, index, free = self._taken.pop()
            room = self._room(cluster)
            room.nodes[index] = free
            room.places = {}

    def _room(self, cluster: ClusterName) -> _Room:
        room = self._rooms.get(cluster)
        if room is None:
            inventory = self._inventories.get(cluster)
            nodes = sorted(inventory.nodes, key=lambda node: node.name) if inventory else []
            free, whole = [node.free for node in nodes], [node.most for node in nodes]
            if inventory is not None and inventory.capacity_unknown and cluster in self._assumed:
                free = whole = [self._assumed[cluster]]
            room = self._rooms[cluster] = _Room(nodes=[*free], whole=[*whole])
        return room


def _largest(nodes: list[Resources]) -> Resources:
    most: dict[str, int] = {}
    for node in nodes:
        for name, amount in node.amounts():
            most[name] = max(most.get(name, 0), amount)
    return Resources.of(most)
