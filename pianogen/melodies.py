"""A melody that was typed, carried on: what `pianogen melody` does.

The notation is that of `families.symbols`. It begins on a measure line; where it ends in the
middle of a measure the rest of it is the machine's. After `/` the machine begins a melody anew.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pianogen.continuation import Continuation
from pianogen.errors import ConfigError
from pianogen.families.melody_player import MelodyPlayer, push_of_line
from pianogen.families.symbols import HOLD, REST, cells_of, is_ended, measures_of, read, written
from pianogen.families.voice import Voice
from pianogen.generate import MACHINE
from pianogen.grid import Meter
from pianogen.keys import heard_scale
from pianogen.midi_file import Track, measures_to_notes, write_midi
from pianogen.sampling import Sampling, measure_seed


def write_melody(
    voice: Continuation, seed_text: str, out: Path, *,
    measures: int, meter: Meter, tempo_bpm: float, sampling: Sampling,
    is_in_scale_heard: bool = False, seed: int = 0,
) -> str:  # fmt: skip
    """Carry a typed melody on by so many measures (the rest of one it ends in comes on top), write
    all of it as MIDI, and return all of it in the same notation.

    Where it is to be in the scale heard, that of what was typed is drawn from. Raises
    ConfigError for a melody that cannot be read, and a voice of another family.
    """
    player = _player(voice)
    if measures < 1 or not 20 <= tempo_bpm <= 400:
        raise ConfigError("melody: --measures must be at least 1, and --bpm 20 to 400")
    typed = heard = read(seed_text)
    if is_ended(seed_text):
        typed, heard = _filled_up(typed, cells_of(meter.steps)), ()
    if is_in_scale_heard:
        classes = heard_scale(measures_of(typed, meter))
        sampling = replace(sampling, pitch_classes=classes)
    symbols = [*typed, *_carried_on(player, heard, measures, meter, sampling, seed)]
    music = measures_of(symbols, meter)
    write_midi(out, (Track(MACHINE, measures_to_notes(music, tempo_bpm)),), tempo_bpm, meter)
    return written(symbols)


def _player(voice: Continuation) -> MelodyPlayer:
    if isinstance(voice, Voice) and isinstance(voice.player, MelodyPlayer):
        return voice.player
    raise ConfigError("a typed melody needs a checkpoint of the melody family")


def _carried_on(
    player: MelodyPlayer, typed: tuple[int, ...], measures: int, meter: Meter,
    sampling: Sampling, seed: int,
) -> list[int]:  # fmt: skip
    """The symbols that follow what was typed."""
    cells = cells_of(meter.steps)
    whole = len(typed) // cells * cells
    past = player.empty(meter)
    for first in range(0, whole, cells):
        past = player.told(past, np.array(typed[first : first + cells], np.int64))
    push = push_of_line(sampling, measures_of(typed[:whole], meter), past)
    begun, line = typed[whole:], list(typed[:whole])
    for number in range(measures + bool(begun)):
        rng = np.random.default_rng(measure_seed(seed, number))
        symbols = player.carried_on(past, sampling, rng, begun=begun, push=push)
        past, begun = player.told(past, np.array(symbols, np.int64)), ()
        line += symbols
    return line[len(typed) :]


def _filled_up(symbols: tuple[int, ...], cells: int) -> tuple[int, ...]:
    """The same, with a rest up to the measure line."""
    short = -len(symbols) % cells
    return (*symbols, *((REST, *[HOLD] * (short - 1)) if short else ()))
