"""The places that the DNS benchmarks run in: every server and stand-in, each with a zone of its own."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tests.dnszones.worlds import BindWorld, CloudDNSWorld, LabWorld, PairWorld, Route53World, TwinWorld
from tests.servers.bind import BindPair
from tests.servers.pairs import MixedPair
from tests.servers.tiers import BIND, KNOT, LMDB, POWERDNS

PLACES = ("twin", "lab", "bind", "bind_knot", "knot", "powerdns", "powerdns-lmdb", "route53", "clouddns")
TIERS = {"bind": BIND, "bind_knot": KNOT, "knot": KNOT, "powerdns": POWERDNS, "powerdns-lmdb": LMDB}

Place = TwinWorld | LabWorld | PairWorld | Route53World | CloudDNSWorld


@contextlib.asynccontextmanager
async def place(name: str, **told: object) -> AsyncIterator[Place]:
    """One of them, started. `told`: to a stand-in. Raises RuntimeError where a server cannot be run here."""
    tier = TIERS.get(name)
    if tier is not None and (problem := tier.problem()):
        raise RuntimeError(problem)
    with tempfile.TemporaryDirectory(prefix="failover-bench-") as temporary:
        folder = Path(temporary)
        pair: BindPair | MixedPair | None = None
        if tier is not None:
            pair = (
                BindPair(folder / "pair")
                if name == "bind"
                else MixedPair(folder / "pair", primary=name.partition("_")[0])
            )
        try:
            made = _made(name, folder, pair, told)
            await made.start()
            try:
                yield made
            finally:
                await made.close()
        finally:
            if pair is not None:
                pair.stop()


def _made(name: str, folder: Path, pair: BindPair | MixedPair | None, told: dict[str, object]) -> Place:
    if pair is not None:
        pair.start()
        return BindWorld(pair) if isinstance(pair, BindPair) else PairWorld(pair)
    if name == "twin":
        return TwinWorld()
    if name == "lab":
        return LabWorld(folder)
    return (Route53World if name == "route53" else CloudDNSWorld)(folder, **told)
