"""Policy files are followed while the controller runs: valid ones whole, invalid ones not at all (I29), and none ends it."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from failover.controller.policies import PolicySource
from failover.lab.certificates import write_certificates
from failover.model.errors import PolicyError
from failover.model.policy import Policy

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, with a CA bundle for its probes."""
    made = tmp_path / "policies"
    shutil.copytree(POLICIES, made)
    write_certificates(made, ["127.0.0.1"], ["localhost"])
    edit(made / "fleet.yaml", "bodyContains: ok", "bodyContains: ok, caFile: ca.pem")
    return made


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Followed:
    """A source that is watched, and what it handed on."""

    def __init__(self, source: PolicySource) -> None:
        self.source = source
        self.policies: list[Policy] = []
        self.refusals: list[str] = []

    def refused(self) -> None:
        self.refusals.append("; ".join(str(problem) for problem in self.source.problems))

    async def until(self, what: Callable[[], object]) -> None:
        for _ in range(6000):
            if what():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"nothing came of it; the problems are {self.source.problems}")


def watched(folder: Path, story: Callable[[Followed], object], *, retry_s: float = 1000.0) -> None:
    async def main() -> None:
        source = PolicySource(folder, poll_s=0.01, retry_s=retry_s)
        source.load()
        followed = Followed(source)
        task = asyncio.ensure_future(source.watch(followed.policies.append, followed.refused))
        await story(followed)  # type: ignore[misc]
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "a.yaml").write_text('a: "\\U99999999"'), "is not YAML"),
        (lambda folder: (folder / "a.yaml").write_bytes(b"\xff\xfe"), "is not UTF-8 text"),
        (lambda folder: edit(folder / "fleet.yaml", "kubeconfig: kubeconfig.yaml", 'kubeconfig: "~nobody-here/x"'), "there is no home directory"),
        (lambda folder: edit(folder / "schedules.yaml", "15 3 * * *", "*/90 * * * *"), "has a step of 90"),
        (lambda folder: (folder / "ca.pem").unlink(), "ca.pem cannot be read: No such file or directory"),
        (lambda folder: (folder / "ca.pem").write_text("nothing"), "ca.pem holds no PEM certificate"),
        (lambda folder: shutil.rmtree(folder), "there is no such directory"),
    ],
)  # fmt: skip
def test_an_invalid_change_is_told_once_and_changes_nothing(
    folder: Path, change: Callable[[Path], None], sentence: str
) -> None:
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)

    async def story(followed: Followed) -> None:
        change(folder)
        await followed.until(lambda: followed.refusals)
        assert sentence in followed.refusals[0]
        assert sentence in str(followed.source.problems[0])
        await asyncio.sleep(0.2)
        assert followed.policies == []
        assert len(followed.refusals) == 1
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
        await followed.until(lambda: followed.policies)
        assert followed.source.problems == ()

    watched(folder, story)


def test_certificates_stay_with_the_policy_that_named_them(folder: Path) -> None:
    source = PolicySource(folder)
    policy = source.load()
    bundle = policy.fleet.clusters[0].data_probe.ca_file
    before = source.read_ca(bundle)
    assert before.startswith("-----BEGIN CERTIFICATE-----")
    Path(bundle).unlink()
    with pytest.raises(PolicyError):
        source.load()
    assert source.read_ca(bundle) == before
    assert source.read_ca("") == ""


def test_a_bundle_that_vanishes_between_two_looks_is_a_problem_like_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from failover.controller import policies

    def vanishing(directory: Path) -> object:
        result = loaded(directory)
        (folder / "ca.pem").unlink()
        return result

    loaded = policies.load
    monkeypatch.setattr(policies, "load", vanishing)
    source = PolicySource(folder)
    with pytest.raises(PolicyError) as error:
        source.load()
    assert "the CA bundle" in str(error.value)
    assert source.problems == error.value.problems


def test_a_renewed_bundle_is_followed_without_a_change_of_the_files(folder: Path) -> None:
    async def story(followed: Followed) -> None:
        bundle = str(folder / "ca.pem")
        before = followed.source.read_ca(bundle)
        write_certificates(folder, ["127.0.0.1"], ["localhost"])
        await followed.until(lambda: followed.policies)
        assert followed.source.bundles_changed
        assert followed.source.read_ca(bundle) != before
        os.utime(folder / "fleet.yaml")
        await followed.until(lambda: len(followed.policies) == 2)
        assert not followed.source.bundles_changed

    watched(folder, story)


def test_what_was_refused_is_looked_at_again_now_and_then(folder: Path) -> None:
    async def story(followed: Followed) -> None:
        followed.source.refuse("is valid, but cannot be followed: for a reason that passes")
        await followed.until(lambda: followed.policies)
        assert followed.source.problems == ()

    watched(folder, story, retry_s=0.05)


def test_one_file_is_followed_as_well_as_a_directory(folder: Path) -> None:
    whole = folder / "all.yaml"
    text = "\n---\n".join(path.read_text() for path in sorted(folder.glob("*.yaml")))
    for path in folder.glob("*.yaml"):
        path.unlink()
    whole.write_text(text)

    async def story(followed: Followed) -> None:
        edit(whole, "perDay: 2", "perDay: 3")
        await followed.until(lambda: followed.policies)
        assert followed.policies[0].guards.per_day == 3

    watched(whole, story)
