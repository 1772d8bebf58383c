"""One measured figure and its limit."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`values`: one a repetition; the median counts. `at_most`: a limit from above, otherwise from below."""

    benchmark: str
    what: str
    unit: str
    limit: float
    values: tuple[float, ...]
    at_most: bool = True

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def ok(self) -> bool:
        return self.median <= self.limit if self.at_most else self.median >= self.limit

    def row(self) -> list[str]:
        sign = "<=" if self.at_most else ">="
        spread = f"{min(self.values):.2f} .. {max(self.values):.2f}"
        return [
            self.benchmark,
            self.what,
            f"{self.median:.2f} {self.unit}",
            spread,
            f"{sign} {self.limit:g} {self.unit}",
            "ok" if self.ok else "MISSED",
        ]
