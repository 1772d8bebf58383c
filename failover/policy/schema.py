"""The JSON Schema of the documents, generated: editors complete and check policies with it.

`python -m failover.policy.schema FILE` writes it; `--check FILE` fails where the file is not current.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from failover.policy.documents import (
    ApplicationDocument,
    DNSZoneDocument,
    FleetDocument,
    GuardsDocument,
    ScheduleDocument,
)


def json_schema() -> dict[str, Any]:
    """One schema; a document is one of its kinds."""
    union = FleetDocument | DNSZoneDocument | ApplicationDocument | GuardsDocument | ScheduleDocument
    made: dict[str, Any] = TypeAdapter(union).json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "failover policy documents",
        **made,
    }


def schema_text() -> str:
    """What the committed file holds."""
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the file; returns the exit code."""
    check = "--check" in arguments
    paths = [Path(item) for item in arguments if item != "--check"]
    if len(paths) != 1:
        sys.stderr.write("usage: python -m failover.policy.schema [--check] FILE\n")
        return 64
    if not check:
        paths[0].write_text(schema_text(), encoding="utf-8")
        return 0
    if paths[0].exists() and paths[0].read_text(encoding="utf-8") == schema_text():
        return 0
    sys.stderr.write(f"{paths[0]} is not current: make schema\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
