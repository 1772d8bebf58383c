"""Knot and PowerDNS primaries with a Knot secondary, and BIND with one: TSIG-signed updates on loopback, any user.

The same shape as `bind.BindPair`, so that one contract suite runs on all of them. Zones are told at the start.
"""

import sqlite3
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import dns.exception
import dns.flags
import dns.message
import dns.query

from .bind import READY_QUERY_TIMEOUT_S, START_TIMEOUT_S, TsigKey, find_named
from .process import Process, ServerFailed, free_ports, wait_until

KNOT_PLACES = (Path("/usr/sbin/knotd"), Path("/usr/local/sbin/knotd"))
POWERDNS_PLACES = (Path("/usr/sbin/pdns_server"), Path("/usr/local/sbin/pdns_server"))
POWERDNS_SCHEMAS = (
    Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"),
    Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"),
)

_KNOT = """\
server:
    listen: {address}@{port}
    rundir: {folder}
    identity: {role}
    nsid: {role}
    tcp-max-clients: 1000
    tcp-workers: 2
    udp-workers: 2
    background-workers: 2
database:
    storage: {folder}/database
log:
  - target: stderr
    any: notice
key:
  - id: {key.name}
    algorithm: {key.algorithm}
    secret: {key.secret}
remote:
  - id: peer
    address: {peer_address}@{peer_port}
    key: {key.name}
acl:
  - id: ours
    key: {key.name}
    action: [update, transfer, notify]
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-sync: -1
    journal-content: changes
    refresh-min-interval: 2
    retry-min-interval: 1
zone:
{zones}"""

_ZONE_FILE = """\
$ORIGIN {apex}.
$TTL 60
@   IN SOA ns1 hostmaster 1 60 5 3600 5
@   IN NS  ns1
@   IN NS  ns2
ns1 IN A   127.0.0.1
ns2 IN A   127.0.0.1
"""

_POWERDNS_BACKENDS = {
    "gsqlite3": """\
launch=gsqlite3
gsqlite3-database={folder}/zones.sqlite
gsqlite3-pragma-synchronous=0
gsqlite3-dnssec=yes
""",
    "lmdb": """\
launch=lmdb
lmdb-filename={folder}/zones.lmdb
lmdb-shards=1
""",
}
_POWERDNS = """\
local-address={address}
local-port={port}
socket-dir={folder}
daemon=no
guardian=no
setuid=
setgid=
primary=yes
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
allow-axfr-ips=127.0.0.0/8
only-notify=127.0.0.0/8
cache-ttl=0
negquery-cache-ttl=0
query-cache-ttl=0
zone-cache-refresh-interval=0
xfr-cycle-interval=1
max-tcp-connections=1000
max-tcp-connections-per-client=1000
version-string=anonymous
server-id={role}
loglevel=3
"""
"""Caches off: a read after a write must see it. `xfr-cycle-interval`: PowerDNS looks once a second for what to notify. It is
not asked to notify within the update (NOTIFY-DNSUPDATE): then one update in eight is answered after five seconds only.
"""

_BIND_ZONE = """\
zone "{apex}" {{
    type primary;
    file "{apex}.zone";
    update-policy {{ grant "{key.name}" zonesub ANY; }};
    notify-delay 0;
    also-notify {{ {peer_address} port {peer_port} key "{key.name}"; }};
}};
"""

_BIND_OPTIONS = """\
{key_text}
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile "{folder}/session.key";
    managed-keys-directory "{folder}";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    allow-query {{ any; }};
    allow-transfer {{ key "{key.name}"; }};
    notify explicit;
    notify-rate 1000;
    startup-notify-rate 1000;
    update-quota 1000;
    tcp-clients 1000;
    server-id "{role}";
}};
controls {{ }};
"""


class Server(Protocol):
    """One name server process: BIND's, Knot's or PowerDNS's."""

    address: str
    port: int
    process: Process

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...


class Pair(Protocol):
    """A primary that takes updates signed with `key`, and a secondary."""

    key: TsigKey
    key_file: Path
    primary: Server
    secondary: Server

    @property
    def servers(self) -> tuple[Server, Server]: ...

    @property
    def zones(self) -> tuple[str, ...]: ...

    def add_zone(self, apex: str, records: Sequence[str] = ()) -> None: ...


class PlainServer:
    """A server started by a command that ends in its configuration."""

    def __init__(
        self, name: str, command: Sequence[str | Path], *, folder: Path, address: str, port: int
    ) -> None:
        self.folder = folder
        self.address = address
        self.port = port
        self.process = Process(name, command, folder=folder)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.thaw()

    def serial(self, apex: str) -> int | None:
        """The zone's serial here, or None where this server does not answer for the zone."""
        question = dns.message.make_query(apex, "SOA")
        question.flags &= ~dns.flags.RD
        try:
            answer = dns.query.udp(question, self.address, port=self.port, timeout=READY_QUERY_TIMEOUT_S)
        except (OSError, dns.exception.DNSException):
            return None
        if not answer.flags & dns.flags.AA or not answer.answer:
            return None
        return int(answer.answer[0][0].serial)


class MixedPair:
    """A primary of one kind (`bind`, `knot`, `powerdns`, which keeps its zones in SQLite, or `powerdns-lmdb`) and a Knot
    secondary for zones told at the start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        primary: str,
        zones: Sequence[str] = ("example.test",),
        key: TsigKey | None = None,
    ) -> None:
        self.kind = primary
        self.zones = tuple(zones)
        self.key = key or TsigKey.generate()
        folder.mkdir(parents=True, exist_ok=True)
        self.key_file = self.key.write(folder / "failover.key")
        first, second = free_ports(2)
        make = {
            "bind": self._bind,
            "knot": self._knot,
            "powerdns": self._powerdns,
            "powerdns-lmdb": partial(self._powerdns, backend="lmdb"),
        }[primary]
        self.primary = make(folder / "primary", "primary", first, second)
        self.secondary = self._knot(folder / "secondary", "secondary", second, first)

    @property
    def servers(self) -> tuple[PlainServer, PlainServer]:
        """Both, the primary first."""
        return (self.primary, self.secondary)

    @property
    def processes(self) -> tuple[Process, Process]:
        """The processes of both."""
        return (self.primary.process, self.secondary.process)

    def add_zone(self, apex: str, records: Sequence[str] = ()) -> None:
        """Zones are told at the start only. Raises ServerFailed."""
        raise ServerFailed(f"{self.kind} serves {', '.join(self.zones)}; {apex} was not told at its start.")

    def start(self) -> None:
        """Start both and wait until both answer for every zone with the same serial. Raises ServerFailed."""
        for server in self.servers:
            server.process.start()
        for apex in self.zones:
            wait_until(
                lambda apex=apex: (  # type: ignore[misc]
                    (serial := self.primary.serial(apex)) is not None
                    and serial == self.secondary.serial(apex)
                ),
                what=f"equal serial of {apex} at both servers",
                timeout_s=START_TIMEOUT_S,
                processes=self.processes,
            )

    def stop(self) -> None:
        """End both."""
        for process in self.processes:
            process.kill()

    def _knot(self, folder: Path, role: str, port: int, peer: int) -> PlainServer:
        folder.mkdir(parents=True)
        (folder / "database").mkdir()
        lines = []
        for apex in self.zones:
            lines += [f"  - domain: {apex}", "    acl: ours"]
            lines.append(f"    {'notify' if role == 'primary' else 'master'}: peer")
            if role == "primary":
                (folder / f"{apex}.zone").write_text(_ZONE_FILE.format(apex=apex))
        text = _KNOT.format(
            address="127.0.0.1",
            port=port,
            folder=folder,
            role=role,
            key=self.key,
            peer_address="127.0.0.1",
            peer_port=peer,
            zones="\n".join(lines) + "\n",
        )
        return self._server("knot", [_program(KNOT_PLACES), "-c"], folder, text, port, role)

    def _bind(self, folder: Path, role: str, port: int, peer: int) -> PlainServer:
        folder.mkdir(parents=True)
        named = find_named()
        if named is None:
            raise ServerFailed("BIND 9 is not installed: no `named` on this machine.")
        text = _BIND_OPTIONS.format(
            key_text=self.key.text(), key=self.key, folder=folder, address="127.0.0.1", port=port, role=role
        )
        for apex in self.zones:
            (folder / f"{apex}.zone").write_text(_ZONE_FILE.format(apex=apex))
            text += _BIND_ZONE.format(apex=apex, key=self.key, peer_address="127.0.0.1", peer_port=peer)
        return self._server("named", [named, "-g", "-n", "2", "-c"], folder, text, port, role)

    def _powerdns(
        self, folder: Path, role: str, port: int, peer: int, *, backend: str = "gsqlite3"
    ) -> PlainServer:
        folder.mkdir(parents=True)
        if backend == "gsqlite3":
            schema = next(path for path in POWERDNS_SCHEMAS if path.exists())
            database = sqlite3.connect(folder / "zones.sqlite")
            database.executescript(schema.read_text())
            database.close()
        text = (_POWERDNS_BACKENDS[backend] + _POWERDNS).format(
            address="127.0.0.1", port=port, folder=folder, role=role
        )
        (folder / "pdns.conf").write_text(text)
        key = self.key
        for apex in self.zones:
            (folder / f"{apex}.zone").write_text(_ZONE_FILE.format(apex=apex))
            for arguments in (
                ("load-zone", apex, str(folder / f"{apex}.zone")),
                ("set-kind", apex, "primary"),
                ("import-tsig-key", key.name, key.algorithm, key.secret),
                ("set-meta", apex, "TSIG-ALLOW-DNSUPDATE", key.name),
                ("set-meta", apex, "TSIG-ALLOW-AXFR", key.name),
                ("set-meta", apex, "AXFR-MASTER-TSIG", key.name),
                ("set-meta", apex, "ALSO-NOTIFY", f"127.0.0.1:{peer}"),
                ("set-meta", apex, "SOA-EDIT-DNSUPDATE", "INCREASE"),
            ):
                _pdnsutil(folder, *arguments)
        program = _program(POWERDNS_PLACES)
        return PlainServer(
            f"pdns-{role}", [program, f"--config-dir={folder}"], folder=folder, address="127.0.0.1", port=port
        )

    def _server(
        self, name: str, command: Sequence[str | Path], folder: Path, text: str, port: int, role: str
    ) -> PlainServer:
        path = folder / f"{name}.conf"
        path.touch(mode=0o600)
        path.write_text(text)
        return PlainServer(f"{name}-{role}", [*command, path], folder=folder, address="127.0.0.1", port=port)


def _pdnsutil(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["pdnsutil", f"--config-dir={folder}", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ServerFailed(f"pdnsutil {' '.join(arguments[:2])} failed:\n{done.stdout}{done.stderr}")


def _program(places: Sequence[Path]) -> Path:
    found = next((path for path in places if path.exists()), None)
    if found is None:
        raise ServerFailed(f"{places[0].name} is not installed.")
    return found


def missing_knot() -> bool:
    """Whether Knot cannot be started here."""
    return not any(path.exists() for path in KNOT_PLACES)


def missing_powerdns(backend: str = "gsqlite3") -> bool:
    """Whether PowerDNS with this backend cannot be started here."""
    module = any(Path("/usr/lib").glob(f"*/pdns/lib{backend}backend.so"))
    return not (any(path.exists() for path in POWERDNS_PLACES) and module)
