"""The contract of a voice, kept by every checkpoint that ships, whatever its family."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import inf
from random import Random

import pytest

from bridge.events import Ask, ControlChange, ProgramChange
from bridge.repertoire import Repertoire
from bridge.wire import Request, unpack_measure
from pianogen.checkpoint import family_of, load, load_continuation
from pianogen.commands.playing import MODELS
from pianogen.continuation import Continuation
from pianogen.family import FAMILIES
from pianogen.grid import Measure, Meter, Note
from pianogen.keys import parse_scale
from pianogen.presets import preset_of, read_voicing
from pianogen.sampling import Sampling
from pianogen.shipped import shipped
from tests.made import line, measure
from tests.stage import BEGIN, clock, perform, play, preset, seconds

MOST_MB = 40  # of all that ship together
FREE = Sampling(0.9, 0.8, 0.9, 1.0, min_p=0.01, max_polyphony=10)
HEARD = tuple(line([60 + n, 64 + n, 67 + n, 72 + n] * 2) for n in (0, 7, 0))

every_checkpoint = pytest.mark.parametrize("name", tuple(shipped()))


@cache
def model(name: str) -> Continuation:
    """A checkpoint, loaded once."""
    return load_continuation(name)


def after(name: str, heard: Sequence[Measure]) -> Continuation:
    """A voice that has heard these measures."""
    voice = model(name).another()
    voice.reset(heard[0].meter)
    for one in heard:
        voice.listen(one)
    return voice


def answers(
    voice: Continuation, count: int, sampling: Sampling = FREE, seed: int = 0
) -> list[Measure]:
    return [voice.answer(sampling, seed + n) for n in range(count)]


def notes_of(measures: Sequence[Measure]) -> list[Note]:
    return [note for measure in measures for note in measure.notes]


@every_checkpoint
def test_it_says_whose_it_is_and_under_which_licence(name: str) -> None:
    checkpoint = load(name)
    assert checkpoint.family in FAMILIES
    assert name in ("default", checkpoint.family) or name.startswith(f"{checkpoint.family}-")
    assert checkpoint.extra["licence"].startswith("CC")
    assert checkpoint.extra["attribution"]


def test_together_they_are_small() -> None:
    assert sum(file.stat().st_size for file in shipped().values()) < MOST_MB * 1e6


@every_checkpoint
def test_it_plays_without_torch(name: str) -> None:
    code = (
        "import sys; from pianogen.checkpoint import load_continuation\n"
        "from pianogen.sampling import Sampling\n"
        f"load_continuation({name!r}).answer(Sampling(), 0)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@every_checkpoint
def test_the_same_is_answered_to_the_same(name: str) -> None:
    once = answers(after(name, HEARD), 2)
    assert answers(after(name, HEARD), 2) == once
    assert answers(after(name, HEARD), 2, seed=100) != once
    assert notes_of(once)


@every_checkpoint
def test_what_was_heard_before_a_reset_is_forgotten(name: str) -> None:
    voice = after(name, [line([40, 42, 45] * 2), *answers(after(name, HEARD), 1)])
    voice.reset(HEARD[0].meter)
    for one in HEARD:
        voice.listen(one)
    assert answers(voice, 2) == answers(after(name, HEARD), 2)


@every_checkpoint
def test_an_answer_is_context_as_if_it_had_been_heard(name: str) -> None:
    voice = after(name, HEARD)
    first, second = answers(voice, 2)
    assert after(name, [*HEARD, first]).answer(FREE, 1) == second


@every_checkpoint
def test_it_goes_back_to_where_it_was_marked(name: str) -> None:
    voice = after(name, HEARD)
    mark = voice.mark()
    once = answers(voice, 2)
    voice.listen(measure())
    voice.rewind(mark)
    assert answers(voice, 2) == once


@every_checkpoint
def test_another_voice_has_heard_nothing_and_disturbs_nobody(name: str) -> None:
    voice = after(name, HEARD)
    other = voice.another()
    other.reset(Meter())
    alone = answers(after(name, [measure()]), 1)
    other.listen(measure())
    assert answers(other, 1) == alone
    assert answers(voice, 2) == answers(after(name, HEARD), 2)


@every_checkpoint
def test_several_at_once_answer_as_each_would_alone(name: str) -> None:
    heard = [HEARD, HEARD[:1], (measure(), *HEARD[2:])]
    wishes = [(after(name, one), FREE, seed) for seed, one in enumerate(heard)]
    together = model(name).answer_all(wishes)
    assert together == [after(name, one).answer(FREE, seed) for seed, one in enumerate(heard)]


@every_checkpoint
@pytest.mark.parametrize(
    "meter", [Meter(), Meter(3, 4), Meter(7, 8), Meter(6, 8), Meter(1, 8), Meter(4, 2)], ids=str
)
def test_it_plays_in_every_meter_whatever_it_hears(name: str, meter: Meter) -> None:
    random = Random(meter.steps)
    cluster = tuple(
        Note(random.randrange(meter.steps), pitch, random.randrange(32), random.randint(1, 255))
        for pitch in range(128)
    )
    heard = [Measure(meter), Measure(meter, cluster), Measure(meter, cluster[60:62])]
    for one in answers(after(name, heard), 2):
        assert one.meter == meter
        places = [(note.onset, note.pitch) for note in one.notes]
        assert len(set(places)) == len(places)
        assert all(21 <= note.pitch <= 108 and note.onset < meter.steps for note in one.notes)
        onsets = [note.onset for note in one.notes]
        assert all(onsets.count(onset) <= 10 for onset in onsets)


@every_checkpoint
@pytest.mark.parametrize("most", [1, 2])
def test_no_more_begin_on_one_step_than_may_sound(name: str, most: int) -> None:
    few = replace(FREE, max_polyphony=most, density=4.0)
    for one in answers(after(name, HEARD), 3, few):
        onsets = [note.onset for note in one.notes]
        assert all(onsets.count(onset) <= most for onset in onsets)


@every_checkpoint
@pytest.mark.parametrize("decoding", ["sample", "max", "beam"])
def test_it_stays_in_range_and_scale_however_it_decides(name: str, decoding: str) -> None:
    classes = parse_scale("c# minor pentatonic")
    within = replace(
        FREE, low_pitch=50, high_pitch=70, pitch_classes=classes, decoding=decoding, candidates=2
    )
    played = notes_of(answers(after(name, HEARD), 3, within))
    assert all(50 <= note.pitch <= 70 and note.pitch % 12 in classes for note in played)


@every_checkpoint
def test_the_likeliest_is_the_same_whatever_the_seed(name: str) -> None:
    likeliest = replace(FREE, decoding="max")
    once = answers(after(name, HEARD), 2, likeliest)
    assert answers(after(name, HEARD), 2, likeliest, seed=50) == once


@every_checkpoint
@pytest.mark.parametrize("decoding", ["sample", "max"])
def test_density_is_more_or_fewer_notes(name: str, decoding: str) -> None:
    def count(density: float) -> int:
        asked = replace(FREE, density=density, decoding=decoding)
        return len(notes_of(answers(after(name, HEARD), 4, asked)))

    assert count(0.25) < count(1.0) < count(4.0)


@every_checkpoint
def test_a_program_change_brings_another_family_in_the_midst_of_playing(name: str) -> None:
    repertoire = Repertoire(lambda name, **_: model(name).another(), "cpu", Meter())
    for checkpoint in {"default", name}:
        repertoire.load(checkpoint, None)
    asked = list[str]()

    def ask(ask: Ask) -> Measure | None:
        asked.append(ask.checkpoint)
        in_time = replace(ask, deadline=inf, wanted_by=inf)
        return unpack_measure(repertoire.answer(Request.of(in_time)).measure or b"")

    of_both = ("default", name)
    presets = [
        preset(number, mode="continue", on_interruption="overlap", candidates=1, checkpoint=whose)
        for number, whose in enumerate(of_both)
    ]
    call = play("| c4 e4 g4 c5 |")
    hand_over = ControlChange(BEGIN + seconds(3), 0, 22, 127)
    change = ProgramChange(BEGIN + seconds(9), 0, 1)
    done = perform(
        [*clock(20, stops=True), *call, hand_over, change], ask=ask, presets=presets,
        until=BEGIN + seconds(21),
    )  # fmt: skip
    done.assert_whole()
    assert (asked[0], asked[-1]) == of_both
    assert done.status.measures_answered == 5
    assert any(onset >= 12 for onset, _ in done.notes())


def test_every_family_ships_a_checkpoint_and_has_a_preset_that_plays_it() -> None:
    assert {family_of(name) for name in shipped()} == set(FAMILIES)
    for family in FAMILIES:
        assert family_of(read_voicing(preset_of(family)).checkpoint) == family


def test_every_model_of_the_melody_ships() -> None:
    assert {f"melody-{model}" for model in MODELS} <= set(shipped())
