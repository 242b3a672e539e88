import pytest
import torch

from pianogen.families.features import (
    DURATIONS,
    Features,
    classes,
    duration_classes,
    key_of,
    remembered,
    spread,
)
from pianogen.families.history import History
from pianogen.grid import KEYS, Measure, Meter, Note
from tests.music import as_window, random_measures


@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(3, 4), Meter(5, 8)])
def test_a_step_at_a_time_gives_what_the_whole_window_gives(meter: Meter) -> None:
    measures = random_measures(6, seed=1, meter=meter)
    notes = as_window(measures)
    whole = Features.of(notes)
    history = History(meter.steps, torch.device("cpu"))
    zero = torch.zeros(notes.length, dtype=torch.long)
    planes = whole.planes_at(zero, torch.arange(notes.length))
    for t in range(notes.length):
        torch.testing.assert_close(history.planes(), planes[t])
        torch.testing.assert_close(history.rhythm(), whole.rhythm[0, t])
        torch.testing.assert_close(history.harmony(), whole.harmony[0, t])
        torch.testing.assert_close(history.held, whole.held[0, t])
        now = notes.time == t
        history.play(notes.key[now], notes.velocity[now], notes.duration[now])


def test_a_copy_of_a_history_goes_its_own_way() -> None:
    history = History(32, torch.device("cpu"))
    other = history.copy()
    other.play(torch.tensor([40]), torch.tensor([16]), torch.tensor([8]))
    assert history.held.sum() == 0
    assert other.held.nonzero().flatten().tolist() == [40]


def test_what_a_step_reads_is_from_before_it() -> None:
    measures = random_measures(4, seed=2)
    notes = as_window(measures)
    whole = Features.of(notes)
    for t in (0, 7, 31, 32, 60):
        past = notes.time < t
        kept = [getattr(notes, name)[past] for name in ("window", "time", "key")]
        rest = [getattr(notes, name)[past] for name in ("velocity", "duration")]
        before = Features.of(type(notes)(1, 4, 32, *kept, *rest))
        here = (torch.tensor([0]), torch.tensor([t]))
        assert torch.equal(whole.planes_at(*here), before.planes_at(*here))
        assert torch.equal(whole.rhythm[0, t], before.rhythm[0, t])
        assert torch.equal(whole.harmony[0, t], before.harmony[0, t])
        assert torch.equal(whole.held[0, t], before.held[0, t])


def test_keys_beyond_the_piano_come_back_by_octaves() -> None:
    assert [key_of(pitch) for pitch in (21, 108, 20, 109, 0)] == [0, 87, 11, 76, 3]


def test_classes_and_spread_are_of_one_mind() -> None:
    x = torch.zeros(KEYS)
    x[[3, 15, 40]] = 1.0
    assert classes(x).tolist() == [0, 0, 0, 2, 1] + [0] * 7
    assert spread(classes(x))[[3, 27, 87]].tolist() == [2, 2, 2]


def test_every_duration_has_its_nearest_class() -> None:
    nearest = duration_classes()
    assert [DURATIONS[i] for i in nearest[[1, 16, 17, 33, 255]].tolist()] == [1, 16, 16, 32, 192]
    assert len(DURATIONS) == 32


def test_a_note_remembers_what_was_played_near_it_before_and_above() -> None:
    notes = as_window(random_measures(4, seed=9))
    whole = remembered(notes)
    history = History(32, torch.device("cpu"))
    number = 0
    for t in range(notes.length):
        now = (notes.time == t).nonzero().flatten()
        chord: list[tuple[int, int, int]] = []
        for i in now.tolist():
            key = int(notes.key[i])
            torch.testing.assert_close(history.remembered(key, chord), whole[i])
            chord.append((key, int(notes.velocity[i]), int(duration_classes()[notes.duration[i]])))
            number += 1
        history.play(notes.key[now], notes.velocity[now], notes.duration[now])
    assert number == len(notes.key)


def test_what_is_remembered_of_one_loudness_is_that_loudness() -> None:
    measures = [Measure(Meter(), tuple(Note(step, 60, 17, 4) for step in range(0, 32, 4)))]
    shares = remembered(as_window(measures)).exp()
    assert (shares[1:, :, 17] > 0.8).all()
    assert shares[0, 0, :32].max() < 0.04  # nothing was heard: none is likelier
