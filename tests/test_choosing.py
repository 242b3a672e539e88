import numpy as np
import pytest
import torch

from pianogen.choosing import TRAITS, Draft, Phrase, choose
from pianogen.comparison import Context
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling
from pianogen.shards import Piece
from pianogen.weighing import DRAFTS, fit, gather, right
from tests.music import random_measures, tiny_hybrid, voice_of

NATS = (2.0, 20.0, 5.0, 5.0)


def melody(*pitches: int) -> Measure:
    """Quarter notes."""
    return Measure(Meter(), tuple(Note(8 * i, p, 16, 8) for i, p in enumerate(pitches)))


HEARD = [melody(60, 64, 67, 64), melody(60, 65, 69, 65), melody(60, 64, 67, 64)]


def traits(measure: Measure, nats: tuple[float, ...] = NATS) -> dict[str, float]:
    """The traits of a draft after `HEARD`, by name."""
    values = Phrase.of(HEARD).traits(Draft(measure, nats))
    return dict(zip(TRAITS, values.tolist(), strict=True))


def only(**weights: float) -> np.ndarray:
    """Weights of 0 but for the named traits."""
    return np.array([weights.get(name.replace(" ", "_"), 0.0) for name in TRAITS])


def test_a_measure_heard_before_is_like_it_in_every_way() -> None:
    again = traits(HEARD[1])
    for what in ("rhythm", "top moves", "bass moves", "classes", "pitches"):
        assert again[f"{what} like any"] == again[f"{what} repeated"] == 1.0
    assert again["pitches like the last"] == pytest.approx(1 / 4)  # the C alone
    for what in ("top pairs heard", "chords heard", "chord classes heard", "harmony like any"):
        assert again[what] == pytest.approx(1.0)
    assert all(again[what] == pytest.approx(0) for what in (*TRAITS[35:39], "low"))
    assert again["fuller"] == again["emptier"] == again["loudness"] == 0.0


def test_the_same_figure_higher_has_its_moves_and_its_rhythm_but_not_its_notes() -> None:
    higher = traits(melody(62, 66, 69, 66))
    assert higher["top moves repeated"] == higher["rhythm repeated"] == 1.0
    assert higher["pitches like any"] == pytest.approx(1 / 4)
    assert higher["chords heard"] == pytest.approx(1 / 4)  # the A alone
    assert higher["out of key"] > traits(HEARD[0])["out of key"]
    assert higher["low"] == pytest.approx(2 / 12)
    assert higher["loudness spread"] == 0.0
    assert higher["mean pitch"] == pytest.approx((65.75 - 192.25 / 3) / 12)


def test_a_silent_draft_is_empty_and_nothing_else_is_said_of_its_notes() -> None:
    silent = traits(Measure())
    assert silent["empty"] == 1.0
    assert silent["emptier"] == pytest.approx(np.log(5))
    assert silent["out of key"] == silent["pitches like any"] == 0.0


def test_surprise_is_by_the_note() -> None:
    assert traits(melody(60, 64, 67, 64))["surprise"] == pytest.approx(22 / 5)
    assert traits(melody(60, 64, 67, 64))["touch surprise"] == pytest.approx(10 / 5)


def test_a_draft_is_drawn_as_often_as_its_score_says() -> None:
    drafts = [Draft(melody(60, 64), NATS), Draft(Measure(), NATS)]
    rng = np.random.default_rng(0)
    picks = [choose(HEARD, drafts, only(empty=np.log(3)), rng.random(2)) for _ in range(2000)]
    assert np.mean(picks) == pytest.approx(0.75, abs=0.03)


def test_without_weights_every_draft_is_as_good() -> None:
    drafts = [Draft(melody(p), NATS) for p in (60, 62, 64)]
    rng = np.random.default_rng(1)
    picks = [choose(HEARD, drafts, only(), rng.random(3)) for _ in range(1500)]
    assert np.bincount(picks) / 1500 == pytest.approx([1 / 3] * 3, abs=0.04)


def test_a_phrase_may_be_empty_and_a_single_draft_is_taken() -> None:
    assert choose([], [Draft(melody(60), NATS)], only(), np.array([0.5])) == 0
    assert choose([], [Draft(melody(60), NATS), Draft(Measure(), NATS)], only(), np.ones(2)) == 0


def test_what_marks_the_true_measure_gets_the_weight() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(300, 1 + DRAFTS, len(TRAITS)))
    rows[:, 0, 4] += 2.0
    rows[..., 7] = 1.0  # never differs
    weights = fit(rows)
    assert np.argmax(np.abs(weights)) == 4
    assert weights[4] > 0.5
    assert weights[7] == 0.0
    assert right(rows, weights) > 0.5
    assert right(rows, -weights) < 1 / 9
    assert right(rows, np.zeros(len(TRAITS))) == pytest.approx(1 / 9)


def test_places_are_gathered_from_contexts_the_true_measure_first() -> None:
    piece = Piece("a.mid", "c", "score", "", "", "g", "train", "flat", "CC0", 1.0, 0, 12, 99, 24.0)
    measures = random_measures(12, seed=3)
    context = Context(piece, tuple(measures[:8]), tuple(measures[8:]))
    network = tiny_hybrid()
    rows = gather(voice_of(network), network, [context], Sampling(), seed=0)
    assert rows.shape == (2, 1 + DRAFTS, len(TRAITS))
    assert np.isfinite(rows).all()
    assert not np.array_equal(rows[0, 1], rows[0, 2])


def test_more_drafts_come_nearer_to_what_the_weights_ask() -> None:
    network = tiny_hybrid()
    with torch.no_grad():
        network.choice[TRAITS.index("empty")] = -100.0
        network.choice[TRAITS.index("fewer onsets")] = 100.0
    voice = voice_of(network)
    heard = random_measures(2, seed=4)
    played = {}
    for candidates in (1, 8):
        onsets = []
        for seed in range(6):
            voice.reset(Meter())
            for measure in heard:
                voice.listen(measure)
            answer = voice.answer(Sampling(candidates=candidates), seed)
            onsets.append(len({note.onset for note in answer.notes}))
        played[candidates] = np.mean(onsets)
    assert played[8] < played[1]
