"""Pictures as PNG: continuations as piano rolls, and the losses of a run as curves.

Matplotlib is imported when something is to be drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pianogen.comparison import Context
from pianogen.errors import ConfigError, DataError
from pianogen.grid import PITCHES, STEPS_PER_BEAT, VELOCITY_BINS, Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS, CONFIG, HYBRID = "metrics.jsonl", "config.json", "hybrid"
HEARD_COLOUR, PLAYED_COLOUR, REAL_COLOUR = "#1f5fa8", "#c8501e", "#3d7d4d"
INK, FAINT, BLACK_KEY_ROW = "#333333", "#c9c9c9", "#f3f3f3"
BLACK_KEYS = (1, 3, 6, 8, 10)
PALEST = 0.15  # opacity of the softest note; the loudest is opaque
DPI, COLUMNS = 110, 4
STEEP = 0.1  # of a run: how much of it may leave the axis
SMOOTHED = 0.04  # of a run: how much of it a running mean of the training losses is over

Values = NDArray[np.float64]
Curve = Mapping[int, float]  # update -> nats


def check() -> None:
    """Raise ConfigError, one line, where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "pictures need matplotlib: install it with pip install 'pianogen[train]'"
        ) from error


# --- continuations ------------------------------------------------------------------------------


def draw_continuations(
    folder: Path, contexts: Sequence[Context], answers: Sequence[Sequence[Measure]], count: int = 6
) -> list[Path]:
    """One picture for each of `count` contexts, spread evenly: what was heard with the model's
    continuation, below it with the real one. Raises ConfigError where it cannot be written."""
    paths = []
    chosen = np.unique(np.linspace(0, len(contexts) - 1, min(count, len(contexts))).astype(int))
    for number, index in enumerate(chosen.tolist(), 1):
        context, path = contexts[index], folder / f"continuation-{number:02d}.png"
        save_figure(_continuation(context, answers[index]), path)
        paths.append(path)
    return paths


def _continuation(context: Context, answer: Sequence[Measure]) -> Figure:
    figure = new_figure(14, 7.5)
    above, below = figure.subplots(2, 1, sharex=True, sharey=True)
    _roll(above, context.heard, answer, PLAYED_COLOUR, "model")
    _roll(below, context.heard, context.real, REAL_COLOUR, "real")
    music = (*context.heard, *answer, *context.real)
    pitches = [note.pitch for measure in music for note in measure.notes]  # some was heard
    above.set_ylim(min(pitches) - 3, max(pitches) + 3)
    below.set_xlabel("measure", color=INK)
    piece = context.piece
    name = ", ".join(part for part in (piece.composer, piece.title) if part) or piece.path
    about = f"{piece.corpus}, {context.heard[0].meter}; the darker, the louder"
    figure.suptitle(f"{name}   ({about})", color=INK, fontsize=11)
    return figure


def _roll(
    axes: Axes, heard: Sequence[Measure], answer: Sequence[Measure], colour: str, who: str
) -> None:
    """One piano roll: time from left to right, a measure line where there is one."""
    bars = [*bars_of(heard, 0, HEARD_COLOUR), *bars_of(answer, _length(heard), colour)]
    for start, pitch, length, shade, opacity in bars:
        axes.broken_barh(
            [(start + 0.1, length - 0.45)], (pitch - 0.42, 0.84),
            facecolors=(shade, opacity), edgecolor=shade, linewidth=0.4, zorder=3,
        )  # fmt: skip
    _keyboard(axes)
    _measure_lines(axes, [*heard, *answer], len(heard))
    for label, shade, side in (("heard", HEARD_COLOUR, "left"), (who, colour, "right")):
        place = 0.0 if side == "left" else 1.0
        axes.text(place, 1.015, label, color=shade, weight="bold", transform=axes.transAxes,
                  ha=side, va="bottom")  # fmt: skip
    axes.tick_params(length=0, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def bars_of(
    measures: Iterable[Measure], now: int, colour: str
) -> list[tuple[int, int, int, str, float]]:
    """(start in steps, pitch, length in steps, colour, opacity) of each note, the first measure
    beginning at step `now`."""
    bars = []
    for measure in measures:
        for note in measure.notes:
            opacity = PALEST + (1 - PALEST) * note.velocity_bin / (VELOCITY_BINS - 1)
            bars.append((now + note.onset, note.pitch, note.duration, colour, opacity))
        now += measure.meter.steps
    return bars


def _length(measures: Iterable[Measure]) -> int:
    return sum(measure.meter.steps for measure in measures)


def _keyboard(axes: Axes) -> None:
    for pitch in range(PITCHES):
        if pitch % 12 in BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=BLACK_KEY_ROW, zorder=0)
    octaves = range(0, PITCHES, 12)
    axes.set_yticks(list(octaves), [f"C{pitch // 12 - 1}" for pitch in octaves])


def _measure_lines(axes: Axes, measures: Sequence[Measure], hand_over: int) -> None:
    now, middles = 0, []
    for number, measure in enumerate(measures):
        for beat in range(STEPS_PER_BEAT, measure.meter.steps, STEPS_PER_BEAT):
            axes.axvline(now + beat, color=FAINT, linewidth=0.3, zorder=1)
        is_ours = number == hand_over
        axes.axvline(now, color=INK if is_ours else FAINT, linewidth=2 if is_ours else 1, zorder=2)
        middles.append(now + measure.meter.steps / 2)
        now += measure.meter.steps
    axes.set_xlim(0, now)
    axes.set_xticks(middles, [str(number + 1) for number in range(len(measures))])


# --- losses -------------------------------------------------------------------------------------


def draw_losses(folder: Path, run: Path) -> Path:
    """All that a run counts, each part for itself, over its updates: losses.png.

    Whatever the family tells is drawn: losses, shares that were right, perplexities. Raises
    DataError where the run has no metrics to read, ConfigError where nothing can be written.
    """
    curves = read_losses(run)
    parts = sorted({name for curve in curves.values() for name in curve}, key=_loss_first)
    rows = -(-len(parts) // COLUMNS)
    figure = new_figure(4.2 * COLUMNS, 3.2 * rows + 0.5)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes, part in zip(grid.flat, parts, strict=False):
        _losses(axes, part, {kind: curve.get(part, {}) for kind, curve in curves.items()})
    for axes in grid.flat[len(parts) :]:
        axes.set_axis_off()
    grid[0, 0].legend(frameon=False, labelcolor=INK)
    figure.suptitle(f"{run.name}: {_unit(run)}, by update", color=INK)
    save_figure(figure, folder / "losses.png")
    return folder / "losses.png"


def _unit(run: Path) -> str:
    """What the parts of a run's loss are in."""
    try:
        config = json.loads((run / CONFIG).read_text(encoding="utf-8"))
        of_hybrid = config.get("family", HYBRID) == HYBRID
    except (OSError, ValueError, AttributeError):
        of_hybrid = False
    return "losses in nats a note (rhythm: a step)" if of_hybrid else "what training counts"


def read_losses(run: Path) -> dict[str, dict[str, dict[int, float]]]:
    """What a run's metrics.jsonl says: training and validation, then part, then update -> nats.

    Where an update was logged twice, as after a stop, the later counts. Raises DataError, one
    line, where the file is missing or broken.
    """
    path = run / METRICS
    curves: dict[str, dict[str, dict[int, float]]] = {"training": {}, "validation": {}}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for kind, curve in curves.items():
                for part, value in row.get(kind, {}).items():
                    curve.setdefault(part, {})[int(row["step"])] = float(value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no losses to read here ({error})") from error
    if not curves["training"] and not curves["validation"]:
        raise DataError(f"{path}: no losses in it yet")
    return curves


def _loss_first(part: str) -> tuple[bool, str]:
    return part != "loss", part


def _losses(axes: Axes, part: str, curves: Mapping[str, Curve]) -> None:
    updates, values = _sorted(curves["training"])
    if len(updates):
        axes.plot(updates, values, color=HEARD_COLOUR, alpha=0.25, linewidth=0.7)
        smooth = running_mean(values, max(1, round(SMOOTHED * len(values))))
        axes.plot(updates, smooth, color=HEARD_COLOUR, linewidth=1.5, label="training")
        axes.set_ylim(*limits(smooth))
    updates, values = _sorted(curves["validation"])
    if len(updates):
        axes.plot(updates, values, "o-", color=PLAYED_COLOUR, markersize=3, label="validation")
        axes.annotate(f"{values[-1]:.3f}", (updates[-1], values[-1]), color=PLAYED_COLOUR,
                      xytext=(0, 7), textcoords="offset points", ha="right")  # fmt: skip
    axes.set_title(part.replace("_", " "), color=INK, fontsize=10)
    axes.grid(color=FAINT, linewidth=0.4)
    axes.tick_params(length=0, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def limits(smooth: Values) -> tuple[float, float]:
    """The ends of an axis, with room; the steep beginning of a run may leave it."""
    falls = smooth[-1] <= smooth[0]
    low, high = np.quantile(smooth, [0, 1 - STEEP] if falls else [STEEP, 1]).tolist()
    near, far = 0.15 * (high - low) + 0.02, 0.5 * (high - low) + 0.02
    return (low - near, high + far) if falls else (low - far, high + near)


def _sorted(curve: Curve) -> tuple[Values, Values]:
    updates = sorted(curve)
    return np.array(updates, float), np.array([curve[update] for update in updates], float)


def running_mean(values: Values, width: int) -> Values:
    """The mean of the `width` values up to each; of fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - width, 0)
    return np.asarray((sums[end] - sums[start]) / (end - start))


# --- matplotlib ---------------------------------------------------------------------------------


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure, in inches; raises ConfigError where matplotlib is missing."""
    check()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # draws without a display
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, its folder made; raises ConfigError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DPI)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
