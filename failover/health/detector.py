"""`judge`: observations in, verdicts out. Plain functions over frozen values; the same input gives the same output."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from failover.health import warmup
from failover.health.alerts import raise_alerts
from failover.health.confirm import advance, confirmation
from failover.health.damping import held, note_verdict, release
from failover.health.freezing import update_freeze
from failover.health.intake import Inputs, adopt, keep_time, note_reports, take_in
from failover.health.quorum import Tally, tally
from failover.health.sentences import sentence_for
from failover.health.state import HealthState, History, Judged, Layout, SignalKey, Watched, origin_of
from failover.health.table import application_verdict_of, verdict_of
from failover.health.votes import Seat, seats_for
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import Signal
from failover.model.time import Now
from failover.model.verdict import Judgement, Verdict, VerdictKind

WELL_AGAIN = 0.5
"""A subject is DEGRADED until its share of missed probes is below this part of the objective's limit."""


def initial_state(now: Now, *, cause: str = "start") -> HealthState:
    """Nothing known, warming up."""
    return HealthState(
        origin=origin_of(now), judged_mono=now.mono, warm_since_mono=now.mono, warm_cause=cause
    )


def restart_warm_up(state: HealthState, now: Now, cause: str) -> HealthState:
    """Begin a new warm-up (leadership, clock-jump, un-freeze, policy): what was counted before does not count (I7)."""
    return warmup.restart(state, now, cause)


def release_hold_down(state: HealthState, subject: Subject | None) -> HealthState:
    """A person's `ack`: end the hold-down of one subject (of a cluster: its applications' too), or of all."""

    def meant(key: Subject) -> bool:
        if subject is None or key == subject:
            return True
        return subject.application is None and key.cluster == subject.cluster

    histories = {key: release(item) if meant(key) else item for key, item in state.histories.items()}
    return replace(state, histories=histories, judged={})


def lift_freeze(state: HealthState, now: Now) -> HealthState:
    """A person's `resume`: end the freeze, and warm up again."""
    if state.freeze is None:
        return state
    return warmup.restart(replace(state, freeze=None, calm_since_mono=None), now, "un-freeze")


def judge(state: HealthState, inputs: Inputs, now: Now) -> tuple[HealthState, Judgement]:
    """Take in what was received, judge every subject, and tell what holds automation back."""
    policy = inputs.policy
    voters = (state.suspects, state.cordoned)
    state = keep_time(state, policy, now)
    state = adopt(state, inputs, now)
    state = note_reports(state, inputs.reports)
    state, touched = take_in(state, inputs, now)
    if state.cordoned != inputs.cordoned or state.heartbeats is not inputs.heartbeats:
        state = replace(state, cordoned=inputs.cordoned, heartbeats=inputs.heartbeats)
    if voters != (state.suspects, state.cordoned):
        state = replace(state, judged={}, seats={})
    state = warmup.finish(state, policy, now)
    state, up_votes = _judge_all(state, touched, now)
    judgement = Judgement(verdicts=tuple(item.verdict for item in state.judged.values()))
    frozen = state.freeze is not None
    state = update_freeze(state, judgement, policy, up_votes, now)
    if frozen and state.freeze is None:
        state = warmup.restart(state, now, "un-freeze")
    judgement = replace(
        judgement,
        freeze=state.freeze,
        warm_up=warmup.describe(state, policy, now),
        suspect_vantages=tuple(
            vantage.name for vantage in policy.fleet.vantages if vantage.name in state.suspects
        ),
        silent_vantages=_silent(state, now),
    )
    state, alerts = raise_alerts(state, judgement, policy, now)
    return state, replace(judgement, alerts=alerts) if alerts else judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One judgement's fixed points; `touched`: signals that something came in for."""

    state: HealthState
    layout: Layout
    touched: frozenset[SignalKey]
    now: Now

    def tally(self, key: SignalKey, signal: Signal, seats: tuple[Seat, ...], before: Tally | None) -> Tally:
        """The count of a signal; the one before, where nothing came in and nothing has grown stale."""
        if before is not None and key not in self.touched and self.now.mono < before.fresh_until:
            return before
        fleet = self.layout.policy.fleet
        return tally(
            signal,
            seats,
            self.state.series.get(key, {}),
            quorum=fleet.quorum,
            timing=fleet.timing,
            now_mono=self.now.mono,
            before=before,
        )

    def clock(self, key: SignalKey, counted: Tally) -> float | None:
        return advance(self.state.clocks.get(key), counted, self.state.judged_mono, self.now.mono)

    def still_valid(self, last: Judged, key: SignalKey, control: Tally) -> bool:
        """Whether the verdict given last stands: nothing came in for it, and nothing of it has grown stale."""
        return last.control is control and self.now.mono < last.valid_until and key not in self.touched

    def heartbeat(self, cluster: ClusterName) -> bool:
        """Whether fresh heartbeats come out of the cluster (H, where it is told to push them)."""
        newest = self.state.heartbeats.get(cluster)
        limit = self.layout.policy.fleet.timing.evidence_max_age_s
        return newest is not None and self.now.mono - newest <= limit


def _judge_all(
    state: HealthState, touched: frozenset[SignalKey], now: Now
) -> tuple[HealthState, Mapping[ClusterName, int]]:
    layout = state.layout
    assert layout is not None
    round_ = _Round(state=state, layout=layout, touched=touched, now=now)
    judged: dict[Subject, Judged] = {}
    histories = {key: item for key, item in state.histories.items() if held(item, now.mono)}
    clocks = dict(state.clocks)
    seats = state.seats or {
        region: seats_for(layout.policy.fleet, region, state.suspects, state.cordoned)
        for region in dict.fromkeys(watched.region for watched in layout.clusters)
    }
    for watched in layout.clusters:
        _judge_cluster(round_, watched, seats[watched.region], judged, histories, clocks)
    up_votes = {watched.cluster: judged[watched.subjects[0]].data.up_votes for watched in layout.clusters}
    state = replace(
        state, judged_mono=now.mono, judged=judged, histories=histories, clocks=clocks, seats=seats
    )
    return state, up_votes


def _judge_cluster(
    round_: _Round,
    watched: Watched,
    seats: tuple[Seat, ...],
    judged: dict[Subject, Judged],
    histories: dict[Subject, History],
    clocks: dict[SignalKey, float],
) -> None:
    """Judge every subject at one cluster; the control plane is the cluster's, and counted once."""
    cluster = watched.subjects[0]
    last = round_.state.judged.get(cluster)
    control_key = watched.control_key
    control = round_.tally(control_key, Signal.CONTROL_PLANE, seats, last.control if last else None)
    control_clock = round_.clock(control_key, control)
    _set(clocks, control_key, control_clock)
    for subject, data_key in zip(watched.subjects, watched.data_keys, strict=True):
        last, before = round_.state.judged.get(subject), round_.state.histories.get(subject)
        if last is not None and before is not None and round_.still_valid(last, data_key, control):
            judged[subject], histories[subject] = last, before
            continue
        data = round_.tally(data_key, Signal.DATA_PLANE, seats, last.data if last else None)
        data_clock = round_.clock(data_key, data)
        _set(clocks, data_key, data_clock)
        kind = _kind(round_, subject, before, data, control)
        history = note_verdict(before, kind, round_.layout.policy.fleet.timing, round_.now.mono)
        histories[subject] = history
        verdict = _verdict(round_, subject, kind, history, data, control, (data_clock, control_clock))
        judged[subject] = Judged(
            verdict=verdict,
            data=data,
            control=control,
            valid_until=_valid_until(round_, verdict, history, data, control),
        )


def _set(clocks: dict[SignalKey, float], key: SignalKey, clock: float | None) -> None:
    if clock is None:
        clocks.pop(key, None)
    else:
        clocks[key] = clock


def _kind(
    round_: _Round, subject: Subject, before: History | None, data: Tally, control: Tally
) -> VerdictKind:
    breached = _breached(round_, before, data)
    if subject.application is not None:
        return application_verdict_of(data.view.state, control.view.state, slo_breached=breached)
    return verdict_of(
        data.view.state,
        control.view.state,
        heartbeat=round_.heartbeat(subject.cluster),
        slo_breached=breached,
    )


def _breached(round_: _Round, before: History | None, data: Tally) -> bool:
    """Whether too many probes missed the objective; what did so must come well below the limit to be well again."""
    limit = round_.layout.policy.fleet.timing.objective.errors_percent
    if before is not None and before.kind is VerdictKind.DEGRADED:
        return data.missed_percent > limit * WELL_AGAIN
    return data.missed_percent > limit


def _verdict(
    round_: _Round,
    subject: Subject,
    kind: VerdictKind,
    history: History,
    data: Tally,
    control: Tally,
    clocks: tuple[float | None, float | None],
) -> Verdict:
    fleet, state, now = round_.layout.policy.fleet, round_.state, round_.now
    proof = confirmation(
        kind,
        data_clock=clocks[0],
        control_clock=clocks[1],
        voting_outside=data.voting_outside,
        quorum=fleet.quorum,
        timing=fleet.timing,
        now_mono=now.mono,
    )
    hold = history.hold_until if held(history, now.mono) else None
    return Verdict(
        subject=subject,
        kind=kind,
        since=state.wall(history.since_mono),
        sentence=sentence_for(subject, kind, data, control, proof, now.mono),
        data=data.view,
        control=control.view,
        confirmed=proof.confirmed,
        confirming_s=proof.confirming_s,
        confirm_needed_s=proof.needed_s,
        first_failure_mono=data.first_failure,
        last_success_mono=data.last_success,
        evidence=data.evidence + (control.evidence if kind is VerdictKind.DOWN else ()),
        hold_down_until=None if hold is None else state.wall(hold),
        dissent_possible=proof.dissent_possible,
        data_confirmed=proof.data_confirmed,
        missed_percent=round(data.missed_percent, 1),
    )


def _valid_until(round_: _Round, verdict: Verdict, history: History, data: Tally, control: Tally) -> float:
    """Until when the same would be said again if nothing came in; what no longer serves is judged each time."""
    if verdict.kind.no_longer_serves:
        return round_.now.mono
    ends = [data.fresh_until, control.fresh_until]
    if verdict.hold_down_until is not None and history.hold_until is not None:
        ends.append(history.hold_until)
    return min(ends)


def _silent(state: HealthState, now: Now) -> tuple[VantageName, ...]:
    layout = state.layout
    assert layout is not None
    limit = layout.policy.fleet.timing.evidence_max_age_s
    return tuple(
        vantage.name
        for vantage in layout.policy.fleet.vantages
        if now.mono - state.seen.get(vantage.name, float("-inf")) > limit
    )
