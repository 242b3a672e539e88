"""Real continuations against others: what is told, what is not, and by what."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from pianogen.character import Sheet
from pianogen.comparison import Context, Music
from pianogen.errors import ConfigError
from pianogen.grid import Measure, Note
from pianogen.likeness import Heard, likeness
from pianogen.report import LABEL, WIDTH
from pianogen.two_sample import TREES, Listener, area, nudge, two_sample
from tests.made import C_MAJOR, line, measure, piece

PIECES, CONTEXTS = 10, 50
ABSOLUTE = {"pitch", "highest", "lowest", "top", "bass"}  # where the music lies, in MIDI pitches


def made(number: int) -> Context:
    """Twelve measures over one bass, in C major, at places that each piece has its own of."""
    random = Random(number)
    places = sorted(Random(number % PIECES).sample(range(0, 32, 2), 8))
    bass = [(at, p, 12, 8) for at, p in ((0, 48), (8, 43), (16, 45), (24, 43))]
    music = tuple(
        measure([(at, random.choice(C_MAJOR), random.randint(14, 18), 2) for at in places] + bass)
        for _ in range(12)
    )
    return Context(piece(str(number % PIECES), "validation"), music[:8], music[8:])


def moved(music: Sequence[Measure], semitones: int) -> Music:
    return tuple(
        replace(m, notes=tuple(replace(n, pitch=n.pitch + semitones) for n in m.notes))
        for m in music
    )


def alone(music: Music) -> Music:
    """One note at a time, always as loud, so that much of what could be asked has no answer."""
    return tuple(
        replace(m, notes=tuple({n.onset: replace(n, velocity_bin=16) for n in m.notes}.values()))
        for m in music
    )


@pytest.fixture(scope="module")
def contexts() -> list[Context]:
    return [made(number) for number in range(CONTEXTS)]


@pytest.fixture(scope="module")
def listener(contexts: list[Context]) -> Listener:
    return Listener(contexts)


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, "max_iter", 10)


# --- nudging ------------------------------------------------------------------------------------


def test_music_of_one_voice_is_told_by_what_there_is_to_say_of_it(few_trees: None) -> None:
    places = [replace(c, heard=alone(c.heard), real=alone(c.real)) for c in map(made, range(50))]
    up = [moved(place.real, 12) for place in places]
    assert Listener(places).tell(up).area.mean > 0.9


def test_a_fifth_of_the_pitches_moves_by_one_or_two() -> None:
    music = tuple(line([60 + 5 * n for n in range(8)]) for _ in range(5))
    other = nudge(music, np.random.default_rng(0))
    before, after = ([note for m in measures for note in m.notes] for measures in (music, other))
    pairs = list(zip(before, after, strict=True))
    moves = [b.pitch - a.pitch for a, b in pairs]
    assert sum(move != 0 for move in moves) == 8
    assert {abs(move) for move in moves} == {0, 1, 2}
    assert [replace(b, pitch=a.pitch) for a, b in pairs] == [a for a, _ in pairs]
    assert other == nudge(music, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(5))
def test_nudged_notes_stay_on_the_piano_and_apart(seed: int) -> None:
    edges = measure((0, p, 16, 4) for p in (*range(21, 31), *range(99, 109)))
    (other,) = nudge((edges,), np.random.default_rng(seed))
    assert len(other.notes) == len(edges.notes)  # a measure keeps one note a pitch and step
    assert all(21 <= note.pitch <= 108 for note in other.notes)


# --- the area -----------------------------------------------------------------------------------


def test_the_area_counts_pairs_in_order_and_ties_by_half() -> None:
    is_other = np.array([False, True, False, True])
    once = np.ones((1, 4), np.int64)
    assert area(np.array([0.1, 0.9, 0.2, 0.8]), is_other, once) == 1
    assert area(np.array([0.9, 0.1, 0.8, 0.2]), is_other, once) == 0
    assert area(np.array([0.5, 0.5, 0.5, 0.5]), is_other, once) == 0.5
    assert area(np.array([0.1, 0.3, 0.4, 0.5]), is_other, once) == 0.75


def test_a_weight_counts_as_often_as_it_says() -> None:
    scores, is_other = np.array([0.1, 0.3, 0.4, 0.5]), np.array([False, True, False, True])
    weights = np.array([[3, 1, 2, 2], [1, 0, 1, 0]])
    again = np.repeat(np.arange(4), weights[0])
    by_weight = area(scores, is_other, weights)
    whole = area(scores[again], is_other[again], np.ones((1, len(again)), np.int64))
    assert by_weight[0] == whole[0]
    assert math.isnan(by_weight[1])  # none of the other kind was drawn


# --- telling ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_trees")
def test_the_real_ones_cannot_be_told_from_themselves(
    contexts: list[Context], listener: Listener
) -> None:
    told = listener.tell([context.real for context in contexts])
    assert told.area.mean == pytest.approx(0.5)
    assert told.area.count == CONTEXTS


@pytest.mark.usefixtures("few_trees")
def test_two_halves_of_the_real_ones_are_told_by_chance_alone(listener: Listener) -> None:
    areas = [listener.tell_halves(seed).mean for seed in (0, 1)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.1)
    assert areas[0] != areas[1]  # each seed draws its own halves


def test_wrong_notes_are_told_and_by_their_pitches(
    contexts: list[Context], listener: Listener
) -> None:
    rng = np.random.default_rng(0)
    told = listener.tell([nudge(context.real, rng) for context in contexts])
    assert told.area.low > 0.9
    assert not any(name.startswith(("gap", "length", "places", "velocit")) for name in told.by)
    areas = [values[0] for values in told.by.values()]
    assert areas == sorted(areas, reverse=True)
    assert len(areas) == 10


def test_another_rhythm_than_was_heard_is_told(contexts: list[Context], listener: Listener) -> None:
    swapped = [*contexts[1:], contexts[0]]  # each from another piece
    told = listener.tell([context.real for context in swapped])
    assert told.area.low > 0.9


@pytest.mark.usefixtures("few_trees")
def test_contexts_without_an_answer_are_left_out(
    contexts: list[Context], listener: Listener
) -> None:
    missing = [None if n < 5 else context.real for n, context in enumerate(contexts)]
    assert listener.tell(missing).area.count == CONTEXTS - 5


def test_few_contexts_say_nothing(contexts: list[Context]) -> None:
    few = contexts[:20]
    estimate = Listener(few).tell([context.real for context in few]).area
    assert math.isnan(estimate.mean)
    assert estimate.count == 20


@pytest.mark.usefixtures("few_trees")
def test_the_same_seed_tells_the_same(contexts: list[Context], listener: Listener) -> None:
    answers = [moved(context.real, 1) for context in contexts]
    once, again = listener.tell(answers, seed=4), listener.tell(answers, seed=4)
    assert once.area == again.area
    assert once.by == again.by


@pytest.mark.usefixtures("few_trees")
def test_the_tables_hold_everyone_and_fit_the_page(contexts: list[Context]) -> None:
    answers: dict[str, list[Music | None]] = {
        "real": [context.real for context in contexts],
        "model": [moved(context.real, 1) for context in contexts],
    }
    tables = two_sample(contexts, answers, seed=0)
    (column,) = tables["two samples"].as_dict().values()
    assert list(column) == ["model", "real, nudged", "repeat the last 4", "real against real"]
    assert set(tables["what gives it away"].as_dict()) == {"AUC alone", "real", "model"}
    text = "\n".join(map(str, tables.values()))
    assert max(map(len, text.splitlines())) <= WIDTH


def test_without_scikit_learn_one_line_says_what_to_install(
    contexts: list[Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"pip install 'pianogen\[train\]'"):
        two_sample(contexts, {}, seed=0)


# --- the numbers --------------------------------------------------------------------------------


def test_a_measure_played_again_is_an_exact_repeat(contexts: list[Context]) -> None:
    context = contexts[0]
    again = likeness(Heard.of(context.heard), context.heard[-4:])
    for name in ("rhythm", "moves", "classes", "pitches", "harmony"):
        assert again[f"{name}: exact repeats"] == 1
        assert again[f"{name}: like 4 before"] == pytest.approx(1)
    assert again["pitches heard"] == again["chords heard, to the pitch"] == 1
    assert again["pitch classes new"] == 0


def test_where_all_of_it_is_moved_only_where_it_lies_changes(contexts: list[Context]) -> None:
    context = contexts[3]
    here = likeness(Heard.of(context.heard), context.real)
    there = likeness(Heard.of(moved(context.heard, 3)), moved(context.real, 3))
    assert {n for n in here if there[n] != pytest.approx(here[n], nan_ok=True)} == ABSOLUTE


def test_a_continuation_in_another_key_shares_less(contexts: list[Context]) -> None:
    heard, real = Heard.of(contexts[0].heard), contexts[0].real
    right, wrong = likeness(heard, real), likeness(heard, moved(real, 1))
    for name in ("pitch classes shared", "in the key heard", "chance by beat", "chords heard"):
        assert wrong[name] < right[name]
    assert wrong["scale fit"] == right["scale fit"]  # by itself nothing is wrong with it


def test_a_clash_is_a_semitone_from_what_sounds() -> None:
    heard = Heard.of([line([60, 64, 67, 72])] * 8)
    clean = [measure([(0, 60, 16, 32), (8, 67, 16, 8)])] * 4
    sharp = [measure([(0, 60, 16, 32), (8, 73, 16, 8)])] * 4
    assert likeness(heard, clean)["clash with what sounds"] == 0
    assert likeness(heard, sharp)["clash with what sounds"] == 0.5
    assert likeness(heard, sharp)["sounding, minor ninth"] == 1


def test_a_key_struck_again_sounds_once() -> None:
    sheet = Sheet.of([Measure(notes=(Note(0, 60, 16, 30), Note(4, 60, 16, 4)))])
    assert sheet.music.duration.tolist() == [4, 4]
    assert sheet.sounds.sum() == 8


def test_silence_and_single_notes_have_numbers_too(contexts: list[Context]) -> None:
    heard = Heard.of(contexts[0].heard)
    names = set(likeness(heard, contexts[0].real))
    assert max(map(len, names)) <= LABEL
    assert likeness(heard, [Measure()] * 4)["silent steps"] == 1
    assert set(likeness(heard, [line([60]), *[Measure()] * 3])) == names
    assert likeness(Heard.of([Measure()] * 8), contexts[0].real)["pitches heard"] == 0
