"""All who can play, held against each other: the same pieces, contexts and number of measures.

Every voice answers every context, one voice after the other, each let go before the next is
loaded; so do those who know nothing. Nothing is fitted but chance, and that on the training split;
of the held-out splits only the one asked for is opened. The same seed gives the same figures, but
for time and memory, which are this computer's at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pianogen import dot_plots, pictures, two_sample
from pianogen.baselines import Unigram
from pianogen.checkpoint import load, load_continuation
from pianogen.clocked import Clocked
from pianogen.comparison import (
    ANSWERED,
    HEARD,
    REAL,
    Context,
    Music,
    find_contexts,
    play_each,
    rivals,
)
from pianogen.continuation import Continuation
from pianogen.errors import ConfigError
from pianogen.footprint import Footprint, footprint
from pianogen.presets import Voicing
from pianogen.progress import told
from pianogen.report import Figure, Report, Standing
from pianogen.shards import Shard
from pianogen.standings import (
    AUC,
    BLOCKS,
    LINE_BLOCKS,
    MEDIAN_MS,
    MEMORY,
    PARAMETERS,
    PROCESS,
    SLOW_MS,
    Answer,
    Rows,
    describe,
    differences,
    means,
    melody,
    top_line,
)
from pianogen.windowed import whole_measures

FITTED = 50_000  # measures of the training split that chance is fitted to


def compare(
    data: Path, split: str, *, voicings: Mapping[str, Voicing], contexts: int = 200, seed: int = 0,
    device: str = "cpu", picture: Path | None = None,
) -> Report:  # fmt: skip
    """Let every voicing play on from the same places of a split of prepared data.

    voicings: by name; the first is held against each of the others. contexts: how many places; of
    fewer than 50 there is no two-sample test. picture: a PNG to be written. Raises DataError,
    CheckpointError, and ConfigError where scikit-learn is missing, or there can be no picture.
    """
    if not voicings:
        raise ConfigError("compare: there is nobody to compare; name a family")
    two_sample.check()
    if picture is not None:
        pictures.check()
    sizes = {who: _parameters(voicing) for who, voicing in voicings.items()}
    held_out = Shard.open(data, split)
    places = find_contexts(held_out, contexts, seed)
    known = _known(held_out, Shard.open(data, "train"), places, voicings, seed)
    performances = {
        who: _performance(who, voicing, places, seed, device) for who, voicing in voicings.items()
    }
    answers: dict[str, Sequence[Answer]] = {REAL: known.pop(REAL)}
    answers |= {who: one.answers for who, one in performances.items()}
    answers |= known
    lines = {who: [top_line(music) for music in made] for who, made in answers.items()}
    described, columns = _judged(places, answers, seed, "told from the real")
    _, of_lines = _judged([melody(place) for place in places], lines, seed, "top lines told")
    for who, one in performances.items():
        columns[who] |= {PARAMETERS: sizes[who], **one.cost()}
    if picture is not None:
        dot_plots.draw(picture, columns)
    del described[REAL]
    tables = {
        "compare": Standing("All on the same contexts", columns, BLOCKS),
        "differences": differences(places, described, next(iter(voicings)), seed),
        "top lines": Standing("The top line alone", of_lines, LINE_BLOCKS),
    }
    return Report(_about(split, seed, places, voicings), tables)


def _parameters(voicing: Voicing) -> float:
    """Millions of numbers that a checkpoint's weights are."""
    weights = load(voicing.checkpoint).weights.values()
    return sum(weight.size for weight in weights if weight.dtype.kind == "f") / 1e6


def _known(
    held_out: Shard, training: Shard, places: Sequence[Context], voicings: Mapping[str, Voicing],
    seed: int,
) -> dict[str, tuple[Answer, ...]]:  # fmt: skip
    """What the music itself and those who know nothing answer; chance as thickly as any voice."""
    others = find_contexts(held_out, len(places), seed + 1)
    chance = Unigram.fit(whole_measures(training, FITTED))
    most = max(voicing.sampling.max_polyphony for voicing in voicings.values())
    known = rivals(places, others, chance, most, seed)
    for who in voicings.keys() & known.keys():
        raise ConfigError(f"compare: {who!r} is one of those who know nothing; give another name")
    return known


def _judged(
    places: Sequence[Context], answers: Mapping[str, Sequence[Answer]], seed: int, what: str
) -> tuple[dict[str, Rows], dict[str, dict[str, Figure]]]:
    """What is said of each answer, and of each who answered, by name; how well each is told from
    the real (of the real, two halves from each other) with it."""
    listener = two_sample.Listener(places)
    described: dict[str, Rows] = {}
    columns: dict[str, dict[str, Figure]] = {}
    for who, made in told(answers.items(), len(answers), what):
        described[who] = describe(places, made)
        columns[who] = {**means(places, described[who], seed)}
        is_real = who == REAL
        area = listener.tell_halves(seed) if is_real else listener.tell(made, seed).area
        columns[who][AUC] = area
    return described, columns


def _about(
    split: str, seed: int, places: Sequence[Context], voicings: Mapping[str, Voicing]
) -> dict[str, object]:
    counted = {
        "contexts": len(places),
        "pieces": len({place.piece.group for place in places}),
        "measures heard": HEARD,
        "measures played": ANSWERED,
    }
    checkpoints = {who: voicing.checkpoint for who, voicing in voicings.items()}
    samplings = {
        f"sampling of {who}": voicing.unusual() or "all settings as they are by default"
        for who, voicing in voicings.items()
    }
    return {
        "split": split, "seed": seed, "played": counted, "checkpoints": checkpoints, **samplings
    }  # fmt: skip


# --- who plays ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Performance:
    """What a voice made of every context, how long each measure took to plan, in milliseconds,
    and the memory it takes."""

    answers: tuple[Music, ...]
    planning_ms: Sequence[float]
    memory: Footprint

    def cost(self) -> dict[str, Figure]:
        """What it takes to play it."""
        median, slow = np.quantile(self.planning_ms, [0.5, 0.95]).tolist()
        return {
            MEDIAN_MS: median,
            SLOW_MS: slow,
            MEMORY: self.memory.voice,
            PROCESS: self.memory.process,
        }


def _performance(
    who: str, voicing: Voicing, places: Sequence[Context], seed: int, device: str
) -> Performance:
    voice = load_continuation(voicing.checkpoint, device=device)
    answers, planning_ms = perform(voice, voicing, told(places, len(places), f"by {who}"), seed)
    busiest = max(places, key=lambda place: sum(len(m.notes) for m in place.heard))
    memory = footprint(
        voicing.checkpoint, busiest.heard, ANSWERED, voicing.after(busiest.heard), device
    )  # fmt: skip
    return Performance(answers, planning_ms, memory)


def perform(
    voice: Continuation, voicing: Voicing, places: Iterable[Context], seed: int
) -> tuple[tuple[Music, ...], list[float]]:
    """A voice's continuation of every place, and how long each measure of it took to plan, in
    milliseconds: hearing one and answering."""
    clocked = Clocked(voice)
    asked = ((place, voicing.after(place.heard)) for place in places)
    return play_each(clocked, asked, seed).answers, clocked.planning_ms
