"""`failover status`: what is going on, within 0.3 s, controller or no controller."""

import io
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

from failover.cli import exits, render
from failover.cli.exits import Stop
from failover.store.reader import NoStore, StatusReader

STALE_S = 10.0
WATCH_EVERY_S = 1.0
SCHEMA = 1
CHANGES_BY_ITSELF = frozenset(
    {
        *("at", "age_s", "seen_at", "inventory_at", "looked_at", "expires_wall", "journal_head", "serial"),
        *("signals", "nodes", "workloads", "quotas"),
    }
)
_DURATION = re.compile(r"\d+(\.\d+)? (s|min|h|d)\b")


def status(directory: Path, *, output: render.Format, watch: bool, exit_code: bool) -> None:
    """The command. Raises Stop; a watch ends by Ctrl-C only."""
    found = read_status(directory)
    if not watch:
        render.out(_text(found, output))
        if exit_code and not healthy(found):
            raise Stop(exits.UNHEALTHY)
        return
    shown = trouble = ""
    while True:
        text = _text(found, output)
        if _what_matters(found, text, output) != shown:
            heading = "" if not shown or render.machine(output) else f"\n--- {found['at'][11:19]} UTC\n"
            render.out(heading + (render.one_of_many(found, output) or text))
            shown = _what_matters(found, text, output)
        time.sleep(WATCH_EVERY_S)
        try:
            found = read_status(directory)
            trouble = ""
        except Stop as stop:
            if stop.sentence != trouble:
                render.talk(stop.sentence)
            trouble = stop.sentence


def _text(found: dict[str, Any], output: render.Format) -> str:
    from failover.cli.table import show

    with of_this_version(), redirect_stdout(io.StringIO()) as out:
        show(found, output)
    return out.getvalue()


def _what_matters(found: dict[str, Any], text: str, output: render.Format) -> str:
    """What a person would want to be told again: what they see, without the lengths of time and the columns' widths.

    For a program the document, without what changes while nothing happens.
    """
    if render.machine(output):
        text = json.dumps(calm(found))
    return " ".join(_DURATION.sub("…", text).split())


@contextmanager
def of_this_version() -> Iterator[None]:
    """What another version wrote may lack what this one shows: a sentence, and no stack trace. Raises Stop."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        sentence = f"the status was written by another version of failover, or is damaged ({error!r})"
        raise Stop(exits.ERROR, f"{sentence}: run that version, or start a controller of this one") from None


def read_status(state: Path) -> dict[str, Any]:
    """The status document with who leads now and how old it is. Raises Stop where there is none that can be read."""
    try:
        with StatusReader(state) as reader:
            document, leader = reader.document("status"), reader.leader()
    except NoStore as error:
        raise Stop(exits.ERROR, str(error)) from None
    except ValueError as error:
        sentence = f"the status in {state} is damaged ({error}); a controller that runs writes it anew"
        raise Stop(
            exits.ERROR, f"{sentence}; `failover history` and `failover report last` read the journal"
        ) from None
    if document is None:
        raise Stop(exits.ERROR, "no controller has written a status yet; is it warming up or standing by?")
    with of_this_version():
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']}, this one knows {SCHEMA}")
        age_s = max(0.0, time.time() - seconds_of(document["at"]))
        document["age_s"] = round(age_s, 1)
        word = _controller_word(document["leader"], leader, age_s)
        document["leader"] = {**document["leader"], **(leader or {})}
        document["controller"] = word
    return dict(document)


def _controller_word(writer: dict[str, Any], leader: dict[str, Any] | None, age_s: float) -> str:
    if leader is None or leader["released"]:
        return "none runs: nobody watches or acts; commands work without it"
    if leader["gone"]:
        return "dead: nobody watches or acts; commands work without it"
    if leader["expires_wall"] < time.time():
        return "silent: its lease ran out, so nobody acts"
    if leader["holder"] != writer.get("holder") and age_s >= STALE_S:
        return f"acting, and it has not spoken yet: this word is another's, {render.duration(age_s)} old"
    return "acting" if age_s < STALE_S else f"acting, but its last word is {render.duration(age_s)} old"


def seconds_of(text: str | None) -> float:
    """Seconds since the epoch of a time in the document."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def ago(text: str | None) -> str:
    """How long ago a time of the document is, "-" for none."""
    return render.duration(max(0.0, time.time() - seconds_of(text))) if text else "-"


def is_current(status: dict[str, Any]) -> bool:
    """Whether the document tells the present: an acting controller wrote it a moment ago."""
    return bool(status["controller"] == "acting")


def aged(status: dict[str, Any], word: str, *, looked: bool = False) -> str:
    """A word of the document, marked with its age where it is no longer the present.

    `looked`: about replicas and record sets, which a command without a controller has looked at since, if one was given.
    """
    if is_current(status) or word == "-":
        return word
    return (
        f"{word}, {ago(status.get('looked_at') if looked and status.get('looked_at') else status['at'])} ago"
    )


def healthy(status: dict[str, Any]) -> bool:
    """What `--exit-code` asks: an acting controller, every verdict HEALTHY, nothing that holds automation back."""
    return (
        is_current(status)
        and all(cluster["verdict"] == "HEALTHY" for cluster in status["clusters"])
        and not (status["freeze"] or status["pause"] or status["doubt"] or status["policy_problems"])
        and all(vantage["state"] == "ok" for vantage in status["vantages"])
        and not any(zone["error"] for zone in status["zones"])
    )


def calm(value: Any) -> Any:
    """The document without what changes by itself: ages, votes that come and go, looks that say the same again."""
    if isinstance(value, dict):
        well = value.get("verdict") == "HEALTHY"
        return {
            key: calm(item)
            for key, item in value.items()
            if key not in CHANGES_BY_ITSELF and not (well and key == "sentence")
        }
    return [calm(item) for item in value] if isinstance(value, list) else value
