"""`validate`, `rbac`, `vantage-token`: what a platform engineer does before anything runs."""

import asyncio
import os
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop


def validate(policies: Path, *, live: bool, output: render.Format) -> int:
    """Check the files, and with `live` the clusters and zones. Returns the exit code; PolicyError passes through."""
    from failover.health import expected
    from failover.policy import load

    result = load(policies)
    problems = asyncio.run(check_live(result.policy)) if live else []
    found: dict[str, Any] = {
        "generation": result.policy.generation,
        "files": [str(path) for path in result.files],
        "warnings": [str(item) for item in result.warnings],
        "expected": list(expected(result.policy)),
        "live": problems,
    }
    if not render.data(found, output):
        fleet = result.policy.fleet
        render.line(
            f"{len(result.files)} files, generation {result.policy.generation}: {len(fleet.regions())} regions, "
            f"{len(fleet.clusters)} clusters, {len(fleet.vantages)} vantages, {len(result.policy.applications)} applications"
        )
        for sentence in found["expected"]:
            render.line(f"  {sentence}")
        for text in found["warnings"]:
            render.line(text)
        for item in problems:
            word = "warning: " if item["warning"] else ""
            render.line(f"{word}{item['target']}: {render.bare(item['sentence'], item['target'])}")
        if live and not problems:
            render.line("live: every cluster grants what a failover needs, every zone takes our updates")
    return exits.ERROR if any(not item["warning"] for item in problems) else exits.DONE


async def check_live(policy: Any) -> list[dict[str, Any]]:
    """Ask everything that a failover would need; changes nothing."""
    from failover.controller.clock import SystemClock
    from failover.controller.world import workloads_at, zone_names
    from failover.dnszones import open_zones
    from failover.kube import open_clusters
    from failover.model.codec import to_plain
    from failover.model.policy import FenceMode

    clock = SystemClock()
    clusters, problems = open_clusters(policy, clock)
    zones = open_zones(policy, clock)
    found = [{"target": name, "sentence": sentence, "warning": False} for name, sentence in problems.items()]
    fences = {entry.name: entry.fence is FenceMode.POLICY for entry in policy.fleet.clusters}
    try:
        answers = await asyncio.gather(
            *(
                item.check_rights(workloads_at(policy, name), fence=fences[name])
                for name, item in clusters.items()
            ),
            *(item.check(zone_names(policy.applications, name)[0]) for name, item in zones.items()),
        )
    finally:
        await asyncio.gather(
            *(cluster.close() for cluster in clusters.values()), *(zone.close() for zone in zones.values())
        )
    return [*found, *(to_plain(problem) for answer in answers for problem in answer)]


def print_rbac(policies: Path, *, fence: bool, user: str) -> None:
    """The manifest on stdout."""
    from failover.kube.rbac import manifest
    from failover.policy import load_directory

    render.line(manifest(load_directory(policies), fence=fence, user=user).rstrip())


def make_token(file: Path) -> None:
    """Write a fresh token, mode 0600; print its digest."""
    from failover.web.tokens import new_token, token_digest

    token = new_token()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Stop(exits.ERROR, f"{file} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as out:
        out.write(token + "\n")
    render.line(token_digest(token))
    render.talk(f"the token is in {file}; the line above goes into the policy as tokenSHA256")
