"""I9 and I10 once more at the moment of a move: whether what it counts on carries the floor, by what is ready there just now."""

from collections.abc import Iterator, Sequence

from failover.execution.rules import refuse
from failover.execution.situation import Situation
from failover.model.ids import ClusterName
from failover.model.plan import Placement
from failover.model.policy import Application
from failover.model.reasons import Refusal


def not_carried(
    application: Application, demand: int, rows: Sequence[Placement], situation: Situation, *, without: str
) -> Iterator[Refusal]:
    """The refusal where `rows` (what is planned to run on) do not carry the floor of `demand`. `without`: what would go."""
    serving = sum(_carries(row, situation) for row in rows)
    needed = demand * application.floor / 100
    if serving >= min(needed, sum(row.after for row in rows)):
        return
    gone = sorted({row.cluster for row in rows if not _serves(row.cluster, situation)})
    silent = {
        row.cluster: why for row in rows if (why := _unknown(row, situation)) and row.cluster not in gone
    }
    weak = sorted({row.cluster for row in rows if _carries(row, situation) < row.after} - {*gone, *silent})
    reasons = [
        *([f"{', '.join(gone)} no longer serves"] if gone else []),
        *(f"nobody knows what is ready in {name} ({why})" for name, why in sorted(silent.items())),
        *([f"less than planned is ready in {', '.join(weak)}"] if weak else []),
    ]
    yield refuse(
        "capacity-floor",
        f"{'; '.join(reasons)}: without {without} {serving} replicas would carry a demand of {demand}; "
        f"the floor is {application.floor} %",
        *gone,
        *sorted(silent),
        *weak,
        application=application.name,
    )


def _carries(row: Placement, situation: Situation) -> int:
    """What is ready of it there; nothing where the cluster no longer serves, or where nobody knows."""
    ready = _ready(row, situation)
    return min(row.after, ready) if isinstance(ready, int) and _serves(row.cluster, situation) else 0


def _unknown(row: Placement, situation: Situation) -> str:
    """Why nobody knows what is ready of it there; "" where somebody does."""
    ready = _ready(row, situation)
    return ready if isinstance(ready, str) else ""


def _ready(row: Placement, situation: Situation) -> int | str:
    """What is ready of it there, as read just before, or why nobody knows. What was seen earlier does not count: it may be gone."""
    known = situation.look.counted_on.get((row.cluster, row.workload), "nobody has asked just now")
    late = isinstance(known, int) and situation.now.mono >= situation.look.good_until
    return "it was asked too long ago" if late else known


def _serves(cluster: ClusterName, situation: Situation) -> bool:
    verdict = situation.judgement.of_cluster(cluster)
    return verdict is not None and verdict.kind.serves
