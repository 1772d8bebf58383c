"""What the joint engine is asked and what it answers, as frozen values.

    Problem(sites, demands, headroom, moves) -> solve -> Solution (solution.py)

A *site* is a cluster as the engine sees it, a *demand* one workload. Quantities are whole numbers in the resource's
smallest unit (cpu in millicores, memory in bytes, pods in pods); a resource that a site does not name it does not have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from failover.model.policy import OnShortage

HEADROOM_DEFAULT = 0.05
"""Share of a site's free resources that is left alone: nodes are filled unevenly, and a replica never straddles two."""


class Strategy(StrEnum):
    """How a demand prefers among the sites of one group.

    `balance`: by weight. `most-free`: by weight times the free share of the site (what is requested, or its live
    utilisation where that is higher). `pack`: as few sites as possible, fullest first. `cost`: cheapest first.
    """

    BALANCE = "balance"
    MOST_FREE = "most-free"
    PACK = "pack"
    COST = "cost"


class Unsatisfiable(StrEnum):
    """What a spread limit does where it cannot be kept: the words of Kubernetes' `whenUnsatisfiable`."""

    SCHEDULE_ANYWAY = "ScheduleAnyway"
    DO_NOT_SCHEDULE = "DoNotSchedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One cluster.

    `domains`: kind of failure domain (`provider`, `region`, ...) to the name of the one that it lies in; the cluster
    itself need not be named. `free`: allocatable less what is requested, by resource; None: unknown, so it takes
    nothing (never assumed infinite). `capacity`: allocatable, for shares and reports; empty: `free` stands for it.
    `largest_free_node`: of each resource, the most that is free on any node; None: not known, not a bound.
    `largest_node`: all that any node has, the bound where others may make room; None: they may not. `price`: of one unit of
    each resource for one hour. `utilisation`: live use, 0 to 1. `open`: it may take replicas; a closed one keeps what
    it has. `closed_because`: the sentence that explanations give for a site that is not open.
    """

    name: str
    domains: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, int] | None = None
    capacity: Mapping[str, int] = field(default_factory=dict)
    largest_free_node: Mapping[str, int] | None = None
    largest_node: Mapping[str, int] | None = None
    price: Mapping[str, float] = field(default_factory=dict)
    utilisation: float | None = None
    open: bool = True
    closed_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Sites that one line of the rules names, all alike. The first line that names a site counts for it.

    `weight`: each site's part; 0: its minimum and what it has, no more. `minimum`, `maximum`: replicas at each site.
    `aided`: a higher maximum for when others make room there. What no node has enough of for a replica above `maximum` has to
    come from them alone: what is free of it lies in pieces. None: as `maximum`.
    `group`: ordered groups; one with a higher number takes only what those before it cannot.
    """

    sites: tuple[str, ...]
    weight: int = 1
    minimum: int = 0
    maximum: int | None = None
    aided: int | None = None
    group: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A spread over the domains of one kind (`cluster` is a kind: each site is its own).

    `at_least`: domains that hold a replica. `at_most_percent`: of what is placed, in any one domain, rounded up.
    """

    kind: str
    at_least: int | None = None
    at_most_percent: float | None = None
    when_unsatisfiable: Unsatisfiable = Unsatisfiable.SCHEDULE_ANYWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Where a demand may go and how it prefers; may be shared by many demands.

    `standby`: replicas of the demand that run in the groups after the first although the first has room. `whole`: all
    replicas at one site or none (a single writer).
    """

    choices: tuple[Choice, ...]
    spread: tuple[Spread, ...] = ()
    strategy: Strategy = Strategy.BALANCE
    standby: int = 0
    whole: bool = False
    on_shortage: OnShortage = OnShortage.PARTIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One workload.

    `replicas`: wanted in total. `current`: what it holds at sites that still serve (a lost site is left out, or is
    closed by `without`); their requests are not part of those sites' `free`. `tier`: 1 is the most important.
    `request`: of one replica, `pods` among it; without a request it is not placed, with a sentence. `may_give_up`:
    replicas may be shed for a higher tier; those of a `whole` demand never are. `freed`: what one replica that is given up
    frees, at least, where that is less than its `request` (its objects differ from cluster to cluster); None: all of it.
    """

    key: str
    tier: int
    replicas: int
    request: Mapping[str, int]
    rules: Rules
    current: Mapping[str, int] = field(default_factory=dict)
    may_give_up: bool = True
    freed: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The whole fleet. `headroom`: share of free resources left alone. `moves`: replicas that run at a serving site
    and may be moved for a better plan (`rebalance`); 0: only what is missing is placed.
    """

    sites: tuple[Site, ...]
    demands: tuple[Demand, ...]
    headroom: float = HEADROOM_DEFAULT
    moves: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One failure domain that may be lost: `kind` and `name`, and the sites in it."""

    kind: str
    name: str
    sites: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the problem that the engine could not take as it was, or a preference that it could not keep.

    `code`: stable, kebab-case. `subject`: the demand's key or the site's name. `amount`: replicas that it concerns.
    """

    code: str
    subject: str
    sentence: str
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """`replicas` of a lower tier's demand that give up their place at `site` for the demand `made_room_for`.

    Those that found a place elsewhere are in `Solution.placed` of the victim; the rest are gone until there is room.
    """

    victim: str
    site: str
    replicas: int
    made_room_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One demand at one site: replicas before and after."""

    demand: str
    site: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a demand got its number at a site. `rule`: what bound it, kebab-case. `sentence`: for a person.
    `would_change`: what would give another answer; empty where nothing in the problem would.
    """

    demand: str
    site: str
    replicas: int
    rule: str
    sentence: str
    would_change: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """What the loss of one domain would mean.

    `lost`: replicas that run there. `replaced`: of them placed again. `unplaced`: of them not. `shed`: replicas of
    lower tiers given up for them. `tightest`: the resource with the least headroom afterwards over the sites left;
    `headroom`: its free share, 0 to 1, of what those sites can hold. `victims`: keys of demands that end below what
    they had, with how many replicas. `losses`: keys of demands that run there, with how many replicas,
    where somebody asked for them.
    """

    domain: Domain
    lost: int
    replaced: int
    unplaced: int
    shed: int
    tightest: str
    headroom: float
    victims: tuple[tuple[str, int], ...] = ()
    losses: tuple[tuple[str, int], ...] = ()

    @property
    def survives(self) -> bool:
        """Everything would be placed again, and nothing be given up for it."""
        return self.unplaced == 0 and self.shed == 0
