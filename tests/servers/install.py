"""What `make test` does before the tests: see that the server tiers can run, and say which cannot.

As root it installs the Debian packages that the tiers need. Under FAILOVER_REQUIRE_SERVERS=1 it also builds the
Kubernetes servers, since the tests would fail without them. Run it as `python -m tests.servers.install`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import observers
from .kubernetes.build import BuildError, build_missing, find_programs, say
from .tiers import DNS_TIERS, TIERS, servers_required

PACKAGES = (
    "bind9",
    "bind9-dnsutils",
    "knot",
    "knot-dnsutils",
    "pdns-server",
    "pdns-backend-sqlite3",
    "pdns-backend-lmdb",
    "dnsperf",
)
APT_LISTS = Path("/var/lib/apt/lists")


def install_packages(packages: Sequence[str], *, lists: Path = APT_LISTS) -> bool:
    """Install Debian packages as root, without starting their services now; say whether that worked."""
    listed = " ".join(packages)
    # These two keep the installation from starting the servers: the first is what invoke-rc.d goes by where there is no
    # systemd, the second stops systemctl from talking to it. No file of the system is changed for it.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "SYSTEMD_OFFLINE": "1"}
    apt = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=120")
    if not any(lists.glob("*Packages*")):
        say("apt-get update: this machine has no package lists yet.")
        subprocess.run([*apt, "update"], env=environment, check=False, stdout=sys.stderr)
    say(f"apt-get install {listed}: the server tests need it (their services are not started).")
    command = [*apt, "install", "-y", "--no-install-recommends", *packages]
    done = subprocess.run(command, env=environment, check=False, stdout=sys.stderr)
    if done.returncode != 0:
        # Lists of last month name versions that are gone from the mirrors.
        subprocess.run([*apt, "update"], env=environment, check=False, stdout=sys.stderr)
        done = subprocess.run(command, env=environment, check=False, stdout=sys.stderr)
    if done.returncode != 0:
        say(f"apt-get could not install {listed}; its own words are above.")
    elif Path("/run/systemd/system").is_dir():
        say(
            "`systemctl disable named knot pdns` keeps them from starting with the machine, where you do not want it."
        )
    return done.returncode == 0


def main() -> int:
    """Install and build what may be, then name every tier; exit 1 where a required one cannot run."""
    if any(tier.problem() for tier in DNS_TIERS) and os.geteuid() == 0 and shutil.which("apt-get"):
        install_packages(PACKAGES)
    if observers.missing():
        say("pip install octodns, ministack: into a cache of their own.")
        try:
            observers.install()
        except (OSError, subprocess.SubprocessError) as error:
            say(f"octoDNS and ministack could not be installed: {error}")
    if servers_required() and find_programs()[1]:
        try:
            build_missing()
        except BuildError as error:
            say(str(error))
    problems = 0
    for tier in TIERS:
        problem = tier.problem()
        problems += problem is not None
        outcome = (
            "can run." if problem is None else "cannot run." if servers_required() else "will be skipped."
        )
        say(f"{tier.title}: {outcome}{f' {problem}' if problem else ''}")
    return 1 if problems and servers_required() else 0


if __name__ == "__main__":
    raise SystemExit(main())
