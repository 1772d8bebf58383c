"""What a person sees of a plan before they say yes, and the files that plans are kept in."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.planfile import read_plan, write_plan
from failover.cli.plans import confirm, show_plan
from failover.lab.virtual import run_virtual
from failover.model.journal import RunState
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs

PERSON = {"actor": "ada@desk"}
DRAIN = {**PERSON, "verb": "plan", "kind": "drain", "domain": "region/north"}


def drain_plan() -> dict[str, Any]:
    """The answer to `failover plan region/north --kind drain`."""

    async def ask() -> dict[str, Any]:
        fleet = await a_healthy_fleet()
        assert fleet.controller is not None
        answer = await fleet.controller.command(DRAIN)
        await fleet.stop()
        return answer

    return run_virtual(ask())


def shown(answer: dict[str, Any]) -> str:
    with redirect_stdout(io.StringIO()) as out:
        show_plan(answer, render.Format.TABLE)
    return " ".join(out.getvalue().split())


def test_a_plan_shows_its_blast_radius_and_every_change() -> None:
    text = shown(drain_plan())
    assert "1 of 3 clusters (33 % of the fleet)" in text
    assert "- north-1 deployment/shop/web 6 -> 0" in text
    assert "198.51.100.11, 198.51.100.21, 198.51.100.31 -> 198.51.100.21, 198.51.100.31" in text


def test_an_application_that_is_left_out_shows_no_change() -> None:
    answer = drain_plan()
    part = answer["plan"]["applications"][0]
    part["left_out"] = {
        "code": "busy",
        "sentence": "run x is under way",
        "application": "shop",
        "evidence": [],
    }
    text = shown(answer)
    assert "left out, nothing of it changes: busy: run x is under way" in text
    assert "6 -> 0" not in text
    assert "198.51.100.11" not in text


def test_a_failback_shows_the_real_share_of_each_stage() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
        fleet.revive_cluster("north-1")
        await fleet.clock.sleep(100)
        answer = await controller.command({**DRAIN, "kind": "failback"})
        assert answer["refusals"] == []
        text = shown(answer)
        assert "stage 1, 33 % of clients then go home: shop.example.test. A" in text
        await fleet.stop()

    run_virtual(story())


def test_a_plan_that_was_saved_is_the_plan_that_is_applied(tmp_path: Path) -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        write_plan(await controller.command(DRAIN), tmp_path / "plan")
        saved = read_plan(tmp_path / "plan")
        assert saved["blast_radius"]
        request = {**PERSON, "verb": "apply", "plan": saved["plan"], "hash": saved["hash"]}
        answer = await controller.command(request)
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=120)
        assert controller.context.runs[answer["run"]].state is RunState.DONE
        await fleet.stop()

    run_virtual(story())


def edited(path: Path, what: str) -> None:
    found = json.loads(path.read_text())
    if what == "a number of replicas":
        step = next(item for item in found["plan"]["steps"] if item["kind"] == "scale")
        step["after"] += 90
    elif what == "its reach":
        found["blast_radius"] = ["nothing to see here"]
    elif what == "its hash":
        found["hash"] = "0" * 64
    path.write_text(json.dumps(found))


@pytest.mark.parametrize("what", ["a number of replicas", "its reach", "its hash"])
def test_a_plan_file_of_which_anything_was_changed_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "plan"
    write_plan(drain_plan(), path)
    edited(path, what)
    with pytest.raises(Stop) as caught:
        read_plan(path)
    assert caught.value.code == exits.REFUSED
    assert "was changed after it was written" in caught.value.sentence


@pytest.mark.parametrize("text", ["", "[]", "{", '{"plan": {}}', "[" * 100_000])
def test_what_is_no_plan_file_is_a_usage_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan"
    path.write_text(text)
    with pytest.raises(Stop) as caught:
        read_plan(path)
    assert caught.value.code == exits.USAGE


def test_a_plan_that_cannot_be_saved_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Stop) as caught:
        write_plan({"plan": {}, "hash": "", "blast_radius": []}, tmp_path / "nowhere" / "plan")
    assert caught.value.code == exits.ERROR
    assert "cannot be written: No such file or directory" in caught.value.sentence


def test_without_a_terminal_only_yes_will_do() -> None:
    confirm("region/north", yes=True)
    with pytest.raises(Stop) as caught:
        confirm("region/north", yes=False)
    assert caught.value.code == exits.USAGE
