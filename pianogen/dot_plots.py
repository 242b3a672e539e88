"""A comparison as a picture: small multiples, a dot for each who played, with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pianogen.comparison import REAL
from pianogen.metrics import Estimate
from pianogen.pictures import FAINT, INK, PLAYED_COLOUR, REAL_COLOUR, new_figure, save_figure
from pianogen.report import Figure
from pianogen.standings import (
    AGAIN,
    ALL_FIVE,
    AUC,
    DENSITY,
    EMPTY,
    FIVE,
    KEY,
    MEDIAN_MS,
    MEMORY,
    PARAMETERS,
    SLOW_MS,
    THICKNESS,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 5
KNOWS_NOTHING = "#8a8a8a"
MORE, LESS, AS_REAL = "more is better", "less is better", "as the real is best"
COSTS = (MEDIAN_MS, PARAMETERS, MEMORY)
PANELS = {
    ALL_FIVE: MORE, **dict.fromkeys(FIVE, MORE), AUC: LESS, KEY: AS_REAL, AGAIN: AS_REAL,
    EMPTY: AS_REAL, DENSITY: AS_REAL, THICKNESS: AS_REAL, MEDIAN_MS: LESS, PARAMETERS: LESS,
    MEMORY: LESS,
}  # fmt: skip
TITLES = {
    ALL_FIVE: "all five overlaps", **{name: f"overlap: {name}" for name in FIVE},
    AUC: "told from real music (AUC)", AGAIN: "repeated figures of 4 notes",
    MEDIAN_MS: "ms to plan a measure (bar: to 95 %)",
}  # fmt: skip


def draw(path: Path, columns: Mapping[str, Mapping[str, Figure]]) -> None:
    """Draw who, then what, as `pianogen.standings` names it; the real is a line, not a dot.

    Raises ConfigError where matplotlib is missing or the file cannot be written.
    """
    who = [name for name in columns if name != REAL]
    rows = -(-len(PANELS) // COLUMNS)
    figure = new_figure(3.4 * COLUMNS, rows * (1.0 + 0.26 * len(who)) + 0.4)
    grid = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axes, (what, better) in zip(grid.flat, PANELS.items(), strict=False):
        _panel(axes, {name: columns[name] for name in who}, what, better)
        _real(axes, columns.get(REAL, {}).get(what), what)
    for axes in grid.flat[len(PANELS) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylim(len(who) - 0.5, -0.8)
    grid[0, 0].set_yticks(range(len(who)), who)
    figure.suptitle(
        "All on the same contexts. Orange: voices; grey: those who know nothing; green: the real "
        "continuations. Bars: 95 % intervals over pieces.",
        color=INK, fontsize=11,
    )  # fmt: skip
    save_figure(figure, path)


def _panel(axes: Axes, columns: Mapping[str, Mapping[str, Figure]], what: str, better: str) -> None:
    for row, column in enumerate(columns.values()):
        value, low, high = _spread(column, what)
        if math.isnan(value):
            continue
        colour = PLAYED_COLOUR if PARAMETERS in column else KNOWS_NOTHING
        axes.plot([low, high], [row, row], color=colour, linewidth=2, alpha=0.5, zorder=3)
        axes.plot([value], [row], "o", color=colour, markersize=5, zorder=3)
        axes.annotate(
            _number(value), (value, row), xytext=(0, 5), textcoords="offset points", zorder=4,
            ha="center", va="bottom", fontsize=7, color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
        )  # fmt: skip
    axes.set_title(f"{TITLES.get(what, what)}\n", color=INK, fontsize=10)
    axes.text(0.5, 1.02, better, transform=axes.transAxes, ha="center", fontsize=8, color=INK)
    axes.margins(x=0.12)
    if what in COSTS:
        axes.set_xlim(0, 1.15 * axes.dataLim.x1)
    axes.grid(color=FAINT, linewidth=0.4)
    axes.tick_params(length=0, labelcolor=INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _spread(column: Mapping[str, Figure], what: str) -> tuple[float, float, float]:
    """A figure with the ends of its bar; nan where there is none."""
    figure = column.get(what, math.nan)
    if isinstance(figure, Estimate):
        low, high = figure.low, figure.high
        return (figure.mean, *((figure.mean,) * 2 if math.isnan(low) else (low, high)))
    slow = column.get(SLOW_MS, figure) if what == MEDIAN_MS else figure
    return figure, figure, float(slow) if not isinstance(slow, Estimate) else figure


def _real(axes: Axes, figure: Figure | None, what: str) -> None:
    """A line where the real is, but where it is itself by definition."""
    if isinstance(figure, Estimate) and what not in (ALL_FIVE, *FIVE):
        value = figure.mean
        if not math.isnan(value):
            axes.axvline(value, color=REAL_COLOUR, linewidth=1.5, zorder=2)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
