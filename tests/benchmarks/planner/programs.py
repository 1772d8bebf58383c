"""The linear programs behind the bounds (scipy's HiGHS; a development package, never imported by the product).

Variables are replicas by row, continuous; rows, capacities and maximums are those of the engine. Preferences (weights,
minimums as best effort, groups, spread that may be left) bound nothing.
"""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_matrix, hstack, vstack

from failover.planner.joint.arrays import Prepared
from failover.planner.joint.spread import Spreads

SLACK = 1e-6
"""What a tier may lose to a lower one in the next program: more than the solver's own tolerance (1e-7), or that program may
have no answer at all.
"""


def most_by_tier(prepared: Prepared) -> list[float]:
    """Replicas of each tier in the tier-lexicographic optimum, tier 1 first."""
    rows, matrix, limits, upper = _program(prepared)
    if not len(rows):
        return [0.0 for _ in np.unique(prepared.tier)]
    tiers = prepared.tier[prepared.demand[rows]]
    found: list[float] = []
    for tier in np.unique(prepared.tier):
        wanted = (tiers == tier).astype(float)
        result = linprog(
            -wanted,
            A_ub=matrix,
            b_ub=limits,
            bounds=np.column_stack((np.zeros(len(rows)), upper)),
            method="highs",
        )
        if result.status != 0:
            raise RuntimeError(result.message)
        found.append(-result.fun)
        matrix = vstack((matrix, csr_matrix(-wanted)), format="csr")
        limits = np.append(limits, result.fun + SLACK * max(1.0, -result.fun))
    return found


def most_in_whole_replicas(prepared: Prepared, seconds: float, held: np.ndarray | None = None) -> list[float]:
    """The same in whole replicas (a mixed-integer program with a time limit for each tier).

    `held` [P]: what a plan holds; its minimums are kept then: of each demand as many replicas stand where a minimum asks for
    them as in the plan, at whichever sites. Without, minimums bound nothing.
    """
    rows, matrix, limits, upper = _program(prepared)
    number = len(rows)
    if held is not None:
        matrix, limits = _with_minimums(prepared, rows, matrix, limits, held)
    others = matrix.shape[1] - number
    tiers = prepared.tier[prepared.demand[rows]]
    most = np.concatenate((np.floor(upper), prepared.minimum[rows][:others]))
    found: list[float] = []
    for tier in np.unique(prepared.tier):
        wanted = np.concatenate(((tiers == tier).astype(float), np.zeros(others)))
        result = milp(
            -wanted,
            constraints=LinearConstraint(matrix, ub=limits),
            bounds=Bounds(np.zeros(len(wanted)), most),
            integrality=np.ones(len(wanted)),
            options={"time_limit": seconds},
        )
        if result.x is None:
            raise RuntimeError(result.message)
        best = round(-result.fun)
        found.append(best)
        matrix = vstack((matrix, csr_matrix(-wanted)), format="csr")
        limits = np.append(limits, -best + 0.5)
    return found


def _with_minimums(
    prepared: Prepared, rows: np.ndarray, matrix: csr_matrix, limits: np.ndarray, held: np.ndarray
) -> tuple[csr_matrix, np.ndarray]:
    """One more variable for each row, its replicas that a minimum asks for, and how many of them a demand keeps."""
    number = len(rows)
    at_minimum, kept = np.arange(number), np.minimum(prepared.minimum, held)
    no_more = (
        np.repeat((1.0, -1.0), number),
        (np.tile(at_minimum, 2), np.concatenate((at_minimum + number, at_minimum))),
    )
    enough = (-np.ones(number), (prepared.demand[rows], at_minimum + number))
    demands = len(prepared.demands)
    blocks = (
        hstack((matrix, csr_matrix((matrix.shape[0], number)))),
        csr_matrix(no_more, shape=(number, 2 * number)),
        csr_matrix(enough, shape=(demands, 2 * number)),
    )
    owed = np.bincount(prepared.demand[rows], weights=kept[rows], minlength=demands)
    return vstack(blocks, format="csr"), np.concatenate((limits, np.zeros(number), -owed))


def cheapest(prepared: Prepared, spreads: Spreads, held: np.ndarray) -> float:
    """The least cost an hour of what a plan holds (`held` [P]), with what comes before the strategy kept: as many replicas of
    each demand in each of its groups, its minimums, and no domain of a spread fuller than its bound (or than it is).
    """
    rows, matrix, limits, upper = _program(prepared)
    price = (prepared.price[prepared.site[rows]] * prepared.request[prepared.demand[rows]]).sum(axis=1)
    part = prepared.demand[rows].astype(np.int64) * 128 + prepared.group[rows]
    parts, of = np.unique(part, return_inverse=True)
    owner = csr_matrix((np.ones(len(rows)), (of, np.arange(len(rows)))), shape=(len(parts), len(rows)))
    blocks, bounds = [matrix], [limits]
    for table in spreads.tables:
        inside = np.flatnonzero(table.slot[rows] >= 0)
        full = np.bincount(table.slot[rows[inside]], weights=held[rows[inside]], minlength=len(table.of))
        blocks.append(
            csr_matrix(
                (np.ones(len(inside)), (table.slot[rows[inside]], inside)), shape=(len(table.of), len(rows))
            )
        )
        bounds.append(np.maximum(np.minimum(table.bound, 1e6), full))
    result = linprog(
        price,
        A_ub=vstack(blocks, format="csr"),
        b_ub=np.concatenate(bounds),
        A_eq=owner,
        b_eq=np.bincount(of, weights=held[rows], minlength=len(parts)),
        bounds=np.column_stack((np.minimum(prepared.minimum[rows], held[rows]), upper)),
        method="highs",
    )
    if result.status != 0:
        raise RuntimeError(result.message)
    return float(result.fun)


def _program(prepared: Prepared) -> tuple[np.ndarray, csr_matrix, np.ndarray, np.ndarray]:
    """(rows that may hold replicas, A, b, upper bounds): one line a demand, one a site and resource, scaled to 1."""
    rows = np.flatnonzero(prepared.fits)
    number, resources = len(rows), len(prepared.resources)
    demand, site = prepared.demand[rows], prepared.site[rows]
    blocks = [
        csr_matrix((np.ones(number), (demand, np.arange(number))), shape=(len(prepared.demands), number))
    ]
    limits = [prepared.replicas.astype(float)]
    for index in range(resources):
        free = prepared.free[:, index].astype(float)
        scale = np.maximum(free, 1)
        asked = prepared.request[demand, index] / scale[site]
        blocks.append(csr_matrix((asked, (site, np.arange(number))), shape=(len(prepared.sites), number)))
        limits.append(free / scale)
    upper = np.minimum(prepared.maximum[rows], prepared.replicas[demand]).astype(float)
    return rows, vstack(blocks, format="csr"), np.concatenate(limits), upper
