"""CA bundles: the certificates of a file and nothing else, or a sentence about what is wrong with it."""

from pathlib import Path

import pytest

from failover.lab.certificates import LabCertificates, write_certificates
from failover.model.errors import LocalFault
from failover.policy.certificates import read_certificates
from failover.probes.tls import context_for


@pytest.fixture
def made(tmp_path: Path) -> LabCertificates:
    return write_certificates(tmp_path, ["127.0.0.1"], ["localhost"])


def test_only_certificates_leave_the_file(tmp_path: Path, made: LabCertificates) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(
        f"# Autorité de la maison\n{made.key.read_text()}\n{made.authority.read_text()}{made.certificate.read_text()}",
        encoding="utf-8",
    )
    text = read_certificates(str(bundle))
    assert text == made.authority.read_text() + made.certificate.read_text()
    assert "PRIVATE" not in text
    assert context_for(text).cert_store_stats()["x509"] == 2
    assert read_certificates("") == ""


def test_what_is_no_bundle_is_said_in_a_sentence(tmp_path: Path, made: LabCertificates) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "large.pem").write_bytes(b"x" * (5 << 20))
    for path, sentence in (
        (tmp_path / "nowhere.pem", "cannot be read: No such file or directory"),
        (tmp_path, "is not a regular file"),
        (tmp_path / "large.pem", "is larger than 4 MiB"),
        (made.key, "holds no PEM certificate"),
        (broken, "holds a certificate that cannot be used"),
        (Path("a\0b"), "cannot be a file"),
    ):
        with pytest.raises(LocalFault) as error:
            read_certificates(str(path))
        assert sentence in str(error.value)
        assert len(str(error.value).splitlines()) == 1
