"""How the bench shows its figures: each as a ratio to a baseline of the same run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

console = Console(width=120)


@dataclass(frozen=True, slots=True)
class Row:
    """A measured path: `must` and `goal` are ratios to reach, or milliseconds not to exceed."""

    path: str
    baseline: str
    value: float
    must: float
    goal: float
    detail: str = ""
    lower_is_better: bool = False
    informative: bool = False
    """Shown, but its `must` is not asked for yet."""

    @property
    def met(self) -> bool:
        return self.value <= self.must if self.lower_is_better else self.value >= self.must


def show(rows: Sequence[Row]) -> None:
    table = Table(
        "path",
        "baseline, same run",
        "measured",
        "must",
        "goal",
        "detail",
        title="Bench",
        title_justify="left",
    )
    for row in rows:
        colour = "green" if row.met else "yellow" if row.informative else "red"
        unit = " ms" if row.lower_is_better else ""
        table.add_row(
            row.path,
            row.baseline,
            f"[{colour}]{row.value:.2f}{unit}[/{colour}]",
            *(f"{bound:g}{unit}" if bound else "-" for bound in (row.must, row.goal)),
            row.detail,
        )
    console.print(table)


def median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Of (measured, baseline) rates taken in turn, so that a slow moment of the machine hits both."""
    return statistics.median(measured / baseline for measured, baseline in pairs)


def rates(pairs: Sequence[tuple[float, float]]) -> str:
    """The medians of what was measured and of its baseline."""
    measured, baseline = (statistics.median(column) for column in zip(*pairs, strict=True))
    return f"{measured:,.0f}/s ÷ {baseline:,.0f}/s"
