"""I12: how fast changes go to one target, and how much one change may move; asked of plans, and of every change."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from failover.execution.admission import check_applications
from failover.execution.safety import grant
from failover.execution.trace import violations
from failover.model.journal import AbortRequested, JournalEntry, RunState
from failover.model.permit import Permit
from failover.model.plan import Plan, ProveGoneStep, RunKind
from failover.model.policy import GuardSettings, Policy
from failover.model.reasons import Refusal
from tests.execution.test_crash_properties import DATABASE, with_single_writer, world_of
from tests.execution.test_permits import PERSON, code, scale
from tests.execution.tiny import Crash, TinyShell, TinyWorld
from tests.execution.worlds import ALL_WELL, NORTH, NOW, Seen, evacuation, situation
from tests.support.policies import policy


def guarded(**guards: float) -> Policy:
    return replace(policy(), guards=GuardSettings(**guards))  # type: ignore[arg-type]


def test_half_a_change_a_second_is_one_change_every_two_seconds() -> None:
    intent, run = scale()
    slow = guarded(changes_per_second=0.5)

    def asked(ago: float) -> Permit | Refusal:
        last = {"south-1": NOW.mono - ago, "west-1": NOW.mono}
        return grant(intent, run, situation(policy=slow, last_sent=last))

    assert code(grant(intent, run, situation(policy=slow))) == "permit"
    assert code(asked(2.0)) == "permit"
    assert code(asked(1.5)) == "velocity"
    assert "the last change went to south-1 1.5 s ago, and 2 s must lie between two" in str(asked(1.5))


def test_what_was_just_permitted_counts_before_it_is_sent() -> None:
    intent, run = scale()
    for rate, permitted in ((0.5, 1), (1.5, 1), (3.0, 3)):
        now = situation(policy=guarded(changes_per_second=rate))
        for _ in range(permitted):
            assert code(grant(intent, run, now)) == "permit"
            now = now.sending("south-1")
        assert code(grant(intent, run, now)) == "velocity"
        assert code(grant(intent, run, now.sending("west-1"))) == "velocity"


def test_the_share_is_never_rounded_up() -> None:
    intent, run = scale()
    for share, answer in ((0.16, "share-per-step"), (0.17, "permit")):  # 3 of 18 replicas move at once
        assert code(grant(intent, run, situation(policy=guarded(share_per_step=share)))) == answer


def test_a_plan_that_moves_too_much_at_once_does_not_become_a_run() -> None:
    careful = situation(policy=guarded(share_per_step=0.1))
    made = check_applications(evacuation(), careful, actor="automation", busy=())
    left_out = made.applications[0].left_out
    assert left_out is not None
    assert left_out.code == "share-per-step"
    assert "moves 3 of 18 replicas in one change; at most 10% may move" in left_out.sentence
    named = replace(evacuation(), overrides=("share-per-step",))
    assert check_applications(named, careful, actor=PERSON, busy=()).applications[0].left_out is None
    split = Seen(policy=careful.policy).plan(RunKind.EVACUATION, NORTH)
    assert check_applications(split, careful, actor="automation", busy=()).applications[0].left_out is None


# -- a single writer of several replicas ---------------------------------------------------------------------------------


def by_links() -> tuple[Seen, Plan]:
    """Three replicas of a single writer leave north, one at a time."""
    seen = with_single_writer()
    seen.policy = replace(seen.policy, guards=GuardSettings(share_per_step=0.4))
    seen.replicas |= {(NORTH, DATABASE): 3}
    return seen, seen.plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL, by_person=True)


SEEN, PLAN = by_links()


def life(world: TinyWorld, kept: list[JournalEntry], **more: object) -> TinyShell:
    return TinyShell(world, kept, situation(policy=SEEN.policy, judgement=ALL_WELL), **more)  # type: ignore[arg-type]


def test_it_is_stopped_link_by_link_proven_gone_and_started_link_by_link() -> None:
    one = life(world_of(SEEN), [])
    one.open(PLAN, PERSON)
    assert one.finish().state is RunState.DONE
    changes = [line for line in one.world.changed if str(DATABASE) in line]
    target = changes[-1].split()[0]
    assert changes == [
        *(f"{NORTH} {DATABASE}={count}" for count in (2, 1, 0)),
        *(f"{target} {DATABASE}={count}" for count in (1, 2, 3)),
    ]


def test_links_that_no_proof_waits_for_take_nothing_away() -> None:
    unproven = tuple(
        replace(step, needs=()) if isinstance(step, ProveGoneStep) else step for step in PLAN.steps
    )
    one = life(world_of(SEEN), [])
    one.open(replace(PLAN, steps=unproven), PERSON)
    for _ in range(400):  # it waits for what never comes
        one.finish(turns=1)
        one.mono += 1
    assert one.world.replicas[NORTH, DATABASE] == 3


@settings(max_examples=60, deadline=None)
@given(turn=st.integers(0, 40), crashes=st.lists(st.integers(0, 60), max_size=2))
def test_an_abort_in_any_phase_leaves_the_writer_whole(turn: int, crashes: list[int]) -> None:
    world, kept, turns = world_of(SEEN), [], 0

    def ask(shell: TinyShell) -> None:
        nonlocal turns
        if turns == turn and not shell.run.state.final:
            shell.append(AbortRequested(actor=PERSON, reason="enough"))
        turns += 1

    epoch, mono = 7, 1000.0
    for crash_at in [*crashes, None]:
        shell = life(world, kept, epoch=epoch, crash_at=crash_at, at_each_turn=ask, mono=mono)
        try:
            if not kept:
                shell.open(PLAN, PERSON)
            shell.finish()
        except Crash:
            pass
        epoch, mono = epoch + 1, shell.mono + 1
    if not kept:
        return
    run = life(world, kept, epoch=epoch, mono=mono).finish()
    assert run.state in (RunState.ABORTED, RunState.DONE)
    assert violations(kept) == ()
    running = sorted(count for (_, ref), count in world.replicas.items() if ref == DATABASE)
    assert running == [0, 0, 3], "it runs whole in one place"
