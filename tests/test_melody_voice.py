"""The melody family as a voice: what it plays of what it heard, and what it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.families.melody import Melody
from pianogen.families.melody_beams import Follower, best_line
from pianogen.families.melody_drawing import Drawing, Line
from pianogen.families.melody_player import line_of
from pianogen.families.steering import Push
from pianogen.families.symbols import (
    END,
    HOLD,
    REST,
    Model,
    read,
    symbols_of,
)
from pianogen.families.under import with_lower_notes
from pianogen.generate import continuation
from pianogen.grid import KEYS, Measure, Meter, Note
from pianogen.losses import minimised
from pianogen.sampling import Sampling
from tests.made import line, measure
from tests.music import as_window, random_measures
from tests.small_melodies import (
    ALONE,
    EVERY,
    FREE,
    SIZES,
    heard,
    network,
    player_of,
    voice_of,
)

TUNE = (line((60, 62, 64, 65, 67, 67, 64, 62)), line((60, 64, 67, 72), every=8))

# --- the voice ----------------------------------------------------------------------------------

seeds = st.integers(0, 1000)
meters = st.sampled_from([Meter(4, 4), Meter(3, 4), Meter(7, 32), Meter(1, 32), Meter(4, 2)])


@settings(max_examples=30)
@given(st.sampled_from(EVERY), meters, seeds, st.integers(21, 100), st.sets(st.integers(0, 11)))
def test_a_melody_is_one_note_at_a_time_within_what_is_asked(
    model: Model, meter: Meter, seed: int, low: int, classes: set[int]
) -> None:
    sampling = replace(
        ALONE, low_pitch=low, high_pitch=min(low + 14, 108), pitch_classes=tuple(classes or {0, 7})
    )
    voice = heard(model, random_measures(3, seed, meter))
    music = [voice.answer(sampling, seed + n) for n in range(3)]
    placed = [(n * meter.steps + x.onset, x) for n, m in enumerate(music) for x in m.notes]
    assert all(low <= note.pitch <= low + 14 for _, note in placed)
    assert all(note.pitch % 12 in sampling.pitch_classes for _, note in placed)
    ends = [time + note.duration for time, note in placed]
    assert all(end <= later for end, (later, _) in zip(ends, placed[1:], strict=False))


@pytest.mark.parametrize("model", EVERY)
def test_it_is_the_same_again_and_from_a_mark(model: Model) -> None:
    voice = heard(model, random_measures(4, 5))
    mark = voice.mark()
    first = [voice.answer(FREE, seed) for seed in (1, 2, 3)]
    voice.rewind(mark)
    assert [voice.answer(FREE, seed) for seed in (1, 2, 3)] == first
    other = voice.another()
    other.reset(Meter())
    for each in random_measures(4, 5):
        other.listen(each)
    assert [other.answer(FREE, seed) for seed in (1, 2, 3)] == first


@pytest.mark.parametrize("model", EVERY)
def test_it_plays_after_nothing_silence_and_much(model: Model) -> None:
    crowd = Measure(Meter(), tuple(Note(n % 32, n, 9, 255) for n in range(128)))
    for music in ([], [Measure()] * 3, [crowd] * 2, [crowd] * 20):
        voice = voice_of(network(model))
        for each in music:
            voice.listen(each)
        assert all(len(voice.answer(ALONE, n).notes) <= 16 for n in range(3))


C_MAJOR = [(0, 72, 20, 16), (16, 76, 20, 16), (0, 48, 9, 8), (8, 55, 9, 8), (16, 48, 9, 16)]


@pytest.mark.parametrize(("count", "source"), [(1, 0), (3, 2), (4, 0), (6, 2)])
def test_the_lower_notes_of_four_measures_ago_go_on(count: int, source: int) -> None:
    music = [measure([(0, 80, 20, 32), (n, 40 + n, 9, 4)]) for n in range(1, count + 1)]
    melody = measure([(4, 70, 20, 8)])
    played = with_lower_notes(melody, music, FREE)
    assert played.notes == tuple(sorted((*melody.notes, music[source].notes[1]), key=_place))


def test_no_more_begin_at_once_than_may_sound() -> None:
    crowd = [measure([(0, pitch, 9, 4) for pitch in range(30, 70)])]
    melody = measure([(0, 90, 20, 4)])
    for most, kept in ((3, [90, 31, 30]), (32, [90, *range(38, 29, -1)])):
        asked = replace(FREE, max_polyphony=most)
        assert [n.pitch for n in with_lower_notes(melody, crowd, asked).notes] == kept


def _place(note: Note) -> tuple[int, int]:
    return note.onset, -note.pitch


def test_what_goes_on_is_below_the_melody_and_within_what_is_asked() -> None:
    heard_last = [measure(C_MAJOR)]
    melody = measure([(0, 50, 20, 12), (24, 70, 20, 8)])
    assert with_lower_notes(melody, heard_last, ALONE) == melody
    below = {n.pitch for n in with_lower_notes(melody, heard_last, FREE).notes} - {50, 70}
    assert below == {48}  # not the 55, which would lie above the 50
    higher = replace(FREE, low_pitch=50)
    assert with_lower_notes(measure([(0, 72, 20, 8)]), heard_last, higher).notes[1].pitch == 55
    only_g = replace(FREE, pitch_classes=(7,))
    assert [n.pitch for n in with_lower_notes(measure(), heard_last, only_g).notes] == [55]


def test_what_lies_beyond_the_keys_does_not_go_on() -> None:
    beyond = [measure([(0, 72, 20, 16), (0, 20, 9, 8), (8, 21, 9, 8)])]
    everywhere = replace(FREE, low_pitch=0, high_pitch=127)
    played = with_lower_notes(measure([(0, 60, 20, 4)]), beyond, everywhere)
    assert [note.pitch for note in played.notes] == [60, 21]


@pytest.mark.parametrize("model", EVERY)
def test_the_likeliest_is_as_loud_whatever_the_seed(model: Model) -> None:
    voice = heard(model, [measure([(0, 60, 4, 8), (15, 60, 28, 8)])])
    mark, asked = voice.mark(), replace(ALONE, velocity_temperature=5.0, decoding="max")
    first = voice.answer(asked, 0)
    assert first.notes
    for seed in range(1, 6):
        voice.rewind(mark)
        assert voice.answer(asked, seed) == first


def test_only_the_top_line_counts() -> None:
    tune = [*TUNE]
    below = [
        Measure(
            m.meter, (*m.notes, *(Note(n.onset, n.pitch - 24, 16, n.duration) for n in m.notes))
        )
        for m in tune
    ]
    one, other = heard("gru", tune), heard("gru", below)
    assert np.array_equal(one.context.past.line, other.context.past.line)
    assert all(map(np.array_equal, one.context.past.state, other.context.past.state))


def ringing(steps: int) -> Line:
    """A line of one note held over the measure line by so many steps, nothing drawn yet."""
    voice = heard("gru", [Measure(notes=(Note(28, 60, 9, 4 + steps),))])
    past = voice.context.past
    return Line(past.line, 16, past.over, 39)


def test_a_note_that_rings_a_little_over_the_line_is_let_ring() -> None:
    drawing = Drawing.of(FREE, Push(), Meter())
    logits = np.where(np.arange(91) == 50, 9.0, 0.0).astype(np.float32)
    now = ringing(6)
    drawn = []
    for _ in range(4):
        drawn.append(drawing.symbol(logits, now, np.array([0.5, 0.5])))
        now = now.then(drawn[-1])
    assert drawn == [HOLD, HOLD, HOLD, 50]


def test_what_does_not_sound_cannot_be_held_and_a_rest_not_begin_twice() -> None:
    drawing = Drawing.of(FREE, Push(), Meter())
    flat = np.zeros(91, np.float32)
    over = ringing(0)
    kinds = drawing.kinds(flat, over)
    assert np.isneginf(kinds).tolist() == [True, False, False]  # hold, rest, note
    kinds = drawing.kinds(flat, over.then(REST))
    assert np.isneginf(kinds).tolist() == [False, True, False]
    kinds = drawing.kinds(flat, Line(np.zeros(0, np.int64), 16, 0, END))
    assert np.isneginf(kinds).tolist() == [True, False, False]


@pytest.mark.parametrize("model", EVERY)
def test_more_beams_find_a_line_that_is_as_likely_or_likelier(model: Model) -> None:
    player, music = player_of(network(model)), random_measures(3, 5)
    past = player.empty(Meter())
    for each in music:
        past = player.heard(past, each)
    follower = Follower(player.model, Drawing.of(FREE, Push(), Meter()), (50, HOLD))
    noise = np.zeros(player.noises, np.float32)
    state = player.model.ready(past.state, past.line, 16, noise)
    begun = follower.followed(line_of(past), state)
    totals = []
    for width in (1, 40):
        best = best_line(follower, begun, width)
        assert best.line.drawn[:2] == (50, HOLD)
        assert len(best.line.drawn) == 16
        now, total = begun, 0.0
        for symbol in best.line.drawn:
            total += float(follower.scores(now)[0, symbol])
            now = follower.then(now, symbol)
        np.testing.assert_allclose(now.logits, best.logits, atol=1e-4)
        totals.append(total)
    assert totals[0] <= totals[1]


@pytest.mark.parametrize("model", EVERY)
def test_density_brings_more_notes_or_fewer(model: Model) -> None:
    music = [line((60, 64, 67, 72), every=8)] * 4
    counts = []
    for density in (0.25, 1.0, 4.0):
        made = network(model)
        with torch.no_grad():
            made.get_parameter("model.out.bias")[HOLD] += 4.0  # as likely as a note
        asked = replace(FREE, density=density)
        answers = [continuation(voice_of(made), music, 1, asked, seed) for seed in range(6)]
        counts.append(sum(len(answer[0].notes) for answer in answers))
    assert counts[0] < counts[1] < counts[2]


# --- repetition ---------------------------------------------------------------------------------


def after(text: str) -> Line:
    """A melody so far, from a measure line on."""
    symbols = np.array(read(text), np.int64)
    return Line(symbols, 16, 16, 39)


def test_a_figure_is_known_by_its_pitches_and_times() -> None:
    known = after("60 _ 62 64 _ 65 r r 60 _ 62 64 _").known()
    assert [known[pitch - 21] for pitch in (65, 64, 60)] == [3, 0, 0]
    other_times = after("60 _ 62 64 _ 65 r r 60 62 _ 64 _").known()
    assert other_times[65 - 21] == 1  # the 64 before it alone
    assert after("60 _ 62 64 _ 65 r r 60 _ 62 64").known()[65 - 21] == 0  # too soon


@given(st.lists(st.sampled_from([60, 62, 64]), min_size=1, max_size=40))
def test_what_is_known_is_found_as_by_hand(keys: list[int]) -> None:
    counts = np.zeros(KEYS, int)
    for place in range(len(keys)):
        same = 0
        while same < min(place, 8) and keys[place - 1 - same] == keys[len(keys) - 1 - same]:
            same += 1
        counts[keys[place]] = max(counts[keys[place]], same)
    told = Line(np.array(keys, np.int64), 16, 16, 39).known()
    assert told.tolist() == counts.tolist()


def test_a_penalty_costs_by_the_length_of_what_would_come_again() -> None:
    logits, now = np.zeros(91, np.float32), after("60 _ 62 64 _ 65 r r 60 _ 62 64 _")
    asked = replace(FREE, repetition_penalty=2.0)
    keys = Drawing.of(asked, Push(), Meter()).keys(logits, now)
    assert keys[65 - 21] == pytest.approx(-2 * np.log(2))
    assert np.count_nonzero(keys) == 1


def test_a_penalty_breaks_a_tune_that_goes_round(tmp_path: Path) -> None:
    plain = _share_again(Sampling(decoding="max"))
    held_back = _share_again(Sampling(decoding="max", repetition_penalty=4.0))
    assert plain > 0.9
    assert held_back < plain - 0.2


def _share_again(sampling: Sampling) -> float:
    """Of a tune learnt by heart that goes round for ever: how many of its notes come again."""
    notes = as_window([*TUNE, *TUNE])
    torch.manual_seed(1)
    made = Melody(replace(SIZES["gru"], embedding=16, hidden=32, layers=1, dropout=0.0))
    optimiser = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(40):
        made.zero_grad()
        loss = minimised(made.losses(notes, torch.ones(1)), made.WEIGHTS)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    music = [*TUNE, *TUNE]
    answer = continuation(voice_of(made.eval()), music, 4, sampling, seed=0)
    before = symbols_of(music).tolist()
    seen, again = set(), []
    keys = [s for s in [*before, *symbols_of(answer).tolist()] if s < KEYS]
    for place in range(3, len(keys)):
        figure = tuple(keys[place - 3 : place + 1])
        if place >= sum(s < KEYS for s in before):
            again.append(figure in seen)
        seen.add(figure)
    return sum(again) / len(again)
