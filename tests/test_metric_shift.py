"""Windows that begin half a measure later: the same music, elsewhere in the measure."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pianogen.dataset import NO_AUGMENTATION, Augmentation, Batch, Windows, half_measures
from pianogen.grid import Measure, Meter, Note
from pianogen.measure_rows import MeasureRows
from pianogen.shards import Shard
from tests.prepared import a_piece, as_rows

ALWAYS = replace(NO_AUGMENTATION, metric_shift=1.0)
OF_FOUR, OF_THREE, OF_SIX = Meter(4, 4), Meter(3, 4), Meter(6, 8)


def scale(count: int, meter: Meter) -> MeasureRows:
    """A note every 8 steps, a semitone higher each: its key tells where in the run it lies."""
    per = meter.steps // 8
    beats = [[Note(8 * b, 21 + per * n + b, 9, 8) for b in range(per)] for n in range(count)]
    return as_rows([Measure(meter, tuple(notes)) for notes in beats])


def windows(rows: MeasureRows, measures: int, how: Augmentation) -> Windows:
    shard = Shard(rows.notes, rows.measures, (a_piece("train", 0, rows),))
    return Windows(shard, steps=measures * 32, measures=measures, augmentation=how)


def heard(batch: Batch) -> list[tuple[int, int]]:
    """(time, key) of each note."""
    return list(zip(batch.notes.time.tolist(), batch.notes.key.tolist(), strict=True))


@pytest.mark.parametrize(
    ("meter", "half"),
    [("4/4", 16), ("2/2", 16), ("2/4", 8), ("12/8", 24), ("6/8", 12), ("6/4", 24),
     ("3/4", 0), ("9/8", 0), ("3/8", 0), ("5/4", 0), ("7/8", 0)],
)  # fmt: skip
def test_a_half_is_a_whole_number_of_beats(meter: str, half: int) -> None:
    rows = as_rows([Measure(Meter.parse(meter))])
    assert half_measures(rows.measures[:1]).tolist() == [half]


def test_a_window_begins_half_a_measure_later_and_is_as_long() -> None:
    drawn = windows(scale(5, OF_FOUR), 4, ALWAYS)
    late = [(8 * beat, beat + 2) for beat in range(16)]  # from the third beat of the run on
    last = [(8 * beat, beat + 4) for beat in range(16)]  # no measure follows it: as it is
    batches = [heard(drawn.batch(0, number)) for number in range(20)]
    assert late in batches
    assert last in batches
    assert all(batch in (late, last) for batch in batches)


@pytest.mark.parametrize(("count", "meter"), [(4, OF_FOUR), (8, OF_THREE)])
def test_nothing_moves_where_no_measure_follows_or_none_has_a_half(
    count: int, meter: Meter
) -> None:
    plain, late = (windows(scale(count, meter), 4, how) for how in (NO_AUGMENTATION, ALWAYS))
    assert all(heard(plain.batch(1, n)) == heard(late.batch(1, n)) for n in range(10))


def test_where_meters_mix_all_of_a_windows_measures_must_have_the_half() -> None:
    """3/4 and 6/8 are both 24 steps long and may lie in one run."""
    rows = scale(6, OF_SIX)
    rows.measures["numerator"][3:6], rows.measures["denominator"][3:6] = 3, 4
    mixed = windows(rows, 2, ALWAYS)
    (run,) = mixed.buckets[(24, 2)]
    assert [mixed._half(run, start, 2) for start in range(5)] == [12, 0, 0, 0, 0]


def test_a_chance_of_a_tenth_moves_about_a_tenth_and_the_same_each_time() -> None:
    rows = scale(12, OF_FOUR)
    some, again = (windows(rows, 2, replace(ALWAYS, metric_shift=0.1)) for _ in range(2))
    firsts = np.array([int(some.batch(0, n).notes.key[0]) for n in range(400)])
    assert 0.05 < (firsts % 4 == 2).mean() < 0.15
    assert torch.equal(some.batch(0, 7).notes.key, again.batch(0, 7).notes.key)
