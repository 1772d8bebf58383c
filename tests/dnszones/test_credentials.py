"""Credentials at Route 53 and Cloud DNS that are missing, or no longer good: the first words say what to set or do."""

import json
from pathlib import Path

import pytest

from failover.lab.providers import CloudDNSFake
from failover.model.errors import LocalFault

from .worlds import APEX, SHOP, ZONE, CloudDNSWorld, Route53World, record

SHOP_EAST = record("shop", "192.0.2.10")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "none were found; name a shared credentials file under `credentialsFile`"),
        ("[default]\naws_access_key_id = A\n", "half of them is missing; a profile has aws_access_key_id"),
        ("nonsense\n", "the file under `credentialsFile` is no shared credentials file: a line [default]"),
    ],
    ids=["none", "half", "nonsense"],
)
async def test_aws_credentials_that_are_missing_say_first_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, sentence: str
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "nothing"))
    world = Route53World(tmp_path)
    await world.start()
    path = tmp_path / "given"
    if text is not None:
        path.touch(mode=0o600)
        path.write_text(text)
    with pytest.raises(LocalFault) as caught:
        await world.open(credentials_file=str(path) if text else "").read([SHOP_EAST], [SHOP])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"zone {ZONE}: no usable AWS credentials: {sentence}")
    await world.close()


async def test_google_credentials_that_are_missing_or_have_expired_say_first_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "nothing"))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    world = CloudDNSWorld(tmp_path)
    await world.start()
    nonsense = tmp_path / "nonsense"
    nonsense.touch(mode=0o600)
    nonsense.write_text("{}")
    for path, sentence in (
        (
            "",
            "no usable Google credentials: none were found; name a service account's key file under `credentialsFile`",
        ),
        (
            str(nonsense),
            "no usable Google credentials: the file under `credentialsFile` is no service account's key",
        ),
    ):
        with pytest.raises(LocalFault) as caught:
            await world.open(credentials_file=path).read([SHOP_EAST], [SHOP])
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"zone {ZONE}: {sentence}")
    world.fake.faults.expired = True
    with pytest.raises(
        LocalFault, match=r"have expired or were revoked.*make a new key of the service account"
    ):
        await world.open().read([SHOP_EAST], [SHOP])
    await world.close()


@pytest.mark.parametrize("kind", [Route53World, CloudDNSWorld])
async def test_credentials_that_are_put_right_on_disk_are_used_without_a_restart(
    kind: type[Route53World | CloudDNSWorld], tmp_path: Path
) -> None:
    world = kind(tmp_path)
    await world.start()
    path = Path(world.zone.credentials_file)
    right = path.read_bytes()
    if isinstance(world, Route53World):
        path.write_bytes(right.replace(b"lab-secret", b"the-secret-of-last-year"))
    else:
        CloudDNSFake(APEX).write_credentials(tmp_path / "another.json")
        others = json.loads((tmp_path / "another.json").read_text())
        path.write_text(json.dumps({**json.loads(right), "private_key": others["private_key"]}))
    zone = world.open()
    with pytest.raises(LocalFault):
        await zone.read([SHOP_EAST], [SHOP])
    path.write_bytes(right)
    assert (await zone.read([SHOP_EAST], [SHOP])).record_sets == ()
    await world.close()
