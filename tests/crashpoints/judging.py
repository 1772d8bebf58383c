"""What an outcome means: the same world, another one, or nothing shown; and whether a woken controller was refused."""

from dataclasses import dataclass

from tests.crashpoints.cycle import Outcome

SAME, DIFFERS, NOT_REACHED = "same world", "DIFFERS", "not reached"
REFUSALS = {
    "store": ("StaleEpoch", "NotLeader"),
    "kubernetes": ("Conflict", "FencedOff"),
    "dns": ("NXRRSET", "YXRRSET", "NXDOMAIN", "YXDOMAIN"),
}
"""How each place says that somebody newer has been here."""
UNSENT = "nothing was sent"
"""A permit that has run out is noticed before the bytes go: not even a place has to refuse."""
PLACE_OF = {"scale/last": "kubernetes", "raise-fence/last": "kubernetes", "records/last": "dns"}
"""Where the bytes go that a controller was about to send; from anywhere else it comes to the store first."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`word`: one of the three above. `reasons`: why it differs. `refused_by`: places that refused the woken one."""

    word: str
    reasons: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()


def judge(outcome: Outcome) -> Judgement:
    """The verdict over one cycle."""
    missed = set(outcome.strike.points) - {
        word for one in outcome.struck for word in (one, one.split("#")[0])
    }
    reasons = list(outcome.wrong)
    refused_by: tuple[str, ...] = ()
    if outcome.strike.blow == "stop" and outcome.struck:
        refused_by, unrefused = _woken(outcome)
        reasons += unrefused
    if reasons:
        return Judgement(DIFFERS, tuple(reasons), refused_by)
    return Judgement(NOT_REACHED if missed else SAME, (), refused_by)


def _woken(outcome: Outcome) -> tuple[tuple[str, ...], list[str]]:
    """(places that refused, what was not as it should be) of a controller that slept past its lease."""
    if not outcome.woke:
        return (), ["the frozen controller was never woken"]
    sends = [
        ("permit" if UNSENT in answer else place, answer)
        for place, answer in (send.split(" ", 1) for send in outcome.sends)
        if not answer.startswith("CancelledError")  # it was ended meanwhile: no answer at all
    ]
    refused_by = tuple(sorted({place for place, answer in sends if _refuses(place, answer)}))
    taken = [f"{place} {answer}" for place, answer in sends if not _refuses(place, answer)]
    if taken:
        return refused_by, [f"a controller that woke past its lease was not refused: {', '.join(taken)}"]
    expected = PLACE_OF.get(outcome.struck[0].partition("#")[0], "store")
    if expected not in refused_by:
        return refused_by, [f"the woken controller was never refused by {expected}"]
    return refused_by, []


def _refuses(place: str, answer: str) -> bool:
    return place == "permit" or answer.partition(":")[0] in REFUSALS[place]
