"""Plan files: what `plan --out` writes and `apply` reads. A file carries the plan's hash, and a digest of all of itself."""

import hashlib
import json
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop

PARTS = ("plan", "hash", "blast_radius")


def write_plan(answer: dict[str, Any], path: Path) -> None:
    """Save a plan for `failover apply`. Raises Stop where the file cannot be written."""
    parts = {key: answer[key] for key in PARTS}
    text = json.dumps({"digest": _digest(parts), **parts}, indent=1, sort_keys=True, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Stop(exits.ERROR, f"{path} cannot be written: {error.strerror}") from None
    render.talk(f"wrote {path}; `failover apply {path}` carries it out if everything it assumes still holds")


def read_plan(path: Path) -> dict[str, Any]:
    """A plan file's plan, hash and blast radius. Raises Stop for what is none, and for one that was changed since."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(exits.USAGE, f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Stop(exits.USAGE, f"{path} is not a plan: {error}") from None
    if not isinstance(found, dict) or not {"digest", *PARTS} <= set(found):
        raise Stop(exits.USAGE, f"{path} is not a plan that `failover plan --out` of this version wrote")
    parts = {key: found[key] for key in PARTS}
    if found["digest"] != _digest(parts) or found["hash"] != _hash_of(found["plan"], path):
        raise Stop(
            exits.REFUSED,
            f"{path} was changed after it was written: its content does not match its hash. Nobody has planned what it "
            "says now; make it again with `failover plan … --out`",
        )
    return parts


def _hash_of(plan: Any, path: Path) -> str:
    """The hash of the plan that the file holds, worked out anew."""
    from failover.model.codec import DecodeError, from_plain
    from failover.model.plan import Plan

    try:
        decoded: Plan = from_plain(Plan, plan)
    except DecodeError as error:
        raise Stop(exits.USAGE, f"{path} is not a plan of this version: {error}") from None
    return decoded.hash


def _digest(parts: dict[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
