import pytest
import torch

from pianogen.families.features import Features, History, classes, spread
from pianogen.families.flat_notes import Notes, duration_classes
from pianogen.families.sizes import DURATIONS, key_of
from pianogen.families.touches import as_shares, memory_at
from pianogen.grid import KEYS, Measure, Meter, Note
from tests.music import as_window, random_measures


@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(3, 4), Meter(5, 8)])
def test_a_measure_at_a_time_gives_what_the_whole_window_gives(meter: Meter) -> None:
    measures = random_measures(6, seed=1, meter=meter)
    notes = as_window(measures)
    whole = Features.of(notes)
    history = History.empty(meter.steps, torch.device("cpu"))
    zero = torch.zeros(meter.steps, dtype=torch.long)
    for number, measure in enumerate(measures):
        own = as_window([measure])
        here = Features.of(own, history)
        at = slice(number * meter.steps, (number + 1) * meter.steps)
        for name in ("onset", "sounding", "held", "latest", "rhythm", "harmony", "level"):
            torch.testing.assert_close(getattr(here, name)[0], getattr(whole, name)[0, at])
        time = torch.arange(meter.steps)
        torch.testing.assert_close(
            here.planes_at(zero, time), whole.planes_at(zero, time + at.start)
        )
        history = history.after(own, here)


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
    nearest = duration_classes(torch.device("cpu"))
    assert [DURATIONS[i] for i in nearest[[1, 16, 17, 33, 255]].tolist()] == [1, 16, 16, 32, 192]
    assert len(DURATIONS) == 32


def remembered(notes: Notes) -> torch.Tensor:
    """What each note remembers of those before it and above it."""
    return as_shares(memory_at(notes, notes.window, notes.time, notes.key, chord=True))


def test_the_memory_of_measures_is_that_of_their_notes() -> None:
    measures = random_measures(4, seed=9)
    notes = as_window(measures)
    history = History.empty(32, torch.device("cpu"))
    for measure in measures:
        own = as_window([measure])
        history = history.after(own, Features.of(own, history))
    key = torch.arange(KEYS)
    there = torch.zeros_like(key)
    near = torch.exp(-(key[:, None] - key).abs() / 5.0)
    expected = memory_at(notes, there, there + notes.length, key)
    torch.testing.assert_close((near @ history.memory).transpose(0, 1), expected)


def test_what_is_remembered_of_one_loudness_is_that_loudness() -> None:
    measures = [Measure(Meter(), tuple(Note(step, 60, 17, 4) for step in range(0, 32, 4)))]
    shares = remembered(as_window(measures)).exp()
    assert (shares[1:, :, 17] > 0.8).all()
    assert shares[0, 0, :32].max() < 0.04  # nothing was heard: none is likelier
