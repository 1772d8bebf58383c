"""`history`, `report`, `audit`: what the journal says of the past, read without a controller."""

import re
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.status import run_table
from failover.store.reader import StatusReader


def journal_head(state: Path) -> int:
    """Sequence number of the last entry, 0 for none."""
    reader = StatusReader(state)
    try:
        return reader.head()[0]
    finally:
        reader.close()


def load_entries(state: Path) -> Any:
    """(entries as values, install id). The whole journal, decoded."""
    from failover.model.codec import from_plain
    from failover.model.journal import JournalEntry

    reader = StatusReader(state)
    try:
        rows, after = [], 0
        while page := reader.entries(after=after):
            rows += page
            after = page[-1]["sequence"]
        entries: list[JournalEntry] = [
            from_plain(JournalEntry, {key: item for key, item in row.items() if key != "text"})
            for row in rows
        ]
        return entries, reader.install_id()
    finally:
        reader.close()


def show_history(state: Path, limit: int, output: render.Format) -> None:
    """Runs, newest last."""
    from failover.controller.status import run_row
    from failover.execution.runs import fold

    entries, _ = load_entries(state)
    rows = [run_row(run) for run in fold(entries).values()][-limit:]
    if not render.data(rows, output):
        run_table(rows)


def show_report(state: Path, name: str, output: render.Format) -> None:
    """One run's report."""
    from failover.execution.report import report
    from failover.execution.runs import fold
    from failover.model.codec import to_plain

    entries, _ = load_entries(state)
    runs = fold(entries)
    run = list(runs.values())[-1] if name == "last" and runs else runs.get(name)  # type: ignore[call-overload]
    if run is None:
        raise Stop(exits.USAGE, f"there is no run {name!r}; `failover history` lists them")
    made = to_plain(report(run, [entry for entry in entries if entry.run == run.id]))
    if not render.data(made, output):
        write_report(made)


def write_report(made: dict[str, Any]) -> None:
    """The report for a person."""
    render.line(f"run {made['run']}: {made['run_kind']} of {made['domain']}, {made['state']}")
    render.line(f"  {made['sentence']}")
    render.line(
        f"  by {made['actor']}{': ' + made['reason'] if made['reason'] else ''}; plan {made['plan']}, epoch {made['epoch']}"
    )
    if made["verdict"]:
        render.line(f"  verdict: {made['verdict']}")
    render.line()
    words = {
        "detect_s": "first failure to confirmed verdict",
        "decide_s": "verdict to decision",
        "capacity_s": "decision to lost replicas ready elsewhere",
        "dns_change_s": "decision to DNS change acknowledged",
        "dns_effective_s": "decision to DNS read back at every server",
    }
    rows = [
        [
            key[:-2].replace("_", "-"),
            "-" if made["phases"][key] is None else f"{made['phases'][key]:.2f}",
            text,
        ]
        for key, text in words.items()
    ]
    render.table(["PHASE", "SECONDS", "FROM ... TO"], rows)
    replicas, records = made["replicas"], made["records"]
    render.line(
        f"\nreplicas: {replicas['lost']} lost, {replicas['replaced']} ordered elsewhere, {replicas['ready']} ready"
    )
    render.line(
        f"record sets: {records['changed']} changed, {records['verified']} verified at every server that answers"
    )
    for key, word in (
        ("left_out", "left out"),
        ("failed", "failed"),
        ("silent_servers", "silent name server"),
    ):
        for text in made[key]:
            render.line(f"! {word}: {text}")
    render.line("\ntimeline (UTC):")
    for at, text in made["timeline"]:
        render.line(f"  {at[11:23]}  {text}")


def verify_chain(state: Path, anchors: list[str]) -> None:
    """The whole chain, and that every anchor `SEQUENCE:HASH` noted elsewhere is still in it. Raises Stop at the first fault."""
    from failover.execution.chain import Line, genesis, verify, verify_anchors

    noted = [_anchor(text) for text in anchors]
    reader = StatusReader(state)
    try:
        lines, after = [], 0
        while page := reader.entries(after=after):
            lines += [Line(**{key: item for key, item in row.items() if key != "entry"}) for row in page]
            after = page[-1]["sequence"]
        fault = verify(lines, first_previous=genesis(reader.install_id())) or verify_anchors(lines, noted)
    finally:
        reader.close()
    if fault is not None:
        raise Stop(exits.ERROR, fault.sentence)
    render.line(
        f"{len(lines)} entries, the chain holds" + (f" and {len(noted)} anchors stand" if noted else "")
    )
    if lines:
        render.line(f"head {lines[-1].sequence}:{lines[-1].hash}")
        render.talk(
            "note the head elsewhere: `--anchor` proves later that nothing was cut off or written anew"
        )


def _anchor(text: str) -> tuple[int, str]:
    sequence, _, digest = text.partition(":")
    if not sequence.isdigit() or not re.fullmatch("[0-9a-f]{64}", digest):
        raise Stop(exits.USAGE, f"--anchor {text!r}: SEQUENCE:HASH, as `audit verify` prints it")
    return int(sequence), digest


def show_audit(state: Path, run: str | None, limit: int, output: render.Format) -> None:
    """Entries, newest last."""
    from failover.cli.client import progress_sentence

    reader = StatusReader(state)
    try:
        entries = reader.tail(limit) if run is None else reader.entries(run=run, limit=100_000)[-limit:]
    finally:
        reader.close()
    if not render.data(entries, output):
        rows = [
            [
                item["sequence"],
                item["at"][:19],
                item["epoch"],
                item["run"],
                item["entry"]["kind"],
                progress_sentence(item),
            ]
            for item in entries
        ]
        render.table(["ENTRY", "AT (UTC)", "EPOCH", "RUN", "KIND", "WHAT"], rows)
