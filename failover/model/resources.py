"""What a replica asks for and what a node gives: CPU, memory, pods, and any extended resource."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CPU, MEMORY, PODS = "cpu", "memory", "pods"
"""Names of the resources that every cluster has; any other name is an extended one, such as `nvidia.com/gpu`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """CPU in millicores, memory in bytes, number of pods; `extended`: (name, whole units), by name."""

    cpu_m: int = 0
    memory: int = 0
    pods: int = 1
    extended: tuple[tuple[str, int], ...] = ()

    def amounts(self) -> Iterator[tuple[str, int]]:
        """(name, amount) of every resource."""
        yield CPU, self.cpu_m
        yield MEMORY, self.memory
        yield PODS, self.pods
        yield from self.extended

    def by_name(self) -> dict[str, int]:
        """Amounts by name."""
        return dict(self.amounts())

    @classmethod
    def of(cls, amounts: Mapping[str, int]) -> "Resources":
        """From amounts by name; what is not named is 0."""
        known = (CPU, MEMORY, PODS)
        return cls(
            cpu_m=amounts.get(CPU, 0),
            memory=amounts.get(MEMORY, 0),
            pods=amounts.get(PODS, 0),
            extended=tuple(sorted((name, amount) for name, amount in amounts.items() if name not in known)),
        )

    @property
    def asks_for_nothing(self) -> bool:
        """No CPU, no memory, nothing extended: how many of it fit cannot be told."""
        return not self.cpu_m and not self.memory and not any(amount for _, amount in self.extended)


ONE_POD = Resources()
"""What a replica takes that requests nothing: a place among the pods of a node."""
NOTHING = Resources(pods=0)


def places_on(free: Resources, requests: Resources) -> int:
    """Replicas of `requests` that one node's free resources hold."""
    limits = [free.pods // max(1, requests.pods)]
    if requests.cpu_m > 0:
        limits.append(free.cpu_m // requests.cpu_m)
    if requests.memory > 0:
        limits.append(free.memory // requests.memory)
    if requests.extended:
        there = dict(free.extended)
        limits += [there.get(name, 0) // amount for name, amount in requests.extended if amount > 0]
    return max(0, min(limits))


def first_fit(free: Sequence[Resources], requests: Resources, replicas: int) -> Iterator[tuple[int, int]]:
    """(place in `free`, replicas that go there), node by node until all have one or no node has room."""
    for index, room in enumerate(free):
        if replicas <= 0:
            return
        if number := min(replicas, places_on(room, requests)):
            yield index, number
            replicas -= number


def minus(free: Resources, requests: Resources, number: int) -> Resources:
    """What is left when `number` replicas have taken their part; never below nothing."""
    taken = dict(requests.extended)
    return Resources(
        cpu_m=max(0, free.cpu_m - requests.cpu_m * number),
        memory=max(0, free.memory - requests.memory * number),
        pods=max(0, free.pods - max(1, requests.pods) * number),
        extended=tuple((name, max(0, amount - taken.get(name, 0) * number)) for name, amount in free.extended)
        if taken
        else free.extended,
    )


def total(parts: "tuple[Resources, ...] | list[Resources]") -> Resources:
    """The sum; nothing at all for none."""
    amounts: dict[str, int] = {}
    for part in parts:
        for name, amount in part.amounts():
            amounts[name] = amounts.get(name, 0) + amount
    return Resources.of(amounts)
