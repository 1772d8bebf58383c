"""I1 to I7: on what ground automation acts. Judged by what the probers truly met and what truly arrived."""

from collections import defaultdict

from failover.lab.simulation import trace
from failover.lab.simulation.world import PACE, World
from failover.model.ids import ClusterName
from failover.model.journal import (
    ClockJumped,
    Entry,
    IntentRecorded,
    LeaderChanged,
    PersonSaid,
    RecordsChange,
    RunOpened,
    RunWidened,
)
from failover.model.observation import Outcome, Signal
from failover.model.plan import RunKind
from failover.model.records import ZoneChange
from failover.model.verdict import VerdictKind

from .base import FAILURES, Opened, Oracle, Runs, correlated_limit, late

SLACK_S = 0.6
"""The way of a report: what was true a moment ago."""
UNJUDGED_S = PACE.tick_s + 0.1
"""What a controller heard within its last turn it has not judged yet."""


class Ears(Oracle):
    """Asks what each controller has heard (`runs.ears`)."""

    def outside(self, cluster: str) -> list[str]:
        region = self.world.region_of(cluster)
        return [entry.name for entry in self.world.policy.fleet.outside_vantages(region)]

    def judged(
        self, holder: str, vantage: str, cluster: str, application: str, at: float
    ) -> trace.Heard | None:
        """The latest word of a vantage. A fault of its own neither extends nor breaks a series, and a success that came in
        within the controller's turn was not judged yet.
        """
        series = self.runs.ears.series(holder, (vantage, cluster, application, Signal.DATA_PLANE.value))
        for found in reversed(series):
            outcome = found.observation.outcome
            if outcome is Outcome.LOCAL or (outcome is Outcome.OK and at - found.at <= UNJUDGED_S):
                continue
            return found
        return None

    def fresh(self, found: trace.Heard | None, at: float) -> bool:
        limit = self.evidence_limit_s + SLACK_S
        return found is not None and at - found.measured <= limit

    def opened(self, event: trace.Event) -> Opened | None:
        """The automatic, unplanned run that this event opens, or widens to clusters that it did not move away from before."""
        if late(event):
            return None
        run = self.runs.decision(event)
        return run if run is not None and run.unplanned and run.decided else None

    def subjects(self, run: Opened) -> list[tuple[str, str]]:
        """(cluster, application) that a run has just convicted: the cluster as a whole, or one application that is broken there."""
        verdicts = dict(run.plan.verdicts)
        found = []
        for name in run.decided:
            kind = verdicts.get(name)
            if kind is not None and kind.no_longer_serves:
                found.append((str(name), ""))
            else:
                found += [
                    (str(name), part.application) for part in run.plan.applications if part.left_out is None
                ]
        return found


class NoDataIsNotDown(Ears):
    invariant, about = "I1", "who is convicted was seen to fail, lately, by a quorum; silence convicts nobody"

    def see(self, event: trace.Event) -> None:
        run = self.opened(event)
        for cluster, application in self.subjects(run) if run else ():
            assert run is not None
            seen = [
                name
                for name in self.outside(cluster)
                if self._saw_it_fail(self.judged(run.holder, name, cluster, application, event.at), event.at)
            ]
            quorum = self.quorum
            self.must(
                len(seen) >= quorum,
                event.at,
                f"{run.id} convicts {cluster} {application}: only {seen} saw it fail lately, {quorum} are needed",
            )

    def _saw_it_fail(self, found: trace.Heard | None, at: float) -> bool:
        """A vantage's word is a failure, and so was what its prober met: neither success, silence nor our own fault."""
        if found is None or not self.fresh(found, at):
            return False
        return found.observation.outcome in FAILURES and found.met in FAILURES


class EvidenceIsFresh(Ears):
    invariant, about = (
        "I2",
        "every automatic intent cites observations that exist and are younger than the limit",
    )
    WRITTEN_S = 1.0
    """What was decided before a sleep is on the disk so long after it."""

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.woke: dict[str, float] = {}
        self.overslept: set[str] = set()
        """Intents that were on their way to the disk while their controller was frozen, or that a crash left there: their
        evidence is too old to be sent on.
        """

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Lived) and event.what == "thawed":
            self.woke[event.holder] = event.at
        if isinstance(event, trace.Applied) and event.intent in self.overslept:
            self.must(
                False,
                event.at,
                f"{event.intent} was sent on evidence from before its controller slept or crashed",
            )
        if not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, IntentRecorded):
            return
        intent = event.entry.entry.intent
        run = self.runs.by_id.get(intent.run)
        if run is None or not run.unplanned or run.dns_written:
            return
        if late(event):
            self.overslept.add(intent.id)
            return
        if run.in_flight - {intent.id} and f"run={run.id}" in intent.evidence:
            return  # names may have changed already: from then on the run goes by its own beginning, and says so
        cited = [self.runs.ears.by_id.get(text.split(" ")[0]) for text in intent.evidence]
        fresh = [one for one in cited if one is not None and self.fresh(one, event.at)]
        quorum = self.quorum
        names = {one.observation.vantage for one in fresh}
        if len(names) < quorum and event.at - self.woke.get(event.holder, float("-inf")) <= self.WRITTEN_S:
            self.overslept.add(intent.id)
            return
        self.must(
            len(names) >= quorum,
            event.at,
            f"{intent.id} cites {len(names)} vantages freshly, {quorum} are needed: {intent.evidence[:3]}",
        )


class QuorumWithoutDissent(Ears):
    invariant, about = "I3", "a quorum of configured vantages saw it fail, and none that is fresh says up"

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.aside: set[str] = set()
        """Vantages that a person has set aside: they have no vote."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Lived) and event.what == "restored":
            self.aside.clear()
            for line in self.world.disk.journal:
                self._told(line.entry)
        if isinstance(event, trace.Journaled):
            self._told(event.entry.entry)
        self._convicted(event)

    def _told(self, entry: Entry) -> None:
        if isinstance(entry, PersonSaid) and entry.target.startswith("vantage/"):
            name = entry.target.removeprefix("vantage/")
            if entry.verb == "cordon":
                self.aside.add(name)
            elif entry.verb == "uncordon":
                self.aside.discard(name)

    def _convicted(self, event: trace.Event) -> None:
        run = self.opened(event)
        for cluster, application in self.subjects(run) if run else ():
            assert run is not None
            down, up = [], []
            for name in self.outside(cluster):
                found = self.judged(run.holder, name, cluster, application, event.at)
                if name in self.aside or not self.fresh(found, event.at) or found is None:
                    continue
                outcome = found.observation.outcome
                if outcome in FAILURES:
                    down.append(name)
                elif outcome is Outcome.OK:
                    up.append(name)
            quorum = self.quorum
            self.must(
                len(down) >= quorum, event.at, f"{run.id} convicts {cluster} {application} by {down} alone"
            )
            self.must(not up, event.at, f"{run.id} convicts {cluster} {application}, which {up} see up")


class MayLookDead(Ears):
    """Knows which clusters may look dead to a quorum although they are not."""

    BY_CHANCE = 1e-5
    """Rarer than this is not called bad luck: that all probes which must fail in a row just met the errors of a gray failure."""

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.blinded_at: dict[str, float] = {}
        """By cluster: when a fault began or ended last while so many could not see it that it might look dead."""

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Broke):
            for name in self.world.clusters:
                if self.may_look_dead(name):
                    self.blinded_at[name] = event.at

    def looked_dead_within(self, cluster: str, at: float, seconds: float) -> bool:
        """Whether it may look dead now, or might have so lately."""
        lately = at - self.blinded_at.get(cluster, float("-inf")) <= seconds
        return lately or self.may_look_dead(cluster)

    def may_look_dead(self, cluster: str) -> bool:
        """A quorum cannot see it; or by chance only errors are met, at every vantage that is not blind and for as long as
        `fall` and `confirm` ask: by one vantage more than a quorum, or by no more than a quorum for `confirm` without dissent.
        """
        blind, timing = len(self.world.blind_vantages(cluster)), self.world.policy.fleet.timing
        if blind >= self.quorum:
            return True
        rate = self.world.gray_share(cluster)
        watched = ((self.quorum + 1, timing.confirm_s), (self.quorum, timing.confirm_without_dissent_s))
        probes = min(
            (seeing - blind) * (timing.fall + int(confirm_s / timing.interval_s))
            for seeing, confirm_s in watched
        )
        return bool(rate**probes >= self.BY_CHANCE)


class NeverEvacuateWhatServes(MayLookDead):
    invariant, about = "I4", "automation moves nothing away from a cluster whose clients are served"

    AT_ONCE_S = 2.0
    """A path that is mended is heard of with the next probe, at the soonest."""

    def see(self, event: trace.Event) -> None:
        super().see(event)
        run = self.opened(event)
        for cluster, application in self.subjects(run) if run else ():
            assert run is not None
            window = self.evidence_limit_s + 1.0
            failed = self.world.was_out_within(cluster, application, window)
            self.must(
                failed or self.looked_dead_within(cluster, event.at, self.AT_ONCE_S),
                event.at,
                f"{run.id} ({run.plan.run_kind}) moves away from {cluster} {application}, which serves",
            )
            verdict = dict(run.plan.verdicts).get(ClusterName(cluster))
            if run.plan.run_kind is RunKind.EVACUATION and verdict is not None:
                self.must(
                    verdict.no_longer_serves, event.at, f"{run.id} evacuates {cluster}, which is {verdict}"
                )


class NeverRemoveWhatIsBack(MayLookDead):
    """Asked when the intent of a run's first record change is journaled. From then on the run itself is the evidence (I21)."""

    invariant, about = "I13", "the first record change of automation takes out no member that serves again"

    def see(self, event: trace.Event) -> None:
        super().see(event)
        entry = event.entry.entry if isinstance(event, trace.Journaled) else None
        if not isinstance(entry, IntentRecorded) or not isinstance(entry.intent.change, RecordsChange):
            return
        run = self.runs.by_id.get(entry.intent.run)
        if run is None or not run.unplanned or run.dns_written or run.in_flight - {entry.intent.id}:
            return
        change = entry.intent.change.change
        for item in change.changes:
            for value in set(item.before.values if item.before else ()) - set(item.after.values):
                cluster = self.world.cluster_at(value)
                if cluster is not None:
                    self._gone(event, f"{run.id} takes {cluster} out of {item.after.name}", cluster, change)

    def _gone(self, event: trace.Event, what: str, cluster: str, change: ZoneChange) -> None:
        """A probe that began before it came back fails yet, and says so for as long as evidence lasts; where fewer than a
        quorum's latest words are failures nobody need wait for that.
        """
        turn_s = self.world.policy.fleet.timing.timeout_s + UNJUDGED_S
        names = [name for name in self.outside(cluster) if self._fails(event, name, cluster, change)]
        window = turn_s + (self.evidence_limit_s if len(names) >= self.quorum else 0.0)
        gone = self.world.failed_within(cluster, change.application, window)
        self.must(
            gone or self.looked_dead_within(cluster, event.at, window),
            event.at,
            f"{what}, which has served for {window:.1f} s or longer; {names} saw it fail last",
        )

    def _fails(self, event: trace.Event, vantage: str, cluster: str, change: ZoneChange) -> bool:
        """Whether a vantage's latest word on the cluster, or on the application there, is a fresh failure."""
        heard = [
            self.judged(event.holder, vantage, cluster, application, event.at)
            for application in ("", change.application)
        ]
        return any(
            found is not None and self.fresh(found, event.at) and found.observation.outcome in FAILURES
            for found in heard
        )


class AHeartThatBeatsIsNotDown(Ears):
    invariant, about = (
        "I4",
        "a cluster whose heartbeats come is isolated, and may be alive: it is never evacuated",
    )

    def see(self, event: trace.Event) -> None:
        run = self.opened(event)
        for name, verdict in run.plan.verdicts if run else ():
            assert run is not None
            if name not in run.plan.sources or verdict is not VerdictKind.DOWN:
                continue
            ages = [event.at - at for at in self.world.beaten[run.holder, str(name)]]
            beats = [age for age in ages if UNJUDGED_S < age <= self.evidence_limit_s - UNJUDGED_S]
            self.must(not beats, event.at, f"{run.id} takes {name} for down, which beats: {beats} s ago")


class LocalFaultsAreNotRegionFaults(Ears):
    invariant, about = "I5", "what is our own fault is no part of the evidence"

    def see(self, event: trace.Event) -> None:
        if not isinstance(event, trace.Journaled) or not isinstance(event.entry.entry, IntentRecorded):
            return
        intent = event.entry.entry.intent
        run = self.runs.by_id.get(intent.run)
        if run is None or not run.unplanned or run.dns_written:
            return
        for text in intent.evidence:
            found = self.runs.ears.by_id.get(text.split(" ")[0])
            if found is not None:
                self.must(
                    found.observation.outcome in FAILURES and found.met is not Outcome.LOCAL,
                    event.at,
                    f"{intent.id} cites {text}, which is our own fault",
                )


class CorrelatedFreezes(Ears):
    invariant, about = (
        "I6",
        "when more regions than the limit are dead at once, automation begins nothing and stops",
    )

    GRACE_S = 3.0
    CONFUSING = ("vantage-always-up", "vantage-suspended")
    """Where one of these was on until just now, somebody may say up of what is dead, and nobody can know better."""

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.confused_at = float("-inf")

    def see(self, event: trace.Event) -> None:
        if isinstance(event, trace.Broke) and event.fault in self.CONFUSING:
            self.confused_at = event.at
        if not isinstance(event, trace.Journaled):
            return
        entry, run = event.entry.entry, self.runs.by_id.get(event.entry.run)
        if run is None or not run.unplanned or not isinstance(entry, RunOpened | RunWidened | IntentRecorded):
            return
        gone = self._dead_for_long(event.at)
        if isinstance(entry, RunOpened | RunWidened):
            gone |= self._look_dead(run.holder, event.at)
        limit = correlated_limit(self.world)
        what = "begins" if isinstance(entry, RunOpened) else "goes on"
        self.must(
            len(gone) <= limit, event.at, f"{run.id} {what} while {sorted(gone)} are dead, limit {limit}"
        )

    def _dead_for_long(self, at: float) -> set[str]:
        """Regions with a cluster that by the truth has served nobody for so long that no word of it can be fresh any more."""
        long_s = 2 * self.evidence_limit_s
        lying = any(state.faults.has("always-up") for state in self.world.vantages.values())
        if lying or at - self.confused_at < long_s:
            return set()
        entries = self.world.policy.fleet.clusters
        return {str(one.region) for one in entries if self.world.out_for(one.name) >= long_s}

    def _look_dead(self, holder: str, at: float) -> set[str]:
        """Regions with a cluster that looks dead to a controller."""
        entries = self.world.policy.fleet.clusters
        return {str(entry.region) for entry in entries if self._all_failed(holder, entry.name, at)}

    def _all_failed(self, holder: str, cluster: str, at: float) -> bool:
        """A quorum of fresh outside words is failure, has been for a while, and nobody says up."""
        down = 0
        for name in self.outside(cluster):
            series = self.runs.ears.series(holder, (name, cluster, "", Signal.DATA_PLANE.value))
            if not series or not self.fresh(series[-1], at):
                continue
            if series[-1].observation.outcome is Outcome.OK:
                return False
            long = [one for one in series if one.observation.outcome in FAILURES]
            run_of = len(series) - next(
                (
                    place
                    for place in range(len(series), 0, -1)
                    if series[place - 1].observation.outcome not in FAILURES
                ),
                0,
            )
            if long and run_of >= 4 and at - series[-run_of].measured >= self.GRACE_S + 6:
                down += 1
            elif run_of < len(series):
                return False  # it said up until just now, and nobody can have drawn anything from that yet
        return down >= self.quorum


class WarmUpFirst(Ears):
    invariant, about = (
        "I7",
        "after a start, a change of leader, a clock jump or a freeze that somebody ended the detectors look first",
    )

    def __init__(self, world: World, runs: Runs) -> None:
        super().__init__(world, runs)
        self.since: dict[str, float] = {}
        self.frozen: dict[str, float] = {}
        self.jumped_at: float | None = None
        """When the machine's clock jumped: whoever runs notices with its next turn, or never, where it has jumped back by then."""
        self.offset = world.clock.wall_offset
        self.noticed_at: dict[str, float] = {}

    def see(self, event: trace.Event) -> None:
        if self.jumped_at is not None and event.at - self.jumped_at > UNJUDGED_S:
            stayed = self.world.clock.wall_offset != self.offset
            for life in self.world.lives if stayed else ():
                if life.alive and life.clock.running.is_set():
                    self.since[life.holder] = max(self.jumped_at, self.since.get(life.holder, 0.0))
            self.jumped_at, self.offset = None, self.world.clock.wall_offset
        if isinstance(event, trace.Broke) and event.fault in ("clock-forward", "clock-back") and event.on:
            self.jumped_at = event.at
        if isinstance(event, trace.Lived):
            self._lived(event)
        if not isinstance(event, trace.Journaled):
            return
        entry, run = event.entry.entry, self.runs.by_id.get(event.entry.run)
        if isinstance(entry, ClockJumped):
            self.noticed_at[event.holder] = event.at
        if isinstance(entry, LeaderChanged | ClockJumped) or _ends_a_freeze(entry):
            self.since[event.holder] = event.at
        if late(event) or event.at == self.noticed_at.get(event.holder):
            return  # decided before anybody could know
        if isinstance(entry, RunOpened | RunWidened | IntentRecorded) and run is not None and run.unplanned:
            self._begins(run, event)

    def _lived(self, event: trace.Lived) -> None:
        if event.what == "frozen":
            self.frozen[event.holder] = event.at
        slept_s = event.at - self.frozen.get(event.holder, event.at)
        if event.what == "boot" or (event.what == "thawed" and slept_s > self.evidence_limit_s):
            self.since[event.holder] = event.at

    def _begins(self, run: Opened, event: trace.Event) -> None:
        timing = self.world.policy.fleet.timing
        since = self.since.get(event.holder, 0.0)
        ready = 0
        for name in self.world.vantages:
            counts = defaultdict(int)
            for (vantage, cluster, application, signal), series in self.runs.ears.of(event.holder).items():
                if vantage == name and not application and signal == Signal.DATA_PLANE.value:
                    counts[cluster] = sum(one.at >= since for one in series)
            ready += bool(counts) and max(counts.values()) >= timing.rise
        self.must(
            ready >= self.quorum,
            event.at,
            f"{run.id} begins or goes on {event.at - since:.1f} s after the start: {ready} vantages had looked long enough",
        )


def _ends_a_freeze(entry: Entry) -> bool:
    return isinstance(entry, PersonSaid) and entry.verb == "resume" and "freeze" in entry.target.split(",")


EVIDENCE = (
    NoDataIsNotDown,
    EvidenceIsFresh,
    QuorumWithoutDissent,
    NeverEvacuateWhatServes,
    NeverRemoveWhatIsBack,
    AHeartThatBeatsIsNotDown,
    LocalFaultsAreNotRegionFaults,
    CorrelatedFreezes,
    WarmUpFirst,
)
