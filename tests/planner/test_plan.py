"""A plan is data: it explains itself, names what it rests on, and the same input gives the same bytes."""

import json
from dataclasses import replace

from failover.model.codec import from_plain
from failover.model.inventory import Demand
from failover.model.plan import AssumptionKind, ChangeRecordsStep, Plan, RunKind, ScaleStep
from failover.model.verdict import VerdictKind
from failover.planner import blast_radius, check_assumptions, explain_placement, plan, what_if, widen
from tests.planner.fleet import (
    EAST,
    NOW,
    WEST,
    World,
    address,
    application,
    domain,
    kinds,
    records,
    ref,
    state,
)


def test_a_plan_survives_the_codec_and_keeps_its_hash() -> None:
    made = World().lose("west")
    again = from_plain(Plan, json.loads(made.to_json()))
    assert again == made
    assert again.hash == made.hash


def test_what_if_is_the_live_plan_before_its_time() -> None:
    world = World()
    dry = what_if(world.snapshot, world.policy, domain("west"))
    assert dry.hypothetical
    live = world.lose("west")
    assert not live.hypothetical
    assert dry.hash == live.hash


def test_ages_versions_and_ready_counts_do_not_enter_the_hash() -> None:
    world = World(applications=[application(floor=60)])
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    first = world.lose("west")
    world.hold("east", state(ref(), 6, 5, resource_version="77"), age_s=20)
    snapshot = replace(world.snapshot, now=replace(NOW, mono=NOW.mono + 5))
    second = plan(snapshot, world.policy, request_of(first))
    assert second.to_json() != first.to_json()
    assert second.hash == first.hash


def request_of(made: Plan):  # type: ignore[no-untyped-def]
    from failover.model.plan import PlanRequest

    return PlanRequest(run_kind=made.run_kind, domain=made.domain, sources=made.sources)


def test_another_placement_is_another_hash() -> None:
    world = World()
    first = world.lose("west")
    world.hold("east", state(ref(), 7))
    assert world.lose("west").hash != first.hash


def test_the_first_assumption_that_fails_is_named() -> None:
    world = World()
    made = world.lose("west")
    assert check_assumptions(made, world.snapshot, world.policy) is None
    changed = replace(world.policy, generation="fedcba9876543210")
    refusal = check_assumptions(made, world.snapshot, changed)
    assert refusal is not None
    assert "generation of the policy being 0123456789abcdef" in refusal.sentence
    world.hold("east", state(ref(), 8))
    world.record_sets = [records(address("west"))]
    refusal = check_assumptions(made, world.snapshot, world.policy)
    assert refusal is not None
    assert refusal.code == "stale-plan"
    assert "the replicas of east deployment/shop/web being 6, and it is 8" in refusal.sentence
    world.hold("east", state(ref(), 6))
    refusal = check_assumptions(made, world.snapshot, world.policy)
    assert refusal is not None
    assert "the record set example-test shop.example.test. A" in refusal.sentence
    world.zone_read = False
    refusal = check_assumptions(made, world.snapshot, world.policy)
    assert refusal is not None
    assert "not known now" in refusal.sentence
    world.judge("west", VerdictKind.HEALTHY)
    refusal = check_assumptions(made, world.snapshot, world.policy)
    assert refusal is not None
    assert "the verdict of west being DOWN, and it is HEALTHY" in refusal.sentence


def test_a_what_if_plan_does_not_hold_while_the_domain_lives() -> None:
    world = World()
    dry = what_if(world.snapshot, world.policy, domain("west"))
    refusal = check_assumptions(dry, world.snapshot, world.policy)
    assert refusal is not None
    assert refusal.code == "stale-plan"


def test_every_touched_object_is_an_assumption() -> None:
    made = World().lose("west")
    about = [(item.about, item.what) for item in made.assumptions]
    assert about == [
        (AssumptionKind.GENERATION, "policy"),
        (AssumptionKind.VERDICT, "east"),
        (AssumptionKind.VERDICT, "north"),
        (AssumptionKind.VERDICT, "west"),
        (AssumptionKind.REPLICAS, "east deployment/shop/web"),
        (AssumptionKind.REPLICAS, "north deployment/shop/web"),
        (AssumptionKind.RECORD_SET, "example-test shop.example.test. A"),
    ]


def test_needs_name_only_steps_of_the_plan_and_come_after_them() -> None:
    for made in (World().lose("west"), World().plan(RunKind.DRAIN, "west", by_person=True)):
        seen: set[str] = set()
        for step in made.steps:
            assert set(step.needs) <= seen
            assert step.id not in seen
            seen.add(step.id)


def test_placement_is_explained_in_sentences() -> None:
    world = World(applications=[application(), application("blog", dns=())]).cordon("north")
    world.hold("east", state(ref(), 6), room=8)
    sentences = explain_placement(world.lose("west"))
    assert sentences[0] == (
        "shop: 6 of 6 replicas are placed again, 18 of 18 replicas wanted are then ready or added elsewhere; "
        "1 record set changes"
    )
    assert any(
        sentence.startswith("shop: deployment/shop/web in east 6 -> 12: keeps 6, takes 6: ")
        for sentence in sentences
    )
    assert "shop: north is no target: north is cordoned (north by ada: upgrade)" in sentences
    assert any(
        sentence.startswith("blog is left out: the rest would carry 14 of 18") for sentence in sentences
    )


def test_the_blast_radius_is_told_in_numbers() -> None:
    world = World()
    assert blast_radius(world.lose("west"), world.policy) == (
        "evacuation of region/west: 1 of 3 clusters (33 % of the fleet) in 1 of 3 regions (west)",
        "1 of 1 applications move; 0 left out",
        "6 replicas are added and 0 taken away, in 2 clusters (east, north)",
        "1 name changes in DNS (shop.example.test.)",
    )
    alone = world.lose("west", "north")
    assert blast_radius(alone, world.policy)[-1] == "shop.example.test. A then hangs on east alone"


def test_a_widened_run_remembers_what_its_first_half_added() -> None:
    world = World()
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    first = world.lose("west")
    scale = next(step for step in first.steps if isinstance(step, ScaleStep) and step.cluster == EAST)
    world.hold("east", state(ref(), 9))
    latest = world.lose("north", "west", domain=first.domain)
    made = widen(first, frozenset({scale.id}), latest)
    assert made.steps[0] == scale
    later = next(step for step in made.steps[1:] if isinstance(step, ScaleStep))
    assert (later.before, later.after) == (9, 18)
    assert later.needs == (scale.id,)
    row = next(row for row in made.applications[0].placements if row.cluster == EAST)
    assert (row.before, row.after) == (6, 18)
    assert made.applications[0].replaced == 12


def test_a_widened_run_changes_what_the_records_step_under_way_leaves() -> None:
    """It was sent or is to be sent again: the zone did not show it yet when the wider plan was made."""
    world = World()
    first = world.lose("west")
    (records,) = [step for step in first.steps if isinstance(step, ChangeRecordsStep)]
    latest = world.lose("north", "west", domain=first.domain)
    made = widen(first, frozenset({records.id}), latest)
    kept, later = [step for step in made.steps if isinstance(step, ChangeRecordsStep)]
    assert kept.id == records.id
    assert later.changes[0].before == records.changes[0].after
    assert (
        later.changes[0].after == latest.steps[-1].changes[0].after
        if isinstance(latest.steps[-1], ChangeRecordsStep)
        else True
    )
    assert records.id in later.needs


def test_a_widened_run_gives_everything_back_on_its_failback() -> None:
    world = World()
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=18)]
    first = world.lose("west")
    world.finished(first)
    world.displacements.clear()
    latest = world.lose("north", "west", domain=first.domain)
    world.finished(widen(first, frozenset(step.id for step in first.steps), latest))
    world.judge("west", VerdictKind.HEALTHY).judge("north", VerdictKind.HEALTHY)
    made = world.plan(RunKind.FAILBACK, "north", "west", by_person=True)
    assert next(row for row in made.applications[0].placements if row.cluster == EAST).after == 6
    final = [step for step in made.steps if isinstance(step, ChangeRecordsStep)][-1]
    assert len(final.changes[0].after.values) == 3


def test_steering_that_becomes_an_evacuation_names_the_same_effects() -> None:
    world = World().judge("west", VerdictKind.DATA_PLANE_DOWN)
    steering = world.plan(RunKind.STEERING, "west")
    evacuation = world.lose("west")
    assert [step.id for step in steering.steps] == [step.id for step in evacuation.steps]


def test_a_failback_of_duplicates_asks_no_more_than_what_was_wanted_before_them() -> None:
    world = World()
    world.finished(world.lose("west")).judge("west", VerdictKind.HEALTHY)
    world.demands = [Demand(application=world.applications[0].name, workload=ref(), replicas=24)]
    made = world.plan(RunKind.FAILBACK, "west", by_person=True)
    assert (made.applications[0].demand, made.applications[0].capacity_after) == (18, 18)


def test_only_the_asked_applications_are_planned() -> None:
    world = World(applications=[application(), application("blog", dns=())])
    made = world.lose("west", applications=("blog",))
    assert [part.application for part in made.applications] == ["blog"]
    assert kinds(made) == ["scale", "scale", "wait-ready"]
    assert WEST in made.sources
