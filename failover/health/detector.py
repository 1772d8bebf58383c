"""`judge`: observations in, verdicts out. Plain functions over frozen values; the same input gives the same output."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from failover.health.damping import held, note_verdict
from failover.health.freezing import update_freeze
from failover.health.quorum import Tally, tally
from failover.health.sentences import alerts_for, sentence_for
from failover.health.series import extend, forgive
from failover.health.state import HealthState, History
from failover.health.table import verdict_of
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import Received, Signal, VantageReport
from failover.model.policy import ClusterEntry, Policy
from failover.model.time import Now
from failover.model.verdict import Judgement, Verdict, VerdictKind, WarmUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What came in since the last judgement, and what is in force.

    `definitions`: probe key -> definition hash in force; an observation of another one does not count, whatever its
    generation. `reports`: the latest of each vantage (does it trust itself?). `cordoned`: vantages kept from voting.
    """

    policy: Policy
    definitions: Mapping[tuple[str, str, str], str]
    received: tuple[Received, ...] = ()
    reports: tuple[VantageReport, ...] = ()
    cordoned: frozenset[VantageName] = frozenset()


def initial_state(now: Now, *, cause: str = "start") -> HealthState:
    """Nothing known, warming up."""
    return HealthState(warm_since=now.wall, warm_since_mono=now.mono, warm_cause=cause)


def restart_warm_up(state: HealthState, now: Now, cause: str) -> HealthState:
    """Begin a new warm-up (leadership, clock jump, un-freeze, policy): what was counted before does not count (I7)."""
    return replace(
        state, warm_since=now.wall, warm_since_mono=now.mono, warm_cause=cause, warm_id=state.warm_id + 1
    )


def release_hold_down(state: HealthState, subject: Subject | None) -> HealthState:
    """A person's `ack`: end the hold-down of one subject, or of all."""
    histories = {
        key: replace(history, hold_until=None, turns=()) if subject in (None, key) else history
        for key, history in state.histories.items()
    }
    return replace(state, histories=histories)


def lift_freeze(state: HealthState, now: Now) -> HealthState:
    """A person's `resume`: end the freeze, and warm up again."""
    if state.freeze is None:
        return state
    return restart_warm_up(replace(state, freeze=None, calm_since_mono=None), now, "un-freeze")


def judge(state: HealthState, inputs: Inputs, now: Now) -> tuple[HealthState, Judgement]:
    """Take in what was received, judge every subject, and tell what holds automation back."""
    state = _note_reports(state, inputs)
    state = _ingest(state, inputs)
    state = _finish_warm_up(state, inputs, now)
    silenced = _silenced(state, inputs)
    verdicts: list[Verdict] = []
    histories: dict[Subject, History] = {}
    up_votes: dict[ClusterName, int] = {}
    for entry in inputs.policy.fleet.clusters:
        for subject in _subjects(inputs, entry):
            data, control = _tallies(state, inputs, entry, subject, silenced, now)
            if subject.application is None:
                up_votes[entry.name] = data.up_votes
            kind = _kind(subject, data, control)
            history = note_verdict(state.histories.get(subject), kind, inputs.policy.fleet.timing, now)
            histories[subject] = history
            verdicts.append(_verdict(inputs, subject, kind, history, data, control, now))
    state = replace(state, histories=histories)
    judgement = Judgement(verdicts=tuple(verdicts))
    thawing = state.freeze is not None
    state = update_freeze(state, judgement, inputs.policy, up_votes, now)
    if thawing and state.freeze is None:
        state = restart_warm_up(state, now, "un-freeze")
    silent = _silent(state, inputs, now)
    judgement = replace(
        judgement,
        freeze=state.freeze,
        warm_up=_warm_up(state, inputs),
        suspect_vantages=tuple(sorted(state.suspects)),
        silent_vantages=silent,
    )
    return state, replace(judgement, alerts=alerts_for(judgement, state, inputs.policy, now))


def _note_reports(state: HealthState, inputs: Inputs) -> HealthState:
    if not inputs.reports:
        return state
    suspects = dict(state.suspects)
    turned: set[VantageName] = set()
    for report in inputs.reports:
        if report.suspect:
            if report.vantage not in suspects:
                turned.add(report.vantage)
            suspects[report.vantage] = report.suspect
        else:
            suspects.pop(report.vantage, None)
    series = state.series
    if turned:
        series = {key: forgive(item) if key[3] in turned else item for key, item in series.items()}
    return replace(state, suspects=suspects, series=series)


def _ingest(state: HealthState, inputs: Inputs) -> HealthState:
    if not inputs.received:
        return state
    known = {vantage.name for vantage in inputs.policy.fleet.vantages}
    series, seen = dict(state.series), dict(state.seen)
    for received in inputs.received:
        observation = received.observation
        if observation.vantage not in known:
            continue
        seen[observation.vantage] = max(seen.get(observation.vantage, float("-inf")), received.received_mono)
        subject = observation.subject
        probe_key = (*subject.key, observation.signal.value)
        if inputs.definitions.get(probe_key) != observation.definition:
            continue
        key = (*probe_key, observation.vantage)
        series[key] = extend(
            series.get(key),
            received,
            inputs.policy.fleet.timing,
            state.warm_id,
            excused=observation.vantage in state.suspects,
        )
    return replace(state, series=series, seen=seen)


def _samples(state: HealthState) -> dict[str, int]:
    """Samples of the best-observed series of each vantage since warm-up began."""
    counts: dict[str, int] = {}
    for key, item in state.series.items():
        if item.warm_id == state.warm_id:
            counts[key[3]] = max(counts.get(key[3], 0), item.count)
    return counts


def _ready_vantages(state: HealthState, inputs: Inputs) -> int:
    counts = _samples(state)
    rise = inputs.policy.fleet.timing.rise
    return sum(1 for vantage in inputs.policy.fleet.vantages if counts.get(vantage.name, 0) >= rise)


def _finish_warm_up(state: HealthState, inputs: Inputs, now: Now) -> HealthState:
    timing = inputs.policy.fleet.timing
    if state.warm_cause is None:
        return state
    long_enough = now.mono - state.warm_since_mono >= timing.rise * timing.interval_s * (1 - timing.jitter)
    if long_enough and _ready_vantages(state, inputs) >= inputs.policy.fleet.quorum:
        return replace(state, warm_cause=None)
    return state


def _warm_up(state: HealthState, inputs: Inputs) -> WarmUp | None:
    if state.warm_cause is None:
        return None
    return WarmUp(
        since=state.warm_since,
        cause=state.warm_cause,
        vantages_ready=_ready_vantages(state, inputs),
        quorum=inputs.policy.fleet.quorum,
    )


def _silenced(state: HealthState, inputs: Inputs) -> dict[VantageName, str]:
    silenced = {name: f"abstains: {sentence}" for name, sentence in state.suspects.items()}
    silenced.update({name: "cordoned by a person" for name in inputs.cordoned})
    return silenced


def _silent(state: HealthState, inputs: Inputs, now: Now) -> tuple[VantageName, ...]:
    limit = inputs.policy.fleet.timing.evidence_max_age_s
    return tuple(
        vantage.name
        for vantage in inputs.policy.fleet.vantages
        if now.mono - state.seen.get(vantage.name, float("-inf")) > limit
    )


def _subjects(inputs: Inputs, entry: ClusterEntry) -> list[Subject]:
    """The cluster, and each application that has a data-plane probe of its own there."""
    own = sorted(key[1] for key in inputs.definitions if key[0] == entry.name and key[1])
    applications = [item for item in inputs.policy.applications if item.name in own]
    return [
        Subject(cluster=entry.name),
        *(Subject(cluster=entry.name, application=item.name) for item in applications),
    ]


def _tallies(
    state: HealthState,
    inputs: Inputs,
    entry: ClusterEntry,
    subject: Subject,
    silenced: Mapping[VantageName, str],
    now: Now,
) -> tuple[Tally, Tally]:
    fleet = inputs.policy.fleet
    outside = frozenset(vantage.name for vantage in fleet.outside_vantages(entry.region))

    def count(about: Subject, signal: Signal) -> Tally:
        return tally(
            about,
            signal,
            vantages=fleet.vantages,
            outside=outside,
            silenced=silenced,
            quorum=fleet.quorum,
            series=state.series,
            timing=fleet.timing,
            now_mono=now.mono,
        )

    return count(subject, Signal.DATA_PLANE), count(Subject(cluster=entry.name), Signal.CONTROL_PLANE)


def _kind(subject: Subject, data: Tally, control: Tally) -> VerdictKind:
    kind = verdict_of(data.view.state, control.view.state)
    if subject.application is not None and kind is VerdictKind.DOWN:
        return (
            VerdictKind.DATA_PLANE_DOWN
        )  # an application's own verdict steers it, and never evacuates the cluster
    return kind


def _verdict(
    inputs: Inputs,
    subject: Subject,
    kind: VerdictKind,
    history: History,
    data: Tally,
    control: Tally,
    now: Now,
) -> Verdict:
    fleet = inputs.policy.fleet
    dissent_possible = data.voting_outside >= fleet.quorum + 1
    needed = fleet.timing.confirm_s
    if not dissent_possible:
        needed = max(needed, fleet.timing.confirm_without_dissent_s)
    confirming = _confirming(kind, data, control, now.mono)
    firsts = [item for item in (data.first_failure,) if item is not None]
    verdict = Verdict(
        subject=subject,
        kind=kind,
        since=history.since,
        sentence="",
        data=data.view,
        control=control.view,
        confirmed=confirming is not None and confirming >= needed,
        confirming_s=confirming,
        confirm_needed_s=needed,
        first_failure_mono=min(firsts) if firsts else None,
        last_success_mono=data.last_success,
        evidence=data.evidence + (control.evidence if kind is VerdictKind.DOWN else ()),
        hold_down_until=history.hold_until if held(history, now) else None,
        dissent_possible=dissent_possible,
    )
    return replace(verdict, sentence=sentence_for(verdict))


def _confirming(kind: VerdictKind, data: Tally, control: Tally, now_mono: float) -> float | None:
    """Seconds for which the quorum has been of one mind; for DOWN both of D and C."""
    if not kind.no_longer_serves or data.down_since is None:
        return None
    if kind is VerdictKind.DOWN:
        if control.down_since is None:
            return None
        return max(0.0, now_mono - max(data.down_since, control.down_since))
    return max(0.0, now_mono - data.down_since)
