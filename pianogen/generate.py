"""Continuations written to files: what was heard and what the model makes of it, two tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from pianogen.continuation import Continuation
from pianogen.errors import ConfigError
from pianogen.grid import STEPS_PER_BEAT, Measure, Meter
from pianogen.hearing import hear_file
from pianogen.keys import heard_scale
from pianogen.midi_file import Track, measures_to_notes, write_midi
from pianogen.sampling import Sampling, anchored, limit_polyphony, measure_seed

PERFORMER, MACHINE = "performer", "pianogen"
LONGEST_CONTEXT = 64  # measures; what lies further back is forgotten
LATELY = 16  # measures that tell the scale, and how many notes are usual


@dataclass(frozen=True, slots=True)
class Heard:
    """The measures of a file that a continuation follows; tempo in quarters a minute."""

    measures: tuple[Measure, ...]
    tempo: float

    @property
    def meter(self) -> Meter:
        """The meter at the end, in which it goes on."""
        return self.measures[-1].meter


def hear(path: Path, measures: int | None = None) -> Heard:
    """The first measures of a MIDI file, all by default.

    Raises MidiFileError for a file that cannot be read, ConfigError for one that is shorter.
    """
    rows = hear_file(path)
    if measures is not None and not 1 <= measures <= len(rows):
        raise ConfigError(f"{path}: has {len(rows)} measures, so --from must be 1 to {len(rows)}")
    count = measures or len(rows)
    return Heard(rows.all_measures()[:count], rows.tempo(count - 1))


def continuation(
    voice: Continuation, heard: Sequence[Measure], measures: int, sampling: Sampling, seed: int
) -> tuple[Measure, ...]:
    """`measures` measures that follow what was heard, within the polyphony asked for.

    Only the measures at the end that share the last one's meter are listened to.
    """
    tail = _tail(heard)
    voice.reset(heard[-1].meter)
    for measure in tail:
        voice.listen(measure)
    sampling = anchored(sampling, tail[-LATELY:])
    answers = [voice.answer(sampling, measure_seed(seed, n)) for n in range(measures)]
    return limit_polyphony(answers, sampling.max_polyphony)


def _tail(heard: Sequence[Measure]) -> Sequence[Measure]:
    count = 0
    while count < min(len(heard), LONGEST_CONTEXT) and heard[-1 - count].meter == heard[-1].meter:
        count += 1
    return heard[len(heard) - count :]


def continue_file(
    voice: Continuation, source: Path, out: Path, measures: int, *,
    first: int | None = None, sampling: Sampling, is_in_scale_heard: bool = False, seed: int = 0,
) -> tuple[Measure, ...]:  # fmt: skip
    """Hear the first measures of `source`; write them and what follows to `out`.

    Where it is to be in the scale heard, that of the last 16 measures is drawn from.
    """
    heard = hear(source, first)
    if is_in_scale_heard:
        classes = heard_scale(heard.measures[-LATELY:])
        sampling = replace(sampling, pitch_classes=classes)
    answer = continuation(voice, heard.measures, measures, sampling, seed)
    played = measures_to_notes(heard.measures, heard.tempo)
    machine = measures_to_notes(
        (*heard.measures, *answer), heard.tempo, start_measure=len(heard.measures)
    )
    write_midi(out, (Track(PERFORMER, played), Track(MACHINE, machine)), heard.tempo, heard.meter)
    return answer


def generate_file(
    voice: Continuation, out: Path, seconds: float, *,
    meter: Meter, tempo_bpm: float, sampling: Sampling, seed: int = 0,
) -> tuple[Measure, ...]:  # fmt: skip
    """Write whole measures of music from nothing, `seconds` long or a little more."""
    if not 0 < seconds < inf or not 20 <= tempo_bpm <= 400:
        raise ConfigError("generate: --seconds must be more than 0, and --bpm 20 to 400")
    measure_s = meter.steps * 60 / (tempo_bpm * STEPS_PER_BEAT)
    count = max(1, -int(-seconds // measure_s))
    voice.reset(meter)
    answers = [voice.answer(sampling, measure_seed(seed, n)) for n in range(count)]
    music = limit_polyphony(answers, sampling.max_polyphony)
    write_midi(out, (Track(MACHINE, measures_to_notes(music, tempo_bpm)),), tempo_bpm, meter)
    return music


def pair_up(sources: Sequence[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Each MIDI file of the sources, folders searched, with its place of the same name in `out`.

    Raises ConfigError where there is none, or two would be written to one place.
    """
    taken: dict[Path, Path] = {}
    for source in sources:
        files = sorted(source.rglob("*.mid*")) if source.is_dir() else [source]
        for file in files:
            place = out / (file.relative_to(source) if source.is_dir() else file.name)
            if place in taken:
                raise ConfigError(f"{file} and {taken[place]} would both be written to {place}")
            taken[place] = file
    if not taken:
        raise ConfigError(f"no MIDI files in {', '.join(map(str, sources))}")
    yield from ((file, place) for place, file in taken.items())
