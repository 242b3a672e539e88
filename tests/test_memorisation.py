"""What stands in the training music already: runs whose length is known by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pianogen.grid import Measure, Meter
from pianogen.memorisation import Line, Notes, Training, longest_runs
from tests.made import line, measure
from tests.music import random_measures
from tests.prepared import as_rows

SCALE = [line([60, 62, 64, 65, 67, 69, 71, 72]), line([74, 72, 71, 69, 67, 65, 64, 62])]
ELSEWHERE = [line([40, 47, 41, 48, 42, 49, 43, 50])]
SILENCE: list[Measure] = [Measure()]
ANY, NEW = 0, 1


def copied(
    answer: Sequence[Measure], training: Sequence[Measure], heard: Sequence[Measure] = SILENCE
) -> dict[str, list[int]]:
    """Way of looking -> notes in the longest run, any and new."""
    library = Training.of(Notes.of_rows(as_rows(list(training))))
    return {way: found[0].tolist() for way, found in library.copied([heard], [answer]).items()}


def test_what_stands_there_whole_is_found_whole_over_measure_lines() -> None:
    assert copied(SCALE, [*ELSEWHERE, *SCALE, *ELSEWHERE])["same pitches"] == [16, 16]


def test_a_run_ends_with_the_first_other_pitch() -> None:
    answer = [line([60, 62, 64, 65, 67, 70, 71, 72])]
    assert copied(answer, SCALE)["same pitches"][ANY] == 5


def test_a_run_ends_with_the_first_other_distance() -> None:
    answer = [measure((onset, pitch, 9, 2) for onset, pitch in
                      ((0, 60), (4, 62), (8, 64), (14, 65), (18, 67)))]  # fmt: skip
    assert copied(answer, SCALE)["same pitches"][ANY] == 3


def test_where_the_measure_line_lies_and_how_it_is_played_do_not_count() -> None:
    answer = [measure((8 + 4 * i, pitch, 30, 1) for i, pitch in enumerate((62, 64, 65, 67)))]
    assert copied(answer, SCALE)["same pitches"][ANY] == 4


def test_chords_count_all_their_notes_and_must_be_the_same_whole() -> None:
    chords = [measure((8 * i, p + i, 9, 8) for i in range(4) for p in (48, 64, 67))]
    assert copied(chords, chords)["same pitches"][ANY] == 12
    thinner = [
        measure((8 * i, p + i, 9, 8) for i in range(4) for p in (48, 64, 67)[: 3 - (i == 2)])
    ]
    assert copied(thinner, chords)["same pitches"][ANY] == 6


def test_the_longest_run_is_that_of_most_notes_not_of_most_events() -> None:
    chord = measure([(0, p, 9, 8) for p in (40, 45, 50, 55, 60)])
    answer = [chord, line([60, 62, 64])]
    assert copied(answer, [chord, *ELSEWHERE, *SCALE])["same pitches"][ANY] == 5


def test_a_run_never_crosses_a_break_nor_a_piece() -> None:
    rows = as_rows(SCALE)
    assert Training.of(Notes.of_rows(rows)).copied([SILENCE], [SCALE])["same pitches"][0, ANY] == 16
    broken = as_rows(SCALE)
    broken.measures["is_break"][1] = 1
    for notes in (Notes.of_rows(broken), Notes.of_rows(rows, [0, 1])):
        assert Training.of(notes).copied([SILENCE], [SCALE])["same pitches"][0, ANY] == 8


def test_nor_do_two_continuations_make_one_run() -> None:
    library = Training.of(Notes.of_rows(as_rows(SCALE)))
    found = library.copied([SILENCE] * 2, [SCALE[:1], SCALE[1:]])
    assert found["same pitches"][:, ANY].tolist() == [8, 8]


def test_music_moved_as_a_whole_is_found_as_transposed_only() -> None:
    moved = [line([p + 5 for p in (60, 62, 64, 65, 67, 69, 71, 72)])]
    found = copied(moved, SCALE)
    assert found["transposed"][ANY] == 8
    assert found["same pitches"][ANY] < 8


def test_chords_moved_each_by_itself_are_not_transposed_music() -> None:
    chords = [measure((8 * i, p, 9, 8) for i in range(4) for p in (60, 64, 67))]
    moved = [measure((8 * i, p + i, 9, 8) for i in range(4) for p in (60, 64, 67))]
    assert copied(moved, chords)["transposed"][ANY] == 3


def test_a_melody_is_known_under_another_accompaniment() -> None:
    def over(bass: int) -> list[Measure]:
        melody = [(0, 72, 9, 8), (8, 74, 9, 8), (16, 76, 9, 8), (24, 77, 9, 8)]
        return [measure([*melody, *((4 * i, bass + i, 9, 4) for i in range(8))])]

    found = copied(over(40), over(52))
    assert found["top line"][ANY] == 4  # the bass between is hidden by what sounds on above it
    assert found["same pitches"][ANY] == 0


def test_what_is_heard_above_counts_from_when_it_stops() -> None:
    notes = Notes.of_music([[measure([(0, 72, 9, 9), (8, 60, 9, 4), (12, 62, 9, 4)])]])
    assert notes.top_line().pitch.tolist() == [72, 62]


def test_a_quotation_of_the_player_is_no_news() -> None:
    assert copied(SCALE[:1], SCALE, heard=SCALE[:1])["same pitches"] == [8, 0]
    longer = copied(SCALE, SCALE, heard=SCALE[:1])["same pitches"]
    assert longer == [16, 16]  # as a whole it was not heard


def test_silence_copies_nothing() -> None:
    assert copied(SILENCE, SCALE)["top line"] == [0, 0]
    assert copied(SCALE, SILENCE)["transposed"] == [0, 0]


@pytest.mark.parametrize("transposed", [False, True])
def test_runs_are_those_that_trying_every_place_finds(transposed: bool) -> None:
    """Random music of few pitches, against a search that knows no hashes."""
    rng = np.random.default_rng(1)

    def made(count: int) -> list[Measure]:
        return [
            measure((s, int(60 + rng.integers(2)), 9, 1) for s in range(8) if rng.random() < 0.6)
            for _ in range(count)
        ]

    ours, theirs = (Notes.of_music([made(n)]) for n in (6, 12))
    found = longest_runs(
        Line.of(ours, transposed=transposed), Line.of(theirs, transposed=transposed)
    )
    assert found.tolist() == [
        max(_same(ours, i, theirs, j, transposed) for j in range(len(theirs.time)))
        for i in range(len(ours.time))
    ]


def _same(a: Notes, i: int, b: Notes, j: int, transposed: bool) -> int:
    shift = int(b.pitch[j] - a.pitch[i]) if transposed else 0
    length = 0
    while (
        i + length < len(a.time)
        and j + length < len(b.time)
        and a.time[i + length] - a.time[i] == b.time[j + length] - b.time[j]
        and a.pitch[i + length] + shift == b.pitch[j + length]
    ):
        length += 1
    return length


def test_all_training_music_stands_in_the_training_music() -> None:
    music = random_measures(40, meter=Meter(3, 4))
    assert copied(music[10:14], music)["same pitches"][ANY] == sum(
        len(m.notes) for m in music[10:14]
    )
