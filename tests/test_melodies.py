"""Melodies that are typed come back carried on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pianogen.errors import ConfigError
from pianogen.families.symbols import (
    HOLD,
    MelodyConfig,
    Model,
    inputs_of,
    measures_of,
    read,
)
from pianogen.grid import KEYS, LOWEST_KEY, Meter
from pianogen.melodies import write_melody
from pianogen.midi_file import read_notes
from tests.music import tiny_hybrid
from tests.music import voice_of as tiny_voice
from tests.small_melodies import (
    EVERY,
    FREE,
    SCALE,
    heard,
    network,
    player_of,
    voice_of,
)

# --- typed melodies -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", EVERY)
def test_a_typed_melody_comes_back_carried_on_and_as_midi(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    text = write_melody(
        voice_of(network(model)), SCALE, out, measures=2, meter=Meter(), tempo_bpm=100.0,
        sampling=FREE, seed=4,
    )  # fmt: skip
    symbols = read(text)
    assert text.startswith(SCALE)
    assert len(symbols) == 4 * 16  # the begun measure and two more
    expected = [n.pitch for m in measures_of(symbols, Meter()) for n in m.notes]
    assert [note.pitch for note in read_notes(out)] == expected


def test_the_scale_heard_is_that_of_what_was_typed(tmp_path: Path) -> None:
    typed = "61 _ 63 _ 65 _ 66 _ 68 _ 70 _ 72 _ 73 _"  # Db major
    text = write_melody(
        voice_of(network("gru")), typed, tmp_path / "out.mid", measures=4, meter=Meter(),
        tempo_bpm=100.0, sampling=FREE, is_in_scale_heard=True,
    )  # fmt: skip
    drawn = [symbol + LOWEST_KEY for symbol in read(text)[16:] if symbol < KEYS]
    assert drawn
    assert {pitch % 12 for pitch in drawn} <= {1, 3, 5, 6, 8, 10, 0}


def test_density_counts_for_a_typed_melody_too(tmp_path: Path) -> None:
    made = network("gru")
    with torch.no_grad():
        made.get_parameter("model.out.bias")[HOLD] += 4.0  # as likely as a note
    counts = []
    for density in (0.25, 4.0):
        text = write_melody(
            voice_of(made), "60 _ _ _ 64 _ _ _ 67 _ _ _ 72 _ _ _", tmp_path / "out.mid", measures=4,
            meter=Meter(), tempo_bpm=100.0, sampling=replace(FREE, density=density),
        )  # fmt: skip
        counts.append(sum(symbol < KEYS for symbol in read(text)))
    assert counts[0] < counts[1]


def test_what_is_typed_is_heard_as_it_would_be_played() -> None:
    voice = heard("gru", list(measures_of(read(SCALE)[:16], Meter())))
    player = player_of(network("gru"))
    told = player.told(player.empty(Meter()), np.array(read(SCALE)[:16], np.int64))
    assert np.array_equal(told.line, voice.context.past.line)
    assert all(map(np.array_equal, told.state, voice.context.past.state))


def test_after_an_end_a_melody_begins_anew_on_the_measure_line(tmp_path: Path) -> None:
    def written(text: str) -> str:
        return write_melody(
            voice_of(network("gru")), text, tmp_path / "out.mid", measures=1, meter=Meter(),
            tempo_bpm=100.0, sampling=FREE, seed=4,
        )  # fmt: skip

    one, other = written("60 _ 62 _ /"), written("67 _ _ _ 72 _ /")
    assert one.split()[:5] == ["60", "_", "62", "_", "r"]
    assert len(one.split()) == 32
    assert one.split()[16:] == other.split()[16:]


def test_what_is_asked_of_a_typed_melody_is_checked(tmp_path: Path) -> None:
    voice = voice_of(network("gru"))
    for measures, tempo_bpm in ((0, 100.0), (1, 5.0)):
        with pytest.raises(ConfigError, match="--measures"):
            write_melody(
                voice, "60", tmp_path / "out.mid", measures=measures, meter=Meter(),
                tempo_bpm=tempo_bpm, sampling=FREE,
            )  # fmt: skip


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads"):
        MelodyConfig("lstm_attention", hidden=10, heads=8)
    with pytest.raises(ConfigError, match="shares"):
        MelodyConfig(dropout=1.0)
    with pytest.raises(ConfigError, match="model"):
        MelodyConfig("rnn")  # type: ignore[arg-type]
    assert inputs_of(np.zeros((1, 0), np.int64), 16).shape == (1, 1, 6)


def test_a_typed_melody_needs_a_voice_of_the_family(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="melody family"):
        write_melody(
            tiny_voice(tiny_hybrid()), "60", tmp_path / "out.mid", measures=1, meter=Meter(),
            tempo_bpm=100.0, sampling=FREE,
        )  # fmt: skip


def test_playing_needs_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; import pianogen.melodies"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
