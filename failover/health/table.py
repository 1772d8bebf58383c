"""The verdict table of DESIGN section 4: total over {up, down, split, unknown} x {up, down, split, unknown}."""

from failover.model.verdict import SignalState, VerdictKind


def verdict_of(
    data: SignalState, control: SignalState, *, heartbeat: bool = False, slo_breached: bool = False
) -> VerdictKind:
    """`heartbeat`: fresh heartbeats pushed out by the cluster; `slo_breached`: serves, but not well enough."""
    if data is SignalState.SPLIT:
        return VerdictKind.PATH_PROBLEM
    if data is SignalState.UNKNOWN:
        return VerdictKind.UNKNOWN
    if data is SignalState.UP:
        if control is SignalState.DOWN:
            return VerdictKind.CONTROL_PLANE_DOWN
        if control is not SignalState.UP:
            return VerdictKind.CONTROL_PLANE_UNKNOWN
        return VerdictKind.DEGRADED if slo_breached else VerdictKind.HEALTHY
    if heartbeat:
        return VerdictKind.ISOLATED
    return VerdictKind.DOWN if control is SignalState.DOWN else VerdictKind.DATA_PLANE_DOWN


def application_verdict_of(
    data: SignalState, control: SignalState, *, slo_breached: bool = False
) -> VerdictKind:
    """The verdict of one application at one cluster: its own D, the cluster's C.

    Whatever its data plane does, it steers that application's records only: it is never DOWN, never evacuates.
    """
    kind = verdict_of(data, control, slo_breached=slo_breached)
    return VerdictKind.DATA_PLANE_DOWN if kind.no_longer_serves else kind
