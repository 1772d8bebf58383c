"""What came in, taken into the state: policy and definitions in force, the vantages' own words, observations.

Out of order, twice, or from an older boot: such observations change nothing. Within one batch the order does not matter.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from failover.health import warmup
from failover.health.series import NEVER, Series, extend, forgive
from failover.health.state import Boots, HealthState, Layout, SignalKey, Watched, origin_of
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import Observation, Received, Signal, VantageReport
from failover.model.policy import ClusterEntry, Policy
from failover.model.time import Now

BOOTS_REMEMBERED = 32
CLOCK_JUMP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What came in since the last judgement, and what is in force.

    `definitions`: probe key -> definition hash in force; an observation of another one does not count, whatever its
    generation. `reports`: the latest of each vantage (does it trust itself?). `cordoned`: vantages kept from voting.
    `heartbeats`: monotonic second of the newest one that each cluster pushed out (H).
    """

    policy: Policy
    definitions: Mapping[SignalKey, str]
    received: tuple[Received, ...] = ()
    reports: tuple[VantageReport, ...] = ()
    cordoned: frozenset[VantageName] = frozenset()
    heartbeats: Mapping[ClusterName, float] = field(default_factory=dict)


def keep_time(state: HealthState, policy: Policy, now: Now) -> HealthState:
    """Follow a wall clock that jumped, and notice that we slept: both begin a new warm-up, neither shortens anything.

    After a sleep longer than evidence lasts every vote is stale by our own fault; without the warm-up that would look
    like a fleet gone dark (I5, I6).
    """
    jump = origin_of(now) - state.origin
    if abs(jump.total_seconds()) > CLOCK_JUMP_S:
        freeze = replace(state.freeze, since=state.freeze.since + jump) if state.freeze else None
        state = replace(state, origin=origin_of(now), freeze=freeze)
        state = warmup.restart(state, now, "clock-jump")
    if now.mono - state.judged_mono > policy.fleet.timing.evidence_max_age_s:
        state = warmup.restart(state, now, "stall")
    return state


def adopt(state: HealthState, inputs: Inputs, now: Now) -> HealthState:
    """Take on the policy and the definitions in force; series of any other definition or vantage are forgotten.

    A cluster that is new or is probed otherwise knows nothing yet, which must not look like a cluster gone dark: warm up.
    """
    layout = state.layout
    if layout is not None and layout.policy is inputs.policy and layout.definitions is inputs.definitions:
        return state
    if layout is not None and layout.policy == inputs.policy and layout.definitions == inputs.definitions:
        return state
    fresh = _layout(inputs)
    series = {
        key: {
            name: item
            for name, item in by_vantage.items()
            if name in fresh.vantages and item.definition == fresh.definitions.get(key)
        }
        for key, by_vantage in state.series.items()
        if key in fresh.definitions
    }
    clocks = {key: clock for key, clock in state.clocks.items() if key in fresh.definitions}
    before = None if layout is None else layout.definitions
    state = replace(state, layout=fresh, series=series, clocks=clocks, judged={}, seats={})
    if before is not None and any(
        not key[1] and before.get(key) != definition for key, definition in fresh.definitions.items()
    ):
        return warmup.restart(state, now, "policy")
    return state


def note_reports(state: HealthState, reports: Iterable[VantageReport]) -> HealthState:
    """Which vantages trust themselves. One that has just found itself at fault takes back its failures (I5)."""
    suspects = dict(state.suspects)
    turned: set[VantageName] = set()
    for report in reports:
        boots = state.boots.get(report.vantage)
        if boots is not None and report.boot_id in boots.earlier:
            continue
        if report.suspect:
            if report.vantage not in suspects:
                turned.add(report.vantage)
            suspects[report.vantage] = report.suspect
        else:
            suspects.pop(report.vantage, None)
    if suspects == state.suspects:
        return state
    series = state.series
    if turned:
        series = {
            key: {name: forgive(item) if name in turned else item for name, item in by_vantage.items()}
            for key, by_vantage in series.items()
        }
    return replace(state, suspects=suspects, series=series)


def take_in(state: HealthState, inputs: Inputs, now: Now) -> tuple[HealthState, frozenset[SignalKey]]:
    """The state with every observation that counts, and the signals that it touched."""
    if not inputs.received or state.layout is None:
        return state, frozenset()
    timing = inputs.policy.fleet.timing
    boots, seen = dict(state.boots), dict(state.seen)
    touched: dict[SignalKey, dict[VantageName, Series]] = {}
    for received in _in_order(inputs.received):
        observation = received.observation
        name = observation.vantage
        if name not in state.layout.vantages:
            continue
        measured = min(received.measured_mono, received.received_mono, now.mono)
        before = boots.get(name)
        boots[name] = _boot(before, observation, measured)
        if boots[name].current != observation.boot_id:
            continue
        if boots[name] is not before:
            seen[name] = max(seen.get(name, NEVER), received.received_mono)
        subject = observation.subject
        key: SignalKey = (subject.cluster, subject.application or "", observation.signal)
        if state.layout.definitions.get(key) != observation.definition:
            continue
        if key not in touched:
            touched[key] = dict(state.series.get(key, {}))
        by_vantage = touched[key]
        by_vantage[name] = extend(
            by_vantage.get(name),
            observation,
            measured,
            timing,
            warm_id=state.warm_id,
            warm_since_mono=state.warm_since_mono,
            excused=name in state.suspects,
        )
    series = {**state.series, **touched}
    return replace(state, series=series, boots=boots, seen=seen), frozenset(touched)


def _layout(inputs: Inputs) -> Layout:
    """An application is judged at a cluster where it has a data-plane probe of its own there."""
    own = {(key[0], key[1]) for key in inputs.definitions if key[1] and key[2] == Signal.DATA_PLANE.value}
    return Layout(
        policy=inputs.policy,
        definitions=inputs.definitions,
        vantages=frozenset(vantage.name for vantage in inputs.policy.fleet.vantages),
        clusters=tuple(_watched(entry, inputs.policy, own) for entry in inputs.policy.fleet.clusters),
    )


def _watched(entry: ClusterEntry, policy: Policy, own: set[tuple[str, str]]) -> Watched:
    applications = [item.name for item in policy.applications if (entry.name, item.name) in own]
    subjects = (
        Subject(cluster=entry.name),
        *(Subject(cluster=entry.name, application=name) for name in applications),
    )
    return Watched(
        cluster=entry.name,
        region=entry.region,
        subjects=subjects,
        control_key=(*subjects[0].key, Signal.CONTROL_PLANE.value),
        data_keys=tuple((*subject.key, Signal.DATA_PLANE.value) for subject in subjects),
    )


def _in_order(received: tuple[Received, ...]) -> list[Received]:
    """By vantage, then boots by their oldest observation, then sequence: the same for every order of arrival."""
    began: dict[tuple[str, str], float] = {}
    received = tuple(item for item in received if math.isfinite(item.measured_mono))
    for item in received:
        boot = (item.observation.vantage, item.observation.boot_id)
        began[boot] = min(began.get(boot, math.inf), item.measured_mono)

    def place(item: Received) -> tuple[str, float, str, int, float]:
        observation = item.observation
        vantage, boot = observation.vantage, observation.boot_id
        return vantage, began[vantage, boot], boot, observation.sequence, item.measured_mono

    return sorted(received, key=place)


def _boot(boots: Boots | None, observation: Observation, measured_mono: float) -> Boots:
    """Listen to a boot that was never heard before, unless what it says is older than what the present one said."""
    boot_id, sequence = observation.boot_id, observation.sequence
    if boots is None:
        return Boots(current=boot_id, sequence=sequence, newest_mono=measured_mono)
    if boot_id == boots.current:
        if sequence <= boots.sequence:
            return boots
        newest = max(boots.newest_mono, measured_mono)
        return Boots(current=boot_id, sequence=sequence, newest_mono=newest, earlier=boots.earlier)
    if boot_id in boots.earlier:
        return boots
    if measured_mono <= boots.newest_mono:
        return boots._replace(earlier=(*boots.earlier, boot_id)[-BOOTS_REMEMBERED:])
    earlier = (*boots.earlier, boots.current)[-BOOTS_REMEMBERED:]
    return Boots(current=boot_id, sequence=sequence, newest_mono=measured_mono, earlier=earlier)
