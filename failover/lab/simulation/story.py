"""Stories: a seed with the very faults that it played, in a file, so that they stay what they are when kinds are added."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .faults import FAULTS
from .fleet import SHAPES
from .play import Planned, Result, play

BYTES_MAX = 1 << 20
NUMBERS = ("at", "seconds")


class StoryError(ValueError):
    """A file that is no story, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`about`: what it once showed. `shape`: the fleet's name. Everything else that is random comes from `seed`."""

    seed: int
    shape: str
    schedule: tuple[Planned, ...]
    about: str = ""

    def play(self, *, tell: bool = False) -> Result:
        """Play it again; the same log each time, as long as neither controller nor world changes."""
        return play(self.seed, self.schedule, shape=SHAPES[self.shape], tell=tell)


def story_of(result: Result, schedule: Sequence[Planned], about: str = "") -> Story:
    """What was played, to be kept."""
    return Story(seed=result.seed, shape=result.shape, schedule=tuple(schedule), about=about)


def write_story(path: Path, story: Story) -> None:
    """Raises OSError."""
    path.write_text(json.dumps(asdict(story), indent=1) + "\n", encoding="utf-8")


def read_story(path: Path) -> Story:
    """Raises StoryError with what is wrong with the file, OSError where it cannot be read."""
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise StoryError(f"larger than {BYTES_MAX} bytes")
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoryError(f"not JSON: {error}") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("schedule"), list):
        raise StoryError("not a JSON object with a list `schedule`")
    if plain.get("shape") not in SHAPES:
        raise StoryError(f"`shape` is one of {', '.join(SHAPES)}")
    if type(plain.get("seed")) is not int:
        raise StoryError("`seed` is a whole number")
    return Story(
        seed=plain["seed"],
        shape=plain["shape"],
        schedule=tuple(_planned(number, item) for number, item in enumerate(plain["schedule"])),
        about=str(plain.get("about", "")),
    )


def _planned(number: int, plain: Any) -> Planned:
    if not isinstance(plain, dict) or plain.get("fault") not in FAULTS:
        raise StoryError(f"fault {number + 1} of `schedule` is none that `--list-faults` shows")
    for name in NUMBERS:
        value = plain.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise StoryError(f"fault {number + 1} of `schedule`: `{name}` is in seconds, 0 or more")
    if type(plain.get("number", number)) is not int or type(plain.get("lasts", False)) is not bool:
        raise StoryError(f"fault {number + 1} of `schedule`: `number` is whole, `lasts` true or false")
    return Planned(
        number=plain.get("number", number),
        fault=plain["fault"],
        at=float(plain["at"]),
        seconds=float(plain["seconds"]),
        lasts=plain.get("lasts", False),
    )
