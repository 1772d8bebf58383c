"""What the calendar's jobs do, each with the guards that a person's command has."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from failover.controller.surviving import event_of, sentence_of
from failover.controller.world import workloads_at, zone_names
from failover.execution.admission import SCHEDULE_PREFIX
from failover.execution.moves import displacements
from failover.model.errors import FailoverError
from failover.model.policy import FenceMode, JobKind, Schedule

if TYPE_CHECKING:
    from failover.controller.app import Controller


class JobRefused(FailoverError):
    """A job does not start now; the sentence says why."""


async def run_job(
    controller: "Controller", schedule: Schedule, validate: Callable[[], Awaitable[str]]
) -> str:
    """Run one job; returns a sentence. Raises JobRefused, Refused, and the adapters' errors."""
    context = controller.context
    if not controller.acting:
        raise JobRefused("this controller does not act now")
    if schedule.job is JobKind.SURVIVABILITY:
        return await could_we_fail_over(controller)
    if context.people.pause is not None:
        raise JobRefused(f"paused by {context.people.pause.by}")
    if runs := context.open_runs():
        raise JobRefused(f"run {runs[0].id} is under way")
    if schedule.job is JobKind.DEEP_PROBE:
        return await deep_probe(controller)
    if schedule.job is JobKind.VALIDATE:
        wrong = await validate()
        if wrong:
            raise FailoverError(wrong)
        return "every cluster grants what a failover needs, every zone takes our updates"
    if schedule.job is JobKind.REPORT:
        return report_sentence(controller)
    request = {
        "verb": "start",
        "kind": schedule.job.value,
        "domain": schedule.domain,
        "actor": f"{SCHEDULE_PREFIX}{schedule.name}",
        "reason": schedule.reason or f"schedule {schedule.name}",
    }
    answer = await controller.command(request)
    return f"run {answer['run']} opened" if answer["run"] else "nothing to do"


async def could_we_fail_over(controller: "Controller") -> str:
    """Always answered, a pause or a run notwithstanding: it changes nothing. Metrics are made from its event."""
    context = controller.context
    found = await context.survivability()
    context.survives = (context.now().wall, found)
    context.ports.telemetry.emit(event_of(found, context.now().wall))
    return sentence_of(found)


async def deep_probe(controller: "Controller") -> str:
    """Inventory, rights and DNS of everything, now. Raises FailoverError with all that is wrong."""
    context = controller.context
    policy, ports = context.policy, context.ports
    await context.world.refresh(policy, ports.clusters, ports.zones)
    wrong = [f"{name}: {text}" for name, text in context.world.inventory_errors.items()]
    wrong += [f"{name}: {text}" for name, text in context.world.zone_errors.items()]
    for name, cluster in ports.clusters.items():
        fence = policy.fleet.cluster(name).fence is FenceMode.POLICY
        found = await cluster.check_rights(workloads_at(policy, name), fence=fence)
        wrong += [f"{name}: {item.sentence}" for item in found if not item.warning]
    for zone_name, zone in ports.zones.items():
        problems = await zone.check(zone_names(policy.applications, zone_name)[0])
        wrong += [f"{zone_name}: {item.sentence}" for item in problems if not item.warning]
    if wrong:
        raise FailoverError("; ".join(wrong))
    return f"{len(ports.clusters)} clusters and {len(ports.zones)} zones looked at in depth"


def report_sentence(controller: "Controller") -> str:
    """The fleet in one sentence."""
    context = controller.context
    verdicts = Counter(
        item.kind.value for item in context.judgement.verdicts if item.subject.application is None
    )
    runs = list(context.runs.values())
    recent = [run for run in runs if context.now().wall - run.opened_at < timedelta(days=1)]
    away = sorted({str(item.domain) for item in displacements(runs)})
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(verdicts.items()))
    return f"{counted}; {len(recent)} runs in 24 h; away from: {', '.join(away) or 'nothing'}"
