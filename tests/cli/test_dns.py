"""`failover dns`: what a person sees of zones at two providers, without a controller."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from failover.cli import exits, render
from failover.cli.intended import decided_by_runs, drift_since
from failover.cli.zones import prepare_checks, show_status, show_verification
from failover.controller.clock import SystemClock
from failover.controller.drift import drifted
from failover.dnszones.clouddns import CloudDNSZone
from failover.model.errors import Unavailable, UsageError
from failover.model.ids import ApplicationName, Domain, DomainKind, IntentId, StepId, ZoneName
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    Entry,
    RunClosed,
    RunOpened,
    RunState,
    StepDone,
)
from failover.model.plan import ChangeRecordsStep, Phase, Plan, RunKind
from failover.model.records import RecordChange, RecordSet, RecordType, ServerAnswer, Verification, ZoneState
from failover.policy import load_directory
from failover.store.sqlite import SQLiteStore
from tests.dnszones.worlds import APEX, CloudDNSWorld, Route53World

POLICIES = Path(__file__).parents[2] / "policies"
CLUSTERS = {"shop": ["198.51.100.11", "198.51.100.21"]}


class Desk:
    """The example's policies with its zone at two stand-ins, and what the commands print."""

    def __init__(self, folder: Path, aws: Route53World, google: CloudDNSWorld) -> None:
        self.aws, self.google = aws.fake, google.fake
        self.policies, self.state = folder / "policies", folder / "state"
        self.policies.mkdir()
        for path in POLICIES.glob("*.yaml"):
            if path.name != "dns.yaml":
                (self.policies / path.name).write_text(path.read_text())
        zones = [
            self._zone("aws", aws, hostedZone=aws.zone.hosted_zone),
            self._zone("google", google, project=google.zone.project, managedZone=google.zone.hosted_zone),
        ]
        (self.policies / "dns.yaml").write_text("---\n".join(map(yaml.safe_dump, zones)))
        path = self.policies / "applications.yaml"
        applications = list(yaml.safe_load_all(path.read_text()))
        self.names: list[tuple[str, str, int]] = []
        for item in applications:
            for one in item["spec"].get("dns", []):
                one.pop("zone")
                one["zones"] = ["aws", "google"]
                self.names.append((one["name"] + ".", one["type"], int(str(one["ttl"]).rstrip("s"))))
        path.write_text("---\n".join(map(yaml.safe_dump, applications)))

    def _zone(self, name: str, world: Any, **own: str) -> dict[str, Any]:
        zone = world.zone
        spec = {
            "apex": APEX,
            "provider": zone.provider,
            "credentialsFile": zone.credentials_file,
            "endpoint": zone.endpoint,
            "requestsPerSecond": 1000.0,
            "authoritative": [{"address": item.address, "port": item.port} for item in zone.authoritative],
            "timeout": "5s",
            **own,
        }
        return {
            "apiVersion": "failover/v1alpha1",
            "kind": "DNSZone",
            "metadata": {"name": name},
            "spec": spec,
        }

    def publish(self, fake: Any, address: str = "198.51.100.11") -> None:
        for name, kind, ttl in self.names:
            fake.set_records(name, kind, ttl, address if kind == "A" else "eu-west-a1.example.net.")

    async def journal(self, lags: dict[str, float | None] | None = None) -> tuple[str, str]:
        """A run that made a name what it is now, as the journal has it; the name and its type."""
        name, kind, ttl = self.names[0]
        made = RecordSet(name=name, record_type=RecordType(kind), ttl=ttl, values=("198.51.100.11",))
        step = ChangeRecordsStep(
            id=StepId("records:shop"),
            application=ApplicationName("shop"),
            phase=Phase.DNS_CHANGE,
            zone=ZoneName("aws"),
            changes=(RecordChange(before=None, after=made),),
        )
        plan = Plan(
            run_kind=RunKind.REPAIR,
            domain=Domain(kind=DomainKind.REGION, name="eu-west"),
            sources=(),
            policy_generation="g",
            verdicts=(),
            applications=(),
            steps=(step,),
        )
        verification = Verification(
            zone=step.zone,
            servers=tuple(
                ServerAnswer(server=name, answered=True, matches=True, lag_s=lag)
                for name, lag in (lags or {}).items()
            ),
            checked_at=SystemClock().now().wall,
        )
        entries: list[Entry] = [
            RunOpened(plan=plan, actor="a person"),
            EffectRecorded(intent=IntentId("run-1/1"), step=step.id, result=EffectResult.APPLIED),
            *([StepDone(step=step.id, verification=verification)] if lags is not None else []),
            RunClosed(state=RunState.DONE, sentence="done"),
        ]
        store = await SQLiteStore.open(self.state, SystemClock())
        lease = await store.acquire("controller", boot_id="boot", process=1, seconds=30)
        await store.append_batch(lease.epoch, [("run-1", entry) for entry in entries])
        await store.close()
        return name, kind


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "aws").mkdir()
    (tmp_path / "google").mkdir()
    worlds = (Route53World(tmp_path / "aws"), CloudDNSWorld(tmp_path / "google"))
    for world in worlds:
        await world.start()
    made = Desk(tmp_path, *worlds)
    for fake in (made.aws, made.google):
        made.publish(fake)
    yield made
    for world in worlds:
        await world.close()


async def said(
    function: Any, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the rows of a command, run beside the stand-ins."""
    code = await asyncio.to_thread(function, desk.policies, desk.state, [], render.Format.JSON)
    return code, json.loads(capsys.readouterr().out)


async def test_status_tells_what_each_zone_can_and_where_two_providers_differ(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = await said(show_status, desk, capsys)
    assert code == exits.DONE, rows
    assert [(row["zone"], row["provider"]) for row in rows] == [("aws", "route53"), ("google", "clouddns")]
    assert all("weights" in row["can"] and len(row["names"]) == len(desk.names) for row in rows)
    for row in rows:
        sets, requests = row["quotas"]
        assert (sets["what"], sets["limit"], sets["left"]) == (
            "record sets of the zone",
            10_000,
            10_000 - sets["used"],
        )
        assert sets["used"] >= len(desk.names)
        assert requests["what"] == "requests at once"
    await asyncio.to_thread(show_status, desk.policies, desk.state, [], render.Format.TABLE)
    shown = capsys.readouterr().out
    assert "QUOTA LEFT" in shown
    assert "of 10000 record sets of the zone" in shown
    desk.publish(desk.google, "198.51.100.21")
    code, rows = await said(show_status, desk, capsys)
    assert code == exits.UNHEALTHY
    assert any("198.51.100.21 at google" in sentence for sentence in rows[0]["differs"])


@pytest.mark.parametrize("look", [show_status, show_verification])
async def test_what_somebody_edited_is_told_by_the_journal_without_a_controller(
    desk: Desk, capsys: pytest.CaptureFixture[str], look: Any
) -> None:
    """Both providers and every server agree on what was edited: only the journal knows better."""
    code, rows = await said(look, desk, capsys)
    assert code == exits.DONE
    assert all("is not known" in row["drift_unknown"] for row in rows), (
        "no journal is no word that all is well"
    )
    name, kind = await desk.journal()
    code, rows = await said(look, desk, capsys)
    assert (code, [(row["drift"], row["drift_unknown"]) for row in rows]) == (exits.DONE, [([], "")] * 2)
    for fake in (desk.aws, desk.google):
        desk.publish(fake, "198.51.100.21")
    code, rows = await said(look, desk, capsys)
    assert code == exits.UNHEALTHY
    (sentence,) = rows[0]["drift"]
    assert sentence.startswith(f"{name} {kind} holds 198.51.100.21, and the last run made it 198.51.100.11")
    await asyncio.to_thread(look, desk.policies, desk.state, [], render.Format.TABLE)
    shown = capsys.readouterr()
    assert f"aws: {sentence}" in shown.out.splitlines()
    assert "as intended" not in shown.out
    for fake in (desk.aws, desk.google):
        desk.publish(fake)
        fake.set_records(name, kind, 3600, "198.51.100.11")
    code, rows = await said(look, desk, capsys)
    assert code == exits.UNHEALTHY
    assert "has a TTL of 3600 s" in rows[0]["drift"][0]


async def test_a_run_that_ends_while_the_zones_are_read_explains_what_differs(desk: Desk) -> None:
    name, kind = await desk.journal()
    policy, before = load_directory(desk.policies), decided_by_runs(desk.state)
    made = RecordSet(name=name, record_type=RecordType(kind), ttl=desk.names[0][2], values=("198.51.100.11",))
    away = replace(made, values=("198.51.100.21",))
    earlier = replace(before.runs[0].plan.steps[0], changes=(RecordChange(before=None, after=away),))
    run = before.runs[0]
    was = replace(before, runs=(replace(run, plan=replace(run.plan, steps=(earlier,))),))
    now = {ZoneName("aws"): ZoneState(zone=ZoneName("aws"), record_sets=(made,))}
    assert drifted(policy, was.runs, now), "by the journal that was read before"
    assert not drift_since(policy, now, was, desk.state)


async def test_a_provider_that_is_away_is_told_and_the_other_is_shown(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.aws.faults.errors = True
    code, rows = await said(show_status, desk, capsys)
    assert code == exits.UNHEALTHY
    assert rows[0]["names"] == []
    assert any("500" in item["sentence"] for item in rows[0]["problems"])
    assert rows[0]["quotas"] is None, "not asked is not none"
    assert len(rows[1]["names"]) == len(desk.names)
    assert not any(row["differs"] for row in rows), "what was not read is unknown, and differs from nothing"


async def test_a_zone_that_is_well_and_cannot_be_read_now_is_called_unread(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check found nothing wrong, and a moment later the read failed: that is neither `ok` nor a zone without names."""
    read = CloudDNSZone.read

    async def away(self: CloudDNSZone, names: Any, applications: Any) -> Any:
        if applications:  # the check asks for names only
            raise Unavailable("zone google: Cloud DNS gave no usable answer: ReadTimeout")
        return await read(self, names, applications)

    monkeypatch.setattr(CloudDNSZone, "read", away)
    code, rows = await said(show_status, desk, capsys)
    assert code == exits.UNHEALTHY
    assert [row["unread"] for row in rows] == [
        "",
        "could not be read: zone google: Cloud DNS gave no usable answer: ReadTimeout",
    ]
    assert rows[1]["names"] == []
    assert not any(row["differs"] for row in rows)
    await asyncio.to_thread(show_status, desk.policies, desk.state, [], render.Format.TABLE)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in shown[1:3]] == ["ok", "unread"]
    assert "google: could not be read: zone google: Cloud DNS gave no usable answer: ReadTimeout" in shown


async def test_verify_asks_every_server_and_names_the_one_that_lags(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = await said(show_verification, desk, capsys)
    assert code == exits.DONE, rows
    assert [len(row["servers"]) for row in rows] == [2, 2]
    desk.google.behind.servers[1].faults.frozen_content = True
    desk.publish(desk.google, "198.51.100.21")
    code, rows = await said(show_verification, desk, capsys)
    assert code == exits.UNHEALTHY
    assert [item["matches"] for item in rows[1]["servers"]] == [True, False]


async def test_verify_shows_the_serial_of_each_server_and_how_far_behind_the_last_run_saw_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    slow, quick = (f"{item.address} port {item.port}" for item in reversed(desk.aws.behind.servers))
    await desk.journal(lags={slow: 1.25, quick: None})
    _, (row, other) = await said(show_verification, desk, capsys)
    assert {item["server"]: item["lag_s"] for item in row["servers"]} == {slow: 1.25, quick: None}
    assert all(item["lag_s"] is None for item in other["servers"])
    assert all(item["serial"] == desk.aws.behind.servers[0].content(APEX).serial for item in row["servers"])
    await asyncio.to_thread(show_verification, desk.policies, desk.state, [], render.Format.TABLE)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["ZONE", "SERVER", "ANSWERS", "SERIAL", "LAG", "DETAIL"]
    (line,) = (line for line in lines if line.startswith("aws") and slow in line)
    assert f"{row['servers'][0]['serial']}" in line
    assert "1.25 s" in line


async def test_what_cannot_be_meant_is_said_in_a_sentence(desk: Desk) -> None:
    with pytest.raises(UsageError, match="there is no zone 'azure'; there are aws, google"):
        show_status(desk.policies, desk.state, ["azure"], render.Format.JSON)
    with pytest.raises(UsageError, match="does not say prepare: true"):
        prepare_checks(desk.policies, "google")
