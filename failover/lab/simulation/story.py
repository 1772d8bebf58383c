"""Stories: a seed with the very faults that it played, in a file, so that they stay what they are when kinds are added."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from failover.model.codec import DecodeError, from_plain, to_plain

from .faults import FAULTS
from .fleet import SHAPES
from .play import Planned, Result, play

BYTES_MAX = 1 << 20


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
    path.write_text(json.dumps(to_plain(story), indent=1) + "\n", encoding="utf-8")


def read_story(path: Path) -> Story:
    """Raises StoryError with what is wrong with the file, OSError where it cannot be read."""
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise StoryError(f"larger than {BYTES_MAX} bytes")
    try:
        story: Story = from_plain(Story, json.loads(content))
    except DecodeError as error:
        raise StoryError(f"it is no story: {error}") from None
    except (ValueError, RecursionError) as error:
        raise StoryError(f"not JSON: {error}") from None
    if story.shape not in SHAPES:
        raise StoryError(f"`shape` is one of {', '.join(SHAPES)}")
    for number, item in enumerate(story.schedule, 1):
        if item.fault not in FAULTS:
            raise StoryError(f"fault {number} of `schedule` is none that `--list-faults` shows: {item.fault}")
        if not (0 <= item.at < float("inf") and 0 <= item.seconds < float("inf")):
            raise StoryError(f"fault {number} of `schedule`: `at` and `seconds` are seconds, 0 or more")
    return story
