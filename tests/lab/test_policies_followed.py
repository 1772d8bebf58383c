"""The shipped controller as a process, while people edit its policies: nothing that a file may hold ends it (I29)."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.shop import Shop

SCHEDULE = """apiVersion: failover/v1alpha1
kind: Schedule
metadata: {{name: {name}}}
spec: {{job: report, cron: "{cron}"}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "lab")
    try:
        made.open()
        yield made
    finally:
        made.lab.stop()


def add(name: str, content: bytes) -> Callable[[Shop], None]:
    def change(shop: Shop) -> None:
        (shop.lab.policies / name).write_bytes(content)

    return change


def edit(old: str, new: str) -> Callable[[Shop], None]:
    def change(shop: Shop) -> None:
        path = shop.lab.policies / "fleet.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def without_its_ca(shop: Shop) -> None:
    assert shop.lab.certificates is not None
    shop.lab.certificates.authority.rename(shop.lab.folder / "ca.away")


WRONG: list[tuple[str, Callable[[Shop], None]]] = [
    ("has a step of 90", add("s.yaml", SCHEDULE.format(name="x", cron="*/90 * * * *").encode())),
    ("is not YAML", add("s.yaml", b'a: "\\U99999999"\n')),
    ("is not UTF-8 text", add("s.yaml", bytes(range(128, 256)))),
    ("there is no home directory '~nosuch'", edit("kubeconfig: /", 'kubeconfig: "~nosuch/x" # ')),
    ("cannot be read: No such file or directory", edit("caFile: /", "caFile: /nowhere/")),
    ("ca.pem cannot be read", without_its_ca),
]


def test_no_file_ends_a_controller_and_a_good_one_is_followed_after_all_of_them(shop: Shop) -> None:
    generation = shop.until(lambda status: True)["generation"]
    process, kept = shop.lab.running["controller"], shop.lab.folder / "kept"
    shutil.copytree(shop.lab.policies, kept)
    for sentence, change in WRONG:
        change(shop)
        told = shop.until(lambda seen, said=sentence: any(said in text for text in seen["policy_problems"]))
        assert told["generation"] == generation, "an invalid file changes nothing"
        assert process.poll() is None, shop.lab.log_tail("controller")
        (shop.lab.policies / "s.yaml").unlink(missing_ok=True)
        shutil.copytree(kept, shop.lab.policies, dirs_exist_ok=True)
        away = shop.lab.folder / "ca.away"
        if away.exists():
            away.rename(shop.lab.folder / "ca.pem")
        shop.until(lambda seen: seen["policy_problems"] == [])
    add("s.yaml", SCHEDULE.format(name="often", cron="* * * * *").encode())(shop)
    shop.until(lambda seen: seen["generation"] != generation)
    shop.until(lambda seen: "often" in [row["name"] for row in seen["schedules"]])
    shop.until(
        lambda seen: (
            seen["schedules"]
            and all(row["result"] == "done" for row in seen["schedules"] if row["name"] == "often")
        ),
        130,
    )
    shown = shop.failover("status").stdout
    assert "LAST" in shown
    assert "done 20" in shown, "when it ran stands beside how it ended"
    shop.healthy()
    assert process.poll() is None
