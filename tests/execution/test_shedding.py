"""Who may be asked to give up replicas: every reason against it, by name, before a run and before each change."""

from dataclasses import replace
from typing import Any

import pytest

from failover.execution.admission import check_applications
from failover.execution.moves import displacements
from failover.execution.reserved import busy_applications, reservations
from failover.execution.runs import fold
from failover.execution.shed_rules import shed_refusals
from failover.model.ids import ApplicationName, RunId
from failover.model.journal import RunOpened
from failover.model.plan import Plan, RunKind, ScaleStep
from failover.model.policy import Mode, OnShortage, Policy, Writers
from failover.planner.sheds import is_shed
from tests.execution.worlds import journal, situation
from tests.planner.fleet import EAST, World, ref
from tests.planner.test_together import batch, crowded

BATCH = ApplicationName("batch")


def world() -> World:
    return crowded(batch())


def sheds(plan: Plan) -> list[ScaleStep]:
    return [step for step in plan.steps if is_shed(step)]


def told(plan: Plan, policy: Policy, *, automatic: bool = True) -> list[str]:
    """Reasons against the first of the plan's sheds."""
    now = replace(situation(), policy=policy)
    return [str(item) for item in shed_refusals(sheds(plan)[0], plan, now, automatic=automatic)]


def with_batch(policy: Policy, **changes: Any) -> Policy:
    return replace(
        policy,
        applications=tuple(
            replace(one, **changes) if one.name == BATCH else one for one in policy.applications
        ),
    )


def test_what_the_planner_asks_for_is_in_order() -> None:
    made = world().lose("west")
    assert sheds(made)
    assert told(made, world().policy) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tier": 1}, "only a tier after 1 gives up replicas"),
        ({"mode": Mode.APPROVE}, "the mode of batch is approve: automation takes nothing from it"),
        ({"workloads": ()}, "deployment/shop/batch is no workload of batch"),
        ({"name": ApplicationName("gone")}, "batch is not in the policy"),
    ],
)
def test_the_policy_may_have_changed_since(changes: dict[str, Any], says: str) -> None:
    made = world().lose("west")
    assert any(says in sentence for sentence in told(made, with_batch(world().policy, **changes)))


def test_a_single_writer_gives_up_nothing() -> None:
    policy = world().policy
    one = next(item for item in policy.applications if item.name == BATCH)
    single = replace(one.workloads[0], writers=Writers.SINGLE)
    assert any(
        "has a single writer" in said
        for said in told(world().lose("west"), with_batch(policy, workloads=(single,)))
    )


def test_a_person_may_take_from_what_automation_may_not() -> None:
    made = world().lose("west")
    policy = with_batch(world().policy, mode=Mode.RECOMMEND)
    assert told(made, policy, automatic=False) == []


def test_nobody_gives_up_anything_for_who_does_not_shed_or_for_nothing() -> None:
    made, policy = world().lose("west"), world().policy
    holds = replace(
        policy,
        applications=tuple(replace(one, on_shortage=OnShortage.HOLD) for one in policy.applications),
    )
    assert any("onShortage of shop is hold" in said for said in told(made, holds))
    alone = replace(made, steps=tuple(step for step in made.steps if is_shed(step)))
    assert any("nothing of shop grows in" in said for said in told(alone, policy))
    drain = replace(made, run_kind=RunKind.DRAIN)
    assert any("a drain is planned and waits for room" in said for said in told(drain, policy))


def test_a_run_for_who_would_give_up_replicas_comes_first() -> None:
    made = world().lose("west")
    now = replace(situation(), policy=world().policy)
    busy = ((BATCH, RunId("run-7")),)
    checked = check_applications(made, now, actor="automation", busy=busy)
    shop = next(part for part in checked.applications if part.application == "shop")
    assert shop.left_out is not None
    assert "run run-7 is under way for batch, which would give up replicas" in shop.left_out.sentence
    assert sheds(checked) == [], "what was to make room for it stays"


def opened(plan: Plan) -> Any:
    return fold(journal((RunOpened(plan=plan, actor="automation"),)))[RunId("run-1")]


def test_who_gives_up_replicas_is_busy_as_well() -> None:
    assert set(busy_applications(opened(world().lose("west")))) == {"shop", "batch"}


def test_what_a_run_is_about_to_fill_is_reserved_until_it_is_ready() -> None:
    run = opened(world().lose("west"))
    growth = next(step for step in run.plan.steps if isinstance(step, ScaleStep) and step.after > step.before)

    def held(ready: int | None) -> int:
        rows = reservations([run], lambda cluster, workload: ready)
        return sum(
            row.replicas for row in rows if (row.cluster, row.workload) == (growth.cluster, growth.workload)
        )

    assert held(None) == growth.after - growth.before
    assert held(growth.after - 1) == 1
    assert held(growth.after) == 0


def test_giving_up_replicas_is_no_move_away() -> None:
    """A run that ended before anything moved: those who made room are not away from the region that was to be left."""
    run = opened(world().lose("west"))
    assert displacements([run]) == (), "it is not over"
    assert all(step.owner == BATCH and step.workload == ref("batch") for step in sheds(run.plan))
    assert {step.cluster for step in sheds(run.plan)} <= {EAST, "north"}
