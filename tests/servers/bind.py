"""Two BIND 9 servers, primary and secondary, that take TSIG-signed dynamic updates on loopback.

The primary takes updates and zone transfers signed with one key (hmac-sha256) and notifies the secondary, which
fetches the zone from it. Both run from one folder, as any user, on high ports.
"""

import base64
import os
import re
import secrets
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig

from .process import Process, ServerFailed, free_ports, wait_until

START_TIMEOUT_S = 20.0
QUERY_TIMEOUT_S = 2.0
READY_QUERY_TIMEOUT_S = 0.2
"""While a server starts: a datagram to a port that nobody listens on yet is simply lost."""

_OPTIONS = """\
{key}
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile "{folder}/session.key";
    managed-keys-directory "{folder}";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    query-source address {address};
    notify-source {address};
    transfer-source {address};
    recursion no;
    dnssec-validation no;
    allow-query {{ any; }};
    allow-transfer {{ key "{key_name}"; }};
    notify explicit;
    notify-rate 1000;
    startup-notify-rate 1000;
    serial-query-rate 1000;
    update-quota 1000;
    tcp-clients 1000;
    server-id "{role}";
}};
controls {{ }};
"""

_PRIMARY_ZONE = """\
zone "{apex}" {{
    type primary;
    file "{file}";
    update-policy {{ grant "{key_name}" zonesub ANY; }};
    notify-delay {notify_delay_s};
    also-notify {{ {peer.address} port {peer.port} key "{key_name}"; }};
}};
"""

_SECONDARY_ZONE = """\
zone "{apex}" {{
    type secondary;
    file "{file}";
    masterfile-format text;
    min-retry-time 1;
    min-refresh-time 1;
    notify no;
    primaries {{ {peer.address} port {peer.port} key "{key_name}"; }};
}};
"""

_ZONE_FILE = """\
$ORIGIN {apex}.
$TTL 60
@   IN SOA ns1 hostmaster 1 60 5 3600 5
@   IN NS  ns1
@   IN NS  ns2
ns1 IN A   {primary.address}
ns2 IN A   {secondary.address}
{records}
"""


def find_named() -> Path | None:
    """The machine's `named`, wherever a distribution puts it; None where BIND is not installed."""
    path = shutil.which("named", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(path) if path else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TsigKey:
    """A TSIG key. `secret`: base64, as in BIND's files."""

    name: str
    secret: str
    algorithm: str = "hmac-sha256"

    @classmethod
    def generate(cls, name: str = "failover") -> "TsigKey":
        """Make a key with a fresh 256-bit secret."""
        return cls(name=name, secret=base64.b64encode(secrets.token_bytes(32)).decode("ascii"))

    def text(self) -> str:
        """The key in BIND's `key` syntax."""
        return f'key "{self.name}" {{\n\talgorithm {self.algorithm};\n\tsecret "{self.secret}";\n}};\n'

    def write(self, path: Path) -> Path:
        """Write the key file, mode 0600 from its first byte on, and return its path."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self.text())
        return path

    def keyring(self) -> dns.tsig.Key:
        """The key as dnspython takes it."""
        return dns.tsig.Key(self.name, self.secret, self.algorithm)


class BindServer:
    """One `named`. `role`: primary or secondary, which is also what it answers to an NSID query."""

    def __init__(self, *, named: Path, role: str, folder: Path, address: str, port: int) -> None:
        self.role = role
        self.folder = folder
        self.address = address
        self.port = port
        folder.mkdir(parents=True)
        command: list[str | Path] = [named, "-g", "-n", "2", "-c", folder / "named.conf"]
        self.process = Process(f"named-{role}", command, folder=folder)

    def query(
        self, name: str, record_type: str, *, tcp: bool = False, timeout_s: float = QUERY_TIMEOUT_S
    ) -> dns.message.Message:
        """Ask this server without recursion. Raises OSError or dnspython's errors where it does not answer."""
        question = dns.message.make_query(name, record_type)
        question.flags &= ~dns.flags.RD
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(question, self.address, port=self.port, timeout=timeout_s)

    def values(self, name: str, record_type: str) -> tuple[str, ...]:
        """The values of a record set as this server has it, sorted; empty where it has none."""
        wanted = dns.rdatatype.from_text(record_type)
        answer = self.query(name, record_type).answer
        return tuple(sorted(item.to_text() for rrset in answer if rrset.rdtype == wanted for item in rrset))

    def serial(self, apex: str) -> int | None:
        """The zone's serial here, or None where this server does not answer for the zone."""
        try:
            answer = self.query(apex, "SOA", timeout_s=READY_QUERY_TIMEOUT_S)
        except (OSError, dns.exception.DNSException):
            return None
        if not answer.flags & dns.flags.AA or not answer.answer:
            return None
        return int(answer.answer[0][0].serial)

    def start(self) -> None:
        """Start it; `BindPair.wait_serving` tells when it answers."""
        self.process.start()

    def kill(self) -> None:
        """SIGKILL: its port refuses at once."""
        self.process.kill()

    def freeze(self) -> None:
        """SIGSTOP: queries get no answer."""
        self.process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.thaw()


class BindPair:
    """A primary and a secondary that serve the same zones, dynamic updates with `key` allowed at the primary.

    `addresses`: of primary and secondary; with two distinct ones both use one port, as real name servers do. BIND
    listens only on addresses that an interface has, which of 127.0.0.0/8 is 127.0.0.1 alone unless somebody adds more.
    `notify_delay_s`: how long the primary gathers changes before it notifies (BIND's own default is 5).
    """

    def __init__(
        self,
        folder: Path,
        *,
        zones: Sequence[str] = ("failover.test",),
        addresses: tuple[str, str] = ("127.0.0.1", "127.0.0.1"),
        notify_delay_s: int = 0,
        key: TsigKey | None = None,
    ) -> None:
        named = find_named()
        if named is None:
            raise ServerFailed("BIND 9 is not installed: no `named` on this machine.")
        _check_local(addresses)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.notify_delay_s = notify_delay_s
        self.key = key or TsigKey.generate()
        self.key_file = self.key.write(folder / "failover.key")
        distinct = addresses[0] != addresses[1]
        ports = free_ports(1, addresses=addresses) * 2 if distinct else free_ports(2, addresses=addresses)
        named = _unconfined(named, folder)
        self.primary, self.secondary = (
            BindServer(named=named, role=role, folder=folder / role, address=address, port=port)
            for role, address, port in zip(("primary", "secondary"), addresses, ports, strict=True)
        )
        self._zones: list[str] = []
        for apex in zones:
            self._write_zone(apex, ())

    @property
    def servers(self) -> tuple[BindServer, BindServer]:
        """Both, the primary first."""
        return (self.primary, self.secondary)

    @property
    def processes(self) -> tuple[Process, Process]:
        """The processes of both."""
        return (self.primary.process, self.secondary.process)

    @property
    def zones(self) -> tuple[str, ...]:
        """The names of the zones that both serve, without a final dot."""
        return tuple(self._zones)

    def start(self) -> None:
        """Start both and wait until both answer for every zone. Raises ServerFailed."""
        self._write_configuration()
        for server in self.servers:
            server.start()
        for apex in self._zones:
            self.wait_serving(apex)

    def stop(self) -> None:
        """End both."""
        for process in self.processes:
            process.kill()

    def add_zone(self, apex: str, records: Sequence[str] = ()) -> None:
        """Serve one more zone at both, so that a test has one to itself. `records`: lines of a zone file.

        Both servers must run. Raises ServerFailed.
        """
        if apex in self._zones:
            raise ServerFailed(f"The zone {apex} is served already.")
        self._write_zone(apex, records)
        self._write_configuration()
        self.primary.process.signal(signal.SIGHUP)
        self._wait(lambda: self.primary.serial(apex) is not None, f"answer for {apex} from the primary")
        self.secondary.process.signal(signal.SIGHUP)
        self.wait_serving(apex)

    def update(self, message: dns.message.Message) -> dns.rcode.Rcode:
        """Send a dynamic update to the primary over TCP and return its answer's code."""
        answer = dns.query.tcp(message, self.primary.address, port=self.primary.port, timeout=QUERY_TIMEOUT_S)
        return answer.rcode()

    def wait_serving(self, apex: str) -> None:
        """Wait until both answer for the zone with the same serial. Raises ServerFailed."""
        self._wait(
            lambda: (
                (serial := self.primary.serial(apex)) is not None and serial == self.secondary.serial(apex)
            ),
            f"equal serial of {apex} at both servers",
        )

    def _wait(self, check: Callable[[], bool], what: str) -> None:
        wait_until(check, what=what, timeout_s=START_TIMEOUT_S, processes=self.processes)

    def _write_zone(self, apex: str, records: Sequence[str]) -> None:
        text = _ZONE_FILE.format(
            apex=apex, primary=self.primary, secondary=self.secondary, records="\n".join(records)
        )
        (self.primary.folder / _file_name(apex)).write_text(text, encoding="ascii")
        self._zones.append(apex)

    def _write_configuration(self) -> None:
        for server, template, peer in (
            (self.primary, _PRIMARY_ZONE, self.secondary),
            (self.secondary, _SECONDARY_ZONE, self.primary),
        ):
            text = _OPTIONS.format(
                key=self.key.text(),
                key_name=self.key.name,
                folder=server.folder,
                address=server.address,
                port=server.port,
                role=server.role,
            )
            text += "".join(
                template.format(
                    apex=apex,
                    file=_file_name(apex),
                    key_name=self.key.name,
                    peer=peer,
                    notify_delay_s=self.notify_delay_s,
                )
                for apex in self._zones
            )
            path = server.folder / "named.conf"
            path.touch(mode=0o600)
            path.write_text(text, encoding="ascii")


def _file_name(apex: str) -> str:
    return f"{apex}.zone"


def _check_local(addresses: Sequence[str]) -> None:
    """Raise ServerFailed for an address that no interface has (Linux only: elsewhere BIND itself must tell)."""
    routes = Path("/proc/net/fib_trie")
    local = set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", routes.read_text())) if routes.exists() else None
    for address in addresses:
        if local is not None and address not in local:
            raise ServerFailed(
                f"No interface has {address}, and BIND listens on no other address: "
                f"`ip address add {address}/8 dev lo` adds it."
            )


def _unconfined(named: Path, folder: Path) -> Path:
    """Return a `named` that may work in `folder`.

    Debian and Ubuntu ship an AppArmor profile for /usr/sbin/named that forbids it every folder but its own; a
    profile goes by the program's path, so where AppArmor is on, a copy runs instead.
    """
    switch = Path("/sys/module/apparmor/parameters/enabled")
    if not switch.exists() or switch.read_text().strip() != "Y":
        return named
    copied = folder / "named"
    shutil.copy(named, copied)
    copied.chmod(0o700)
    return copied
