"""`history`, `report`, `audit`: what the journal says of the past, read without a controller."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.cli.naming import no_such
from failover.cli.table import run_table
from failover.store.reader import StatusReader

if TYPE_CHECKING:
    from failover.model.journal import JournalEntry, Run


def journal_head(state: Path) -> int:
    """Sequence number of the last entry, 0 for none."""
    with StatusReader(state) as reader:
        return reader.head()[0]


def load_entries(state: Path) -> "list[JournalEntry]":
    """The whole journal, decoded. Raises Stop for an entry that cannot be read."""
    from failover.model.codec import from_plain
    from failover.model.journal import JournalEntry

    entries: list[JournalEntry] = []
    with StatusReader(state) as reader:
        try:
            while page := reader.entries(after=entries[-1].sequence if entries else 0):
                entries += [
                    from_plain(JournalEntry, {key: item for key, item in row.items() if key != "text"})
                    for row in page
                ]
        except ValueError as error:
            place = f"the entry after {entries[-1].sequence if entries else 0} of the journal cannot be read"
            raise Stop(exits.ERROR, f"{place}: {error}; `failover audit verify` checks the chain") from None
    return entries


def show_history(state: Path, limit: int, output: render.Format) -> None:
    """Runs, newest last."""
    from failover.controller.run_rows import run_row
    from failover.execution.runs import fold

    rows = [run_row(run) for run in fold(load_entries(state)).values()][-limit:]
    if not render.data(rows, output):
        run_table(rows)


def find_run(entries: "Iterable[JournalEntry]", name: str) -> "Run":
    """A run by its name, or the `last` one. Raises Stop with what there is."""
    from failover.execution.runs import fold
    from failover.model.ids import RunId

    runs = fold(entries)
    if not runs:
        raise Stop(exits.USAGE, "no run was ever opened with this state directory")
    if name == "last":
        return list(runs.values())[-1]
    if name not in runs:
        raise Stop(exits.USAGE, f"{no_such('run', name, list(runs)[-20:])} (`failover history` lists them)")
    return runs[RunId(name)]


def show_report(state: Path, name: str, output: render.Format) -> None:
    """One run's report."""
    from failover.execution.report import report
    from failover.model.codec import to_plain

    entries = load_entries(state)
    run = find_run(entries, name)
    made = to_plain(report(run, [entry for entry in entries if entry.run == run.id]))
    if not render.data(made, output):
        write_report(made)
        if not run.state.final:
            render.line(f"\nits plan: `failover plan --run {run.id}`")


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
    for text in made["resolvers"]:
        render.line(f"resolvers after the old TTL: {text}")
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
    from failover.cli.telling import Teller

    with StatusReader(state) as reader:
        teller = Teller(lambda name: reader.entries(run=name))
        entries = reader.tail(limit) if run is None else reader.entries(run=run, limit=100_000)[-limit:]
        rows = [
            [
                item["sequence"],
                item["at"][:19],
                item["epoch"],
                item["run"],
                teller.actor(item),
                item["entry"]["kind"],
                teller.sentence(item),
            ]
            for item in entries
        ]
    if not render.data(entries, output):
        render.table(["ENTRY", "AT (UTC)", "EPOCH", "RUN", "WHO", "KIND", "WHAT"], rows)
