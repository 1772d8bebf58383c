"""Reads kubeconfig files strictly: a kubeconfig is code (exec plugins), so nothing in it is taken on trust.

TLS verification cannot be switched off; exec plugins run only by absolute path from the cluster's allowlist.
"""

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from failover.model.errors import LocalFault
from failover.model.policy import ClusterAccess

BYTES_MAX = 1024 * 1024
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """A credential plugin: absolute path, arguments, the few variables that it is given."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """How to reach one API server. Secrets stay out of `repr`."""

    name: str
    server: str
    ca_pem: str = ""
    server_name: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    certificate_pem: str = field(default="", repr=False)
    key_pem: str = field(default="", repr=False)
    plugin: ExecPlugin | None = None
    not_after: float = float("inf")
    """Unix time at which the client certificate expires."""

    def expired(self, at: float) -> bool:
        """Whether the client certificate has run out (our fault, not the cluster's)."""
        return at >= self.not_after

    @property
    def host(self) -> str:
        return urlsplit(self.server).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.server).port or 443


def read_config(name: str, access: ClusterAccess) -> ClusterConfig:
    """The configuration of one cluster. Raises LocalFault that names the file and the context."""
    if access.in_cluster:
        return _in_cluster(name)
    path = Path(access.kubeconfig)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise LocalFault(f"{path} is larger than 1 MiB", target=name)
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise LocalFault(f"the kubeconfig {path} cannot be read: {error}", target=name) from None
    if not isinstance(data, dict):
        raise LocalFault(f"{path} is no kubeconfig", target=name)
    context_name = access.context or str(data.get("current-context", ""))
    context = _named(data, "contexts", context_name, "context", path, name)
    cluster = _named(data, "clusters", str(context.get("cluster", "")), "cluster", path, name)
    user = _named(data, "users", str(context.get("user", "")), "user", path, name)
    return _config(name, path, cluster, user, access)


def _named(
    data: dict[str, Any], key: str, wanted: str, field_name: str, path: Path, target: str
) -> dict[str, Any]:
    entries = data.get(key)
    names = []
    for item in entries if isinstance(entries, list) else []:
        if isinstance(item, dict):
            names.append(str(item.get("name", "")))
            if names[-1] == wanted:
                found = item.get(field_name)
                return found if isinstance(found, dict) else {}
    raise LocalFault(
        f"{path} has no {field_name} {wanted!r} (there are: {', '.join(names) or 'none'})", target=target
    )


def _config(
    name: str, path: Path, cluster: dict[str, Any], user: dict[str, Any], access: ClusterAccess
) -> ClusterConfig:
    server = str(cluster.get("server", ""))
    if not _is_https(server):
        raise LocalFault(f"{path}: the server {server!r} is not an https address", target=name)
    if cluster.get("insecure-skip-tls-verify"):
        raise LocalFault(
            f"{path}: insecure-skip-tls-verify is refused; name the certificate authority", target=name
        )
    certificate = _material(user, "client-certificate", path, name)
    return ClusterConfig(
        name=name,
        server=server.rstrip("/"),
        ca_pem=_material(cluster, "certificate-authority", path, name),
        server_name=str(cluster.get("tls-server-name", "")),
        token=str(user.get("token", "")),
        token_file=_beside(path, str(user.get("tokenFile", ""))),
        certificate_pem=certificate,
        not_after=_not_after(certificate, path, name),
        key_pem=_material(user, "client-key", path, name),
        plugin=_plugin(user.get("exec"), path, name, access),
    )


def _is_https(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _not_after(pem: str, path: Path, target: str) -> float:
    if not pem:
        return float("inf")
    from cryptography.x509 import load_pem_x509_certificate

    try:
        return load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()
    except ValueError as error:
        raise LocalFault(
            f"{path}: the client certificate cannot be understood: {error}", target=target
        ) from None


def _material(section: dict[str, Any], key: str, path: Path, target: str) -> str:
    """PEM text given inline (base64) or as a file."""
    inline, file = section.get(f"{key}-data"), section.get(key)
    try:
        if inline:
            return base64.b64decode(str(inline), validate=True).decode()
        return Path(_beside(path, str(file))).read_text(encoding="utf-8") if file else ""
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise LocalFault(f"{path}: {key} cannot be read: {error}", target=target) from None


def _beside(path: Path, text: str) -> str:
    return str(path.parent / Path(text).expanduser()) if text else ""


def _plugin(section: Any, path: Path, target: str, access: ClusterAccess) -> ExecPlugin | None:
    if section is None:
        return None
    command = str(section.get("command", "")) if isinstance(section, dict) else ""
    if command not in access.exec_allowed:
        raise LocalFault(
            f"{path} wants to run {command!r}; only absolute paths in the cluster's access.execAllowed may run",
            target=target,
        )
    try:
        environment = tuple((str(item["name"]), str(item["value"])) for item in section.get("env") or [])
        arguments = tuple(str(item) for item in section.get("args") or [])
    except (KeyError, TypeError):
        raise LocalFault(
            f"{path}: the exec plugin's env or args cannot be understood", target=target
        ) from None
    version = str(section.get("apiVersion", ""))
    if version not in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
        raise LocalFault(f"{path}: the exec plugin's apiVersion {version!r} is not supported", target=target)
    return ExecPlugin(command=command, arguments=arguments, environment=environment, api_version=version)


def _in_cluster(name: str) -> ClusterConfig:
    import os

    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST", ""),
        os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
    )
    try:
        ca_pem = (SERVICE_ACCOUNT / "ca.crt").read_text(encoding="utf-8")
    except OSError as error:
        raise LocalFault(
            f"inCluster: true, but this is no pod with a service account: {error}", target=name
        ) from None
    shown = f"[{host}]" if ":" in host else host
    return ClusterConfig(
        name=name, server=f"https://{shown}:{port}", ca_pem=ca_pem, token_file=str(SERVICE_ACCOUNT / "token")
    )
