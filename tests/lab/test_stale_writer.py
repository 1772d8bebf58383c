"""The stale-writer scenario's own judge: only the fence's refusal at every provider passes, no other reason for being stopped."""

import json
from pathlib import Path

import pytest

from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from failover.lab.refusals import refusal_line
from failover.lab.truth import check_fenced_off

PROVIDERS = {"lab-test": "rfc2136", "lab-test-route53": "route53", "lab-test-clouddns": "clouddns"}
OLD = "v=1 owner=lab app=shop plan=p gen=g epoch=1 holder=first"
NEW = "v=1 owner=lab app=shop plan=p gen=g epoch=2 holder=second"


@pytest.fixture
def lab(tmp_path: Path) -> LabProcesses:
    return LabProcesses(make_lab(dns=list(PROVIDERS.values())), tmp_path)


def played(lab: LabProcesses, refused: dict[str, tuple[str, str]], outcomes: dict[str, str]) -> list[str]:
    """The judgement over what the servers logged (provider -> fences sent and standing) and the sleeper was told."""
    lines = [refusal_line(provider, "NXRRSET", sent, stands) for provider, (sent, stands) in refused.items()]
    (lab.folder / "names.log").write_text("\n".join(["ready", *lines, ""]))
    lab.asleep.write_text(
        "".join(
            json.dumps({"zone": zone, "outcome": outcome, "sentence": "why"}) + "\n"
            for zone, outcome in outcomes.items()
        )
    )
    return check_fenced_off(lab)


EVERYWHERE = dict.fromkeys(PROVIDERS.values(), (OLD, NEW))
FENCED = dict.fromkeys(PROVIDERS, "FencedOff")


def test_a_fence_that_refused_at_every_provider_is_as_expected(lab: LabProcesses) -> None:
    assert played(lab, EVERYWHERE, FENCED) == []


@pytest.mark.parametrize("outcome", ["Unavailable", "Conflict", "applied", "cancelled"])
def test_a_sleeper_that_anything_else_stopped_proves_nothing(lab: LabProcesses, outcome: str) -> None:
    """`Unavailable` is what its own permit says once the lease has run out: not a byte went to the fence."""
    (wrong,) = played(lab, EVERYWHERE, {**FENCED, "lab-test": outcome})
    assert outcome in wrong


def test_a_change_that_never_came_to_a_provider_is_told(lab: LabProcesses) -> None:
    without = {provider: fences for provider, fences in EVERYWHERE.items() if provider != "route53"}
    assert played(lab, without, FENCED) == [
        "no change of an older epoch than its fence's ever came to route53"
    ]
    wrong = played(lab, EVERYWHERE, {zone: "FencedOff" for zone in PROVIDERS if zone != "lab-test-clouddns"})
    assert wrong == ["what the woken controller sent to zone lab-test-clouddns: never sent "]


@pytest.mark.parametrize("stands", [OLD, "", "v=spf1 -all"])
def test_a_refusal_for_another_reason_than_a_newer_fence_does_not_count(
    lab: LabProcesses, stands: str
) -> None:
    wrong = played(lab, {**EVERYWHERE, "rfc2136": (OLD, stands)}, FENCED)
    assert wrong == ["no change of an older epoch than its fence's ever came to rfc2136"]
