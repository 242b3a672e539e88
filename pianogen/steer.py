"""What is played when density, scale or register are asked for, beside what is played without.

The same places and seeds throughout, so that only what was asked for differs; and beside each
the overlaps with the real continuation, which tell what it costs to be steered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pianogen.by_piece import bootstrapped, mean_of
from pianogen.checkpoint import load_continuation
from pianogen.comparison import Context, Music, Played, compare, find_contexts, play_each
from pianogen.continuation import Continuation
from pianogen.keys import PITCH_CLASSES, heard_scale
from pianogen.metrics import Estimate
from pianogen.presets import Voicing
from pianogen.progress import told
from pianogen.report import Figure, Report, Table
from pianogen.sampling import Sampling
from pianogen.shards import Shard

Ask = Callable[[Context, Sampling], Sampling]
AS_IT_IS = "as it is"
DENSITIES = (0.25, 0.5, 2.0, 4.0)
RANGES = {"up to B3": (21, 59), "from C4": (60, 108), "C4 to B4": (60, 71)}
TRITONE = 6  # semitones
FIGURES = ("notes a measure", "notes an onset", "empty measures", "notes in the key heard",
           "register moved, semitones", "register moved either way")  # fmt: skip

DENSITY_NOTES = (
    "As it is: density 1. Times as many: all notes against those of density 1. Off, a place: how",
    "far a place is from what was asked on average, as a factor (1: exactly so). Below, the",
    "overlaps with the real continuation as `pianogen evaluate` has them, 0..1.",
)
SCALE_NOTES = (
    "Heard: only the scale of the key that was heard. Tritone away: only that scale moved by six",
    "semitones. In the scale heard, and in the other: share of the notes.",
)
RANGE_NOTES = ("First, the share of the notes in each range; C4 is middle C, 60.",)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was played at every place, and what it cost, in milliseconds a measure."""

    places: Sequence[Context]
    played: Played
    seed: int

    @property
    def notes(self) -> list[float]:
        """How many in each continuation."""
        return [float(sum(len(m.notes) for m in answer)) for answer in self.played.answers]

    @property
    def groups(self) -> list[str]:
        """Which music each place is from."""
        return [place.piece.group for place in self.places]

    def figures(self) -> dict[str, Figure]:
        """What it is like by itself, and how like the real one."""
        compared = compare(self.places, self.played.answers, self.seed)
        return {**{name: compared.alone[name] for name in FIGURES}, **compared.by_context}

    def share(self, belongs: Callable[[Context, int], bool]) -> Estimate:
        """Of the notes, those whose pitch belongs."""
        pairs = list(zip(self.places, self.played.answers, strict=True))
        inside = np.array([_count(answer, belongs, place) for place, answer in pairs])
        sums = {"inside": inside, "all": np.array(self.notes)}
        return _ratio(sums, self.groups, self.seed)

    def against(self, other: Answers, density: float) -> dict[str, Figure]:
        """How many times the notes of another there are."""
        sums = {"inside": np.array(self.notes), "all": np.array(other.notes)}
        ratios = (sums["inside"] + 1) / (density * sums["all"] + 1)
        off = mean_of(np.abs(np.log2(ratios)).tolist(), self.groups, self.seed)
        return {
            "times as many": _ratio(sums, self.groups, self.seed),
            "off, a place": 2.0**off.mean,
        }


def _count(answer: Music, belongs: Callable[[Context, int], bool], place: Context) -> float:
    return float(sum(belongs(place, note.pitch) for m in answer for note in m.notes))


def _ratio(sums: Mapping[str, np.ndarray], groups: Sequence[str], seed: int) -> Estimate:
    found = bootstrapped(sums, groups, lambda s: {"": s["inside"] / s["all"]}, seed)
    return found[""]


def steer(
    data: Path, split: str, *, checkpoint: str, sampling: Sampling, contexts: int = 100,
    seed: int = 0, device: str = "cpu", is_in_scale_heard: bool = False,
) -> Report:  # fmt: skip
    """Play from the same places of a split as asked, and without.

    is_in_scale_heard: where no other scale is asked for, it is the one heard at each place.
    Raises DataError, CheckpointError and ConfigError.
    """
    voicing = Voicing(checkpoint, sampling, is_in_scale_heard)
    voice = load_continuation(checkpoint, device=device)
    places = find_contexts(Shard.open(data, split), contexts, seed)
    answers = {
        what: _answers(voice, places, voicing, ask, seed, what) for what, ask in _asks().items()
    }
    about = {"checkpoint": checkpoint, "split": split, "sampling": voicing.settings(),
             "seed": seed, "contexts": len(places)}  # fmt: skip
    tables = {"density": _by_density(answers), "scale": _by_scale(answers),
              "register": _by_range(answers)}  # fmt: skip
    spent = [each.played.ms_per_measure for each in answers.values()]
    return Report(about, tables, sum(spent) / len(spent))


def _asks() -> dict[str, Ask]:
    """What is asked for, by what it is called."""

    def of_density(density: float) -> Ask:
        return lambda _, sampling: replace(sampling, density=density)

    def of_range(low: int, high: int) -> Ask:
        return lambda _, sampling: replace(sampling, low_pitch=low, high_pitch=high)

    def of_scale(shift: int) -> Ask:
        return lambda place, sampling: replace(sampling, pitch_classes=_scale(place, shift))

    return {
        AS_IT_IS: lambda _, sampling: sampling,
        **{f"density {density:g}": of_density(density) for density in DENSITIES},
        "scale heard": of_scale(0),
        "tritone away": of_scale(TRITONE),
        **{name: of_range(*ends) for name, ends in RANGES.items()},
    }


def _scale(place: Context, shift: int = 0) -> tuple[int, ...]:
    return tuple((n + shift) % PITCH_CLASSES for n in heard_scale(place.heard))


def _answers(
    voice: Continuation, places: Sequence[Context], voicing: Voicing, ask: Ask, seed: int,
    what: str,
) -> Answers:  # fmt: skip
    asked = [(place, ask(place, voicing.after(place.heard))) for place in places]
    return Answers(places, play_each(voice, told(asked, len(asked), what), seed), seed)


def _by_density(answers: Mapping[str, Answers]) -> Table:
    base = answers[AS_IT_IS]
    columns = {
        name: {**answers[name].against(base, density), **answers[name].figures()}
        for name, density in _densities().items()
    }
    return Table("Density: notes asked for, and played", columns, DENSITY_NOTES)


def _densities() -> dict[str, float]:
    named = {f"density {density:g}": density for density in DENSITIES}
    return dict(sorted({AS_IT_IS: 1.0, **named}.items(), key=lambda item: item[1]))


def _by_scale(answers: Mapping[str, Answers]) -> Table:
    def inside(shift: int) -> Callable[[Context, int], bool]:
        return lambda place, pitch: pitch % PITCH_CLASSES in _scale(place, shift)

    columns = {
        name: {
            "in the scale heard": answers[name].share(inside(0)),
            "in the one a tritone away": answers[name].share(inside(TRITONE)),
            **answers[name].figures(),
        }
        for name in (AS_IT_IS, "scale heard", "tritone away")
    }
    return Table("Scale: which pitch classes may be drawn", columns, SCALE_NOTES)


def _by_range(answers: Mapping[str, Answers]) -> Table:
    def inside(low: int, high: int) -> Callable[[Context, int], bool]:
        return lambda _, pitch: low <= pitch <= high

    columns = {
        name: {
            **{
                f"notes {what}": answers[name].share(inside(*ends)) for what, ends in RANGES.items()
            },
            **answers[name].figures(),
        }
        for name in (AS_IT_IS, *RANGES)
    }
    return Table("Register: the range that may be drawn from", columns, RANGE_NOTES)
