"""Shadow prices: what a unit of each site's resources is worth while the whole fleet wants it.

Shares go by weight · e^(-price), where a row's price is the site's prices over the demand's mix of resources. They are
set before the first tier is placed, over all tiers, so that a high tier leaves its weights, never its rules, where a
low one has nowhere else to go. A resource that does not bind has the price zero, so without scarcity weights hold.
Found by raising the price of what is asked above what is free, and lowering the others' (multiplicative weights);
a demand whose open rows all cost more than its tier is worth counts as unplaced, the lowest tiers first.
"""

import numpy as np

from failover.planner.joint.arrays import Floats, Ints, Prepared, Rows
from failover.planner.joint.state import State, rows_of_demands

SAMPLE_ROWS = 400_000
EXPONENT_MAX = 30.0
STEP = 2.0
MOMENTUM = 0.5
"""Found by trial: from nothing, 20 rounds leave 0.1 % of the fleet's load too much; without momentum it takes 100."""
STEP_LOG_MAX = 1.5
FULL = 0.97
"""Asked by this share of what is free is full: rounding needs some slack."""
GROUP_PRICE = 5.0
"""What a later group costs against an earlier: e^-5 of its share, until the earlier is that dear."""
WORTH = 7.0
EVERY = slice(None)
WORTH_OF_SIZE = 14.0
WORTH_PER_TIER = 4.0


def mix_of(prepared: Prepared, free: Ints, demands: Ints) -> Floats:
    """[n, R]: each demand's request as shares of the fleet's free resources, scaled to sum 1."""
    total = np.maximum(free.sum(axis=0), 1)
    share = prepared.request[demands] / total
    mix: Floats = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    return mix


def row_prices(mix: Floats, length: Ints, prices: Floats, site: Rows) -> Floats:
    """The price of each row, at most what an exponent can bear. `mix` [n, R] of demands with `length` [n] rows each."""
    binding = np.flatnonzero(prices.any(axis=0)).tolist()
    mixed = [np.repeat(mix[:, index], length) for index in binding]
    return _paid(mixed, prices[:, binding], site)


def _paid(mixed: list[Floats], prices: Floats, site: Ints | Rows) -> Floats:
    """`mixed`: by resource, the part that it has in what each row asks for."""
    result = np.zeros(len(site))
    for index, mix in enumerate(mixed):
        if prices[:, index].any():
            result += mix * prices[:, index].take(site)
    np.minimum(result, EXPONENT_MAX, out=result)
    return result


def sizes(prepared: Prepared, demands: Ints | slice = EVERY) -> Floats:
    """The part of the fleet's free room that one replica takes, of the resource of which it takes most."""
    total = np.maximum(prepared.free.sum(axis=0), 1)
    size: Floats = (prepared.request[demands] / total).max(axis=1, initial=0.0)
    return size


def worth_of(prepared: Prepared, demands: Ints) -> Floats:
    """The price at which a demand had rather stay unplaced: by tier, and inside a tier the large ones first.

    A tier that does not fit wants the most replicas, each counting alike, so the small ones are worth their room most.
    """
    tier, size = prepared.tier[demands], sizes(prepared, demands)
    rank = np.argsort(np.argsort(size, kind="stable"), kind="stable") / max(1, len(demands) - 1)
    worth: Floats = (
        WORTH
        + WORTH_OF_SIZE * (1 - rank)
        + (WORTH_PER_TIER + WORTH_OF_SIZE) * np.minimum(tier.max() - tier, 1)
    )
    return worth


def shadow_prices(
    state: State, weight: Floats, demands: Ints, iterations: int, start: Floats | None = None
) -> Floats:
    """[S, R], from what these demands still miss and what is free. `weight` [P]: their strategies' weights."""
    prepared = state.prepared
    prices = np.zeros(state.free.shape) if start is None else start.copy()
    demands = demands[state.missing[demands] > 0]
    if not len(demands):
        return prices
    sampled, scale = _sample(state, demands)
    room = state.room(sampled)
    open_ = (room > 0) & state.holds_one(sampled)
    rows = sampled[open_]
    if not len(rows):
        return prices
    base = np.maximum(weight[rows], 1e-30) * np.exp(-GROUP_PRICE * np.minimum(prepared.group[rows], 4))
    demand = prepared.demand[rows]
    first = np.flatnonzero(np.concatenate(([True], demand[1:] != demand[:-1])))
    owner_length = np.diff(np.concatenate((first, [len(demand)])))
    base /= np.repeat(np.maximum(np.maximum.reduceat(base, first), 1e-30), owner_length)
    owners = demand[first].astype(np.int64)
    missing = state.missing[owners] * scale
    worth = np.exp(-worth_of(prepared, owners))
    request = [np.repeat(asks[owners].astype(np.float64), owner_length) for asks in prepared.asks]
    mix = mix_of(prepared, state.free, owners)
    mixed = [np.repeat(mix[:, index], owner_length) for index in range(prices.shape[1])]
    site = prepared.site[rows].astype(np.int64)
    free = np.maximum(state.free, 1) * FULL
    bound = np.minimum(room[open_], 2**31) * scale
    speed = np.zeros(prices.shape)
    owner = np.repeat(np.arange(len(first)), owner_length)
    asks, load = np.empty(len(site)), np.empty(prices.shape)
    for _ in range(iterations):
        share = _paid(mixed, prices, site)
        np.exp(np.negative(share, out=share), out=share)
        share *= base
        total = np.add.reduceat(share, first) + worth
        share *= (missing / total).take(owner)
        np.minimum(share, bound, out=share)
        for index, asked in enumerate(request):
            np.multiply(share, asked, out=asks)
            load[:, index] = np.bincount(site, weights=asks, minlength=len(free))
        excess = np.clip(np.log(np.maximum(load, 1e-9) / free), -STEP_LOG_MAX, STEP_LOG_MAX)
        raised = np.maximum(0.0, prices + STEP * excess + MOMENTUM * speed)
        if not raised.any() and not prices.any():
            break  # nothing binds, and nothing would change that
        speed = raised - prices
        prices = raised
    return prices


def _sample(state: State, demands: Ints) -> tuple[Ints, float]:
    """All rows, or those of every n-th demand by tier and hash where that is enough to know the prices. So many times what they
    ask is what all ask.
    """
    prepared = state.prepared
    total = int((prepared.start[demands + 1] - prepared.start[demands]).sum())
    stride = max(1, total // SAMPLE_ROWS)
    chosen = demands[::stride]
    scale = state.missing[demands].sum() / max(1, state.missing[chosen].sum())
    rows, _ = rows_of_demands(prepared, chosen)
    return rows, float(scale)
