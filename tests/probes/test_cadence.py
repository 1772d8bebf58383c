"""The cadence in virtual time: pace, jitter, bulkheads, lag, and a vantage that checks itself first."""

import asyncio
import itertools
import random
from dataclasses import dataclass, field, replace

import pytest

from failover.lab.virtual import VirtualClock, run_virtual
from failover.model.ids import ClusterName, Subject, VantageName
from failover.model.observation import (
    Observation,
    Outcome,
    ProbeDefinition,
    ProbeKind,
    ProbeResult,
    Reference,
    Signal,
)
from failover.probes.cadence import STUCK_MARGIN_S, ProbeRunner
from failover.probes.lag import LagMeter
from failover.probes.references import SelfCheck

CLUSTERS = tuple(f"c{number}-1" for number in range(20))


def asking(cluster: str, **changes: object) -> ProbeDefinition:
    made = ProbeDefinition(
        subject=Subject(cluster=ClusterName(cluster)),
        signal=Signal.DATA_PLANE,
        probe=ProbeKind.TCP,
        address="198.51.100.1",
        port=443,
        interval_s=1.0,
        timeout_s=1.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass(slots=True)
class ScriptedProber:
    """Answers after `takes_s`, or never where the cluster is `stuck`; notes when each probe began and ended."""

    clock: VirtualClock
    takes_s: float = 0.02
    outcome: Outcome = Outcome.OK
    stuck: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    began: dict[str, list[float]] = field(default_factory=dict)
    under_way: dict[str, int] = field(default_factory=dict)
    overlapped: bool = False

    async def probe(self, definition: ProbeDefinition) -> ProbeResult:
        cluster = definition.subject.cluster
        self.began.setdefault(cluster, []).append(self.clock.now().mono)
        self.under_way[cluster] = self.under_way.get(cluster, 0) + 1
        self.overlapped |= self.under_way[cluster] > 1
        try:
            if cluster in self.stuck:
                await asyncio.get_running_loop().create_future()
            if cluster in self.broken:
                raise RuntimeError("a defect of ours")
            await self.clock.sleep(self.takes_s)
        finally:
            self.under_way[cluster] -= 1
        return ProbeResult(outcome=self.outcome, latency_ms=1000 * self.takes_s)


@dataclass(slots=True)
class Bench:
    clock: VirtualClock = field(default_factory=VirtualClock)
    seed: int = 1
    kept: list[tuple[Observation, float]] = field(default_factory=list)
    prober: ScriptedProber = field(init=False)
    runner: ProbeRunner = field(init=False)

    def __post_init__(self) -> None:
        self.prober = ScriptedProber(self.clock)
        self.runner = ProbeRunner(
            vantage=VantageName("control"),
            boot_id="boot-1",
            prober=self.prober,
            clock=self.clock,
            source_of_random=random.Random(self.seed),
            sink=lambda observation, ended: self.kept.append((observation, ended)),
        )

    def of(self, cluster: str) -> list[Observation]:
        return [item for item, _ in self.kept if item.subject.cluster == cluster]


def test_every_series_keeps_its_pace_within_the_jitter_and_never_overlaps() -> None:
    async def story() -> Bench:
        bench = Bench()
        bench.runner.update([asking(name) for name in CLUSTERS], "g1")
        await bench.clock.sleep(100)
        bench.runner.stop()
        return bench

    bench = run_virtual(story())
    assert not bench.prober.overlapped
    firsts = [times[0] for times in bench.prober.began.values()]
    assert all(0 <= first <= 1 for first in firsts)
    assert max(firsts) - min(firsts) > 0.3, "the phases are spread, so that a fleet is not asked in one burst"
    for times in bench.prober.began.values():
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(0.9 - 1e-6 <= gap <= 1.1 + 1e-6 for gap in gaps)
        assert 95 <= len(times) <= 106


def test_sequence_numbers_rise_and_ages_are_of_the_probe() -> None:
    async def story() -> Bench:
        bench = Bench()
        bench.runner.update([asking(name) for name in CLUSTERS], "g1")
        await bench.clock.sleep(10)
        bench.runner.stop()
        return bench

    bench = run_virtual(story())
    assert [item.sequence for item, _ in bench.kept] == list(range(1, len(bench.kept) + 1))
    first, _ = bench.kept[0]
    assert (first.vantage, first.boot_id, first.generation, first.age_s) == ("control", "boot-1", "g1", 0.0)
    assert first.started_age_s == pytest.approx(0.02)
    assert first.definition == asking(first.subject.cluster).definition_hash


def test_a_stuck_prober_yields_no_down_and_delays_no_other_series() -> None:
    async def story(stuck: set[str]) -> Bench:
        bench = Bench()
        bench.prober.stuck = stuck
        bench.runner.update([asking(name) for name in CLUSTERS], "g1")
        await bench.clock.sleep(60)
        bench.runner.stop()
        return bench

    calm, bench = run_virtual(story(set())), run_virtual(story({"c3-1"}))
    assert {item.outcome for item in bench.of("c3-1")} == {Outcome.LOCAL}
    assert not any(item.outcome.counts_as_failure for item, _ in bench.kept)
    took = 1.0 + STUCK_MARGIN_S
    assert all(item.started_age_s == pytest.approx(took) for item in bench.of("c3-1"))
    for name in CLUSTERS:
        if name != "c3-1":
            assert abs(len(bench.of(name)) - len(calm.of(name))) <= 8, "only the jitter differs"


def test_a_prober_that_breaks_is_our_fault_and_its_series_goes_on() -> None:
    async def story() -> Bench:
        bench = Bench()
        bench.prober.broken = {"c1-1"}
        bench.runner.update([asking("c1-1")], "g1")
        await bench.clock.sleep(10)
        bench.prober.broken = set()
        await bench.clock.sleep(10)
        bench.runner.stop()
        return bench

    outcomes = [item.outcome for item in run_virtual(story()).of("c1-1")]
    assert outcomes[:8] == [Outcome.LOCAL] * 8
    assert outcomes[-8:] == [Outcome.OK] * 8


def test_after_a_long_probe_the_series_goes_on_without_a_burst() -> None:
    async def story() -> Bench:
        bench = Bench()
        bench.prober.takes_s = 1.9
        bench.runner.update([asking("c1-1")], "g1")
        await bench.clock.sleep(30)
        bench.runner.stop()
        return bench

    times = run_virtual(story()).prober.began["c1-1"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= 1.9 - 1e-6 for gap in gaps)


def test_an_unchanged_series_goes_on_and_a_changed_one_starts_anew() -> None:
    async def story() -> tuple[Bench, int, int]:
        bench = Bench()
        bench.runner.update([asking("c1-1"), asking("c2-1")], "g1")
        await bench.clock.sleep(10)
        bench.runner.update([asking("c1-1"), asking("c2-1", port=444), asking("c4-1")], "g2")
        await bench.clock.sleep(10)
        bench.runner.update([asking("c1-1")], "g3")
        before = len(bench.of("c2-1"))
        await bench.clock.sleep(10)
        after = len(bench.of("c2-1"))
        bench.runner.stop()
        count = len(bench.kept)
        await bench.clock.sleep(10)
        assert len(bench.kept) == count, "a stopped runner is silent"
        return bench, before, after

    bench, before, after = run_virtual(story())
    assert before == after
    assert len({item.definition for item in bench.of("c2-1")}) == 2
    assert len(bench.of("c4-1")) >= 9
    times = bench.prober.began["c1-1"]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 1.1 + 1e-6
    assert {item.generation for item in bench.of("c1-1")} == {"g1", "g2", "g3"}


# -- our own lag -------------------------------------------------------------------------------------------------------


def stall(clock: VirtualClock, seconds: float) -> None:
    """The whole process stands still: virtual time passes without anybody being asked."""
    loop = asyncio.get_running_loop()
    loop._virtual.time += seconds  # type: ignore[attr-defined]
    assert clock.now().mono >= seconds


@pytest.mark.parametrize(
    ("lag_s", "timeout_s", "excused"),
    [(0.2, 1.0, False), (0.3, 1.0, True), (0.3, 4.0, False), (0.5, 4.0, True)],
)
def test_a_failure_while_our_loop_lagged_is_ours_above_250_ms_or_a_tenth_of_the_timeout(
    lag_s: float, timeout_s: float, excused: bool
) -> None:
    async def story() -> bool:
        clock = VirtualClock()
        meter = LagMeter(clock)
        task = asyncio.ensure_future(meter.run())
        await clock.sleep(10)
        started = clock.now().mono
        stall(clock, lag_s + 0.05)
        await clock.sleep(0.5)
        found = meter.excuses(started, timeout_s)
        assert not meter.excuses(clock.now().mono, timeout_s), "what is over excuses nothing that began later"
        task.cancel()
        return found

    assert run_virtual(story()) is excused


def test_a_probe_that_failed_while_we_slept_is_local_and_a_success_stays_one() -> None:
    async def story(outcome: Outcome) -> Observation:
        bench = Bench()
        bench.prober.outcome, bench.prober.takes_s = outcome, 0.9
        bench.runner.update([asking("c1-1")], "g1")
        while not bench.prober.under_way.get("c1-1"):
            await bench.clock.sleep(0.05)
        stall(bench.clock, 0.6)
        while not bench.kept:
            await bench.clock.sleep(0.05)
        bench.runner.stop()
        return bench.kept[0][0]

    failed = run_virtual(story(Outcome.TIMEOUT))
    assert failed.outcome is Outcome.LOCAL
    assert "lagged" in failed.detail
    assert run_virtual(story(Outcome.OK)).outcome is Outcome.OK


# -- the vantage's own references --------------------------------------------------------------------------------------


class References:
    """Each answers unless it is silent, whatever it says."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[ProbeDefinition] = []

    async def probe(self, definition: ProbeDefinition) -> ProbeResult:
        self.asked.append(definition)
        name = definition.subject.cluster.removeprefix("reference/")
        if name in self.broken:
            raise RuntimeError("a defect of ours")
        return ProbeResult(outcome=Outcome.TIMEOUT if name in self.silent else Outcome.OK)


def checking(prober: References, clock: VirtualClock, count: int = 3) -> SelfCheck:
    references = [
        Reference(name=f"r{number}", address=f"198.51.100.{number}", port=53) for number in range(count)
    ]
    return SelfCheck(references=references, prober=prober, clock=clock, interval_s=1.0, timeout_s=1.0)


@pytest.mark.parametrize(("silent", "suspect"), [(0, False), (1, False), (2, True), (3, True)])
def test_with_fewer_than_two_references_answering_a_vantage_abstains(silent: int, suspect: bool) -> None:
    async def story() -> str:
        prober = References()
        prober.silent = {f"r{number}" for number in range(silent)}
        return await checking(prober, VirtualClock()).check()

    sentence = run_virtual(story())
    assert bool(sentence) == suspect
    if suspect:
        assert sentence.startswith(f"only {3 - silent} of 3 references answer (silent: r0, r1")


def test_it_trusts_itself_again_as_soon_as_two_answer() -> None:
    async def story() -> list[str]:
        prober, clock = References(), VirtualClock()
        check = checking(prober, clock)
        task = asyncio.ensure_future(check.run())
        said = []
        for silent in ({"r0", "r1"}, {"r0"}):
            prober.silent = silent
            await clock.sleep(1.5)
            said.append(check.suspect)
        task.cancel()
        return said

    bad, good = run_virtual(story())
    assert bad
    assert good == ""


def test_a_reference_that_cannot_even_be_asked_does_not_answer() -> None:
    async def story() -> str:
        prober = References()
        prober.broken = {"r0", "r1"}
        return await checking(prober, VirtualClock()).check()

    assert run_virtual(story()).startswith("only 1 of 3 references answer")


def test_any_answer_of_a_reference_proves_our_path() -> None:
    async def story() -> References:
        prober = References()
        await checking(prober, VirtualClock()).check()
        return prober

    asked = run_virtual(story()).asked[0]
    assert {200, 404, 503} <= set(asked.statuses)
