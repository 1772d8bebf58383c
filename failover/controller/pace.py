"""How fast a controller turns. The shipped pace is the default; a simulation of many hours turns more slowly."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`tick_s`: between two turns of the loop; `reconsider_s`: between two tries to act on the same case; `status_every_s`:
    between two writings of the status document; `save_every_s`: of what else outlives a restart; `meters_its_loop`: watch how
    late our own event loop is.
    """

    tick_s: float = 0.1
    reconsider_s: float = 1.0
    status_every_s: float = 1.0
    save_every_s: float = 5.0
    meters_its_loop: bool = True
