"""What is pushed to the policy directory: edits, files that are no policy, and files in which a cluster is missing."""

import asyncio
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from failover.controller.policies import PolicySource
from failover.lab.simulation.fleet import edited
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.lives import Life
from failover.lab.simulation.world import World
from failover.model.errors import PolicyError, StoreError
from failover.model.ids import ClusterName
from failover.model.policy import Application, Policy

from .registry import NothingToBefall, fault

BLANK_POLICY = """\
apiVersion: failover/v1alpha1
kind: Application
metadata:
  name: shop
spec:
  mode:
  workloads:
    - object:
      placement:
"""
"""What a template leaves when the values that it is filled from are missing."""
FEWEST = 2
"""A fleet has so many clusters."""
TORN_POLICY = BLANK_POLICY[:70]
NOT_YAML = "kind: [Application\n\tname: shop"
OF_ANOTHER_TOOL = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n"


@fault("policy-edited", "people")
async def policy_edited(world: World) -> None:
    world.written = edited(world.written, world.random)
    await put_in_force(world)


@fault("policy-file-broken", "people", longest_s=40)
async def policy_file_broken(world: World) -> Undo:
    """Somebody saves what is no policy, and mends it later."""
    return await push(world, world.random.choice((BLANK_POLICY, TORN_POLICY, NOT_YAML, OF_ANOTHER_TOOL, "")))


@fault("cluster-leaves-the-policy", "people", longest_s=60)
async def cluster_leaves_the_policy(world: World) -> Undo:
    """A valid file in which a cluster is missing: that it is not named does not mean that it has failed."""
    named = sorted(entry.name for entry in world.policy.fleet.clusters)
    if len(named) <= FEWEST:
        raise NothingToBefall
    return await leave_out(world, [world.random.choice(named)])


async def leave_out(world: World, names: Sequence[ClusterName]) -> Undo:
    """Put a policy in force that does not name these; undone: one that does again."""
    world.left_out += names
    world.were_left_out.update(names)
    await put_in_force(world)

    def undo() -> None:
        for name in names:
            world.left_out.remove(name)
        world.chores.append(asyncio.ensure_future(put_in_force(world)))

    return undo


async def put_in_force(world: World) -> None:
    """What is written, as a generation of its own, in every controller that runs. As with the daemon: it is in force also
    where the journal cannot say so.
    """
    world.policies += 1
    named = {entry.name for entry in world.written.fleet.clusters} - set(world.left_out)
    generation = f"{0xF001 + world.policies:016x}"
    world.put_in_force(replace(only_with(world.written, named), generation=generation))
    await follow(world.lives, world.policy)


async def push(world: World, text: str) -> Undo:
    """A file with this text; whatever the shipped loader makes of it reaches every controller. Undone: the file is mended."""
    source, policy = _loaded(text)
    if policy is not None:
        await follow(world.lives, policy)
    for life in world.lives:
        if life.controller is not None:
            life.controller.problems = lambda: source.problems

    def undo() -> None:
        for life in world.lives:
            if life.controller is not None:
                life.controller.problems = tuple

    return undo


async def follow(lives: Sequence[Life], policy: Policy) -> None:
    """Every one of these that is awake takes it in."""
    for life in lives:
        if life.alive and life.controller is not None and life.clock.running.is_set():
            with suppress(StoreError):
                await life.controller.use_policy(policy)


def _loaded(text: str) -> tuple[PolicySource, Policy | None]:
    with tempfile.TemporaryDirectory(prefix="failover-simulation-") as folder:
        Path(folder, "policy.yaml").write_text(text, encoding="utf-8")
        source = PolicySource(Path(folder))
        try:
            return source, source.load()
        except PolicyError:
            return source, None


def only_with(policy: Policy, names: Collection[ClusterName]) -> Policy:
    """The policy with these clusters only."""

    def trimmed(application: Application) -> Application:
        return replace(
            application,
            workloads=tuple(
                replace(item, placement=tuple(rule for rule in item.placement if rule.cluster in names))
                for item in application.workloads
            ),
            dns=tuple(
                replace(item, clusters=tuple(name for name in item.clusters if name in names))
                for item in application.dns
            ),
        )

    return replace(
        policy,
        fleet=replace(
            policy.fleet, clusters=tuple(entry for entry in policy.fleet.clusters if entry.name in names)
        ),
        applications=tuple(trimmed(item) for item in policy.applications),
    )
