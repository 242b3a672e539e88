"""All who can play on the same contexts: what is said of them, and how it reads."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from pianogen import compare as comparing
from pianogen.checkpoint import Checkpoint, save
from pianogen.clocked import Clocked
from pianogen.compare import compare, perform
from pianogen.comparison import find_contexts
from pianogen.errors import CheckpointError, ConfigError
from pianogen.families.voice import Voice
from pianogen.family import FAMILIES
from pianogen.footprint import Footprint, footprint, peak_mib
from pianogen.grid import Measure, Meter
from pianogen.metrics import Estimate, Stretch
from pianogen.presets import Voicing
from pianogen.repetition import repeated_share
from pianogen.report import WIDTH, Block, Report, Standing
from pianogen.sampling import Sampling
from pianogen.shards import Shard
from pianogen.standings import (
    AGAIN,
    ALL_FIVE,
    BLOCKS,
    EMPTY,
    KEY,
    MEDIAN_MS,
    MEMORY,
    PARAMETERS,
    SLOW_MS,
    describe,
    differences,
    melody,
    top_line,
)
from tests.made import C_MAJOR, line, measure, prepared
from tests.music import TINY, tiny_hybrid, weights_of
from tests.parrot import PARROT, ParrotPlayer, parrot_file

CHORD = measure((0, pitch, 20, 32) for pitch in (60, 64, 67))
MUSIC = [line([p + shift for p in C_MAJOR]) for shift in (0, 5, 7, 0)] * 4
WALTZ = [measure([(0, 48, 12, 8), (8, 64, 9, 8), (16, 67, 9, 8)], Meter(3, 4))] * 16
BASELINES = {"another piece", "repeat", "silence", "unigram"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder; what would be the test split's arrays is not there at all."""
    folder = prepared(
        tmp_path_factory.mktemp("data"),
        {
            ("a", "train"): MUSIC, ("b", "train"): WALTZ, ("c", "validation"): MUSIC,
            ("d", "validation"): [CHORD, *MUSIC[1:]], ("e", "validation"): WALTZ,
            ("f", "test"): MUSIC,
        },
    )  # fmt: skip
    for array in folder.glob("test.*.npy"):
        array.unlink()
    return folder


@pytest.fixture(scope="module")
def parrots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Voicing]]:
    """Two of a made-up family: one plays the last measure again, one what was four before.

    What memory they take is told, not measured: a process of its own would not know them.
    """
    folder = tmp_path_factory.mktemp("parrots")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "parrot", PARROT)  # type: ignore[arg-type]
        patch.setattr(comparing, "footprint", lambda *asked: Footprint(60.0, 5.0))
        yield {
            name: Voicing(parrot_file(folder / f"{name}.safetensors", back=back), Sampling())
            for name, back in (("parrot", 1), ("four-back", 4))
        }


def run(data: Path, voicings: dict[str, Voicing], seed: int = 0) -> Report:
    return compare(data, "validation", voicings=voicings, contexts=6, seed=seed)


@pytest.fixture(scope="module")
def report(data: Path, parrots: dict[str, Voicing]) -> Report:
    return run(data, parrots)


# --- who is compared ------------------------------------------------------------------------------


def test_everyone_stands_in_one_table_on_the_same_contexts(
    report: Report, parrots: dict[str, Voicing]
) -> None:
    figures = report.as_dict()
    assert list(figures["compare"]) == ["real", "parrot", "four-back", "another piece", "repeat",
                                       "silence", "unigram"]  # fmt: skip
    assert (figures["played"]["contexts"], figures["played"]["pieces"]) == (6, 3)
    for who, column in figures["compare"].items():
        assert {ALL_FIVE, "velocity", AGAIN, EMPTY, KEY} <= set(column)
        assert (PARAMETERS in column) == (who in parrots)
    assert figures["compare"]["parrot"][MEMORY] == 5.0
    assert figures["compare"]["parrot"][PARAMETERS] == 12e-6


def test_a_parrot_is_the_baseline_that_repeats(report: Report) -> None:
    standing = report.as_dict()
    music = (ALL_FIVE, AGAIN, EMPTY, KEY, "notes a measure")
    for figure in music:
        assert standing["compare"]["parrot"][figure] == standing["compare"]["repeat"][figure]
    assert standing["differences"]["repeat"][ALL_FIVE]["mean"] == 0
    assert standing["differences"]["silence"][ALL_FIVE]["mean"] > 0
    assert set(standing["differences"]) == {"four-back", *BASELINES}


def test_the_same_seed_gives_the_same_figures(
    data: Path, parrots: dict[str, Voicing], report: Report
) -> None:
    once = report.as_dict()
    again, other = (run(data, parrots, seed).as_dict() for seed in (0, 1))
    for figures in (once, again, other):
        for who in parrots:
            assert figures["compare"][who].pop(MEDIAN_MS) > 0
            assert figures["compare"][who].pop(SLOW_MS) > 0
    assert once == again
    assert once["compare"]["unigram"] != other["compare"]["unigram"]


def test_a_voice_may_be_asked_for_the_scale_heard_alone(data: Path) -> None:
    asked = []

    class Asked(ParrotPlayer):
        def played(self, past, heard, sampling, rng):  # type: ignore[no-untyped-def]
            asked.append(sampling.pitch_classes)
            return super().played(past, heard, sampling, rng)

    places = find_contexts(Shard.open(data, "validation"), 1, seed=0)
    perform(Voice(Asked(1)), Voicing("", Sampling(), is_in_scale_heard=True), places, 0)
    perform(Voice(Asked(1)), Voicing("", Sampling()), places, 0)
    assert asked[0] == (0, 2, 4, 5, 7, 9, 11)
    assert asked[4] == tuple(range(12))


def test_the_report_says_who_played_and_how(data: Path, parrots: dict[str, Voicing]) -> None:
    warmer = Voicing(parrots["parrot"].checkpoint, Sampling(temperature=1.5), True)
    about = run(data, {**parrots, "warmer": warmer}).about
    assert about["checkpoints"]["warmer"] == warmer.checkpoint
    assert about["sampling of parrot"] == "all settings as they are by default"
    assert about["sampling of warmer"] == {"temperature": 1.5, "scale": "heard"}


def test_nobody_and_a_name_that_is_taken_are_one_line(
    data: Path, parrots: dict[str, Voicing]
) -> None:
    with pytest.raises(ConfigError, match="nobody to compare"):
        run(data, {})
    with pytest.raises(ConfigError, match="'silence' is one of those who know nothing"):
        run(data, {"silence": parrots["parrot"]})
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        run(data, {**parrots, "x": Voicing("nowhere.safetensors", Sampling())})


def test_it_needs_no_torch() -> None:
    code = "import sys, pianogen.compare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- what it costs --------------------------------------------------------------------------------


class Watch:
    """A clock that the voice itself moves on: 3 ms to hear a measure, 10 ms to answer."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(Voice):
    def __init__(self, watch: Watch) -> None:
        super().__init__(ParrotPlayer(1))
        self.watch = watch

    def _listen(self, measure: Measure) -> None:
        self.watch.now += 0.003
        super()._listen(measure)

    def answer(self, sampling: Sampling, seed: int) -> Measure:
        made = super().answer(sampling, seed)
        self.watch.now += 0.010
        return made


def test_planning_a_measure_is_hearing_one_and_answering() -> None:
    watch = Watch()
    voice = Clocked(Slow(watch), watch)
    voice.reset(Meter())
    for music in MUSIC[:5]:
        voice.listen(music)
    for seed in range(3):
        assert voice.answer(Sampling(), seed) == MUSIC[4]
    assert voice.planning_ms == pytest.approx([13.0, 13.0, 13.0])


def test_a_clocked_voice_is_the_voice_itself() -> None:
    voice = Clocked(Voice(ParrotPlayer(1)))
    voice.listen(MUSIC[0])
    mark = voice.mark()
    voice.listen(MUSIC[1])
    voice.rewind(mark)
    assert voice.answer(Sampling(), 0) == MUSIC[0]
    assert voice.another().answer(Sampling(), 0) == Measure()


def test_memory_is_that_of_a_process_that_loads_the_voice_and_plays(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save(path, Checkpoint("hybrid", asdict(TINY), weights_of(tiny_hybrid())))
    found = footprint(str(path), MUSIC[:2], 1, Sampling(), "cpu")
    assert 0 < found.voice < found.process < 500
    assert peak_mib() > found.voice


def test_a_new_process_is_not_told_what_its_parent_had() -> None:
    held = np.ones(40_000_000)  # 305 MiB
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        assert process.submit(peak_mib).result() < held.nbytes / 2**20 / 2


# --- what comes again -----------------------------------------------------------------------------


def share(heard: list[Measure], answer: list[Measure]) -> float:
    return repeated_share(Stretch.of(heard), Stretch.of(answer))


def test_what_was_heard_played_again_repeats_all_but_its_first_figures() -> None:
    scale = line(C_MAJOR)
    assert share([scale], [scale]) == 5 / 8  # three figures lie across the line, and are new
    assert share([scale, scale], [scale]) == 1


def test_a_figure_is_pitches_and_rhythm() -> None:
    scale, slower = line(C_MAJOR[:4]), line(C_MAJOR[:4], every=8)
    assert share([scale], [measure()] + [scale]) == 1 / 4
    assert share([scale], [slower]) == 0
    assert share([scale], [line([p + 1 for p in C_MAJOR[:4]])]) == 0


def test_a_note_over_and_over_repeats_itself() -> None:
    assert share([CHORD], [line([60] * 8)] * 2) == (16 - 4) / 14


def test_only_the_top_line_counts() -> None:
    below = [(0, 40, 16, 4), (4, 41, 16, 4), (12, 30, 16, 2)]
    scale = line(C_MAJOR)
    thick = measure([*((n.onset, n.pitch, 16, 4) for n in scale.notes), *below])
    assert share([scale, scale], [thick]) == 1


def test_of_few_notes_nothing_is_said() -> None:
    assert math.isnan(share([Measure()], [Measure()]))
    assert math.isnan(share([Measure()], [line([60, 62, 64])]))


# --- how it stands --------------------------------------------------------------------------------


def test_an_answer_that_is_not_there_is_left_out(data: Path) -> None:
    places = find_contexts(Shard.open(data, "validation"), 2, seed=0)
    rows = describe(places, [places[0].real, None])
    assert rows[0][ALL_FIVE] == pytest.approx(1)
    assert rows[1] == {}
    less = differences(places, {"a": [rows[0], rows[0]], "b": rows}, "a", 0)
    assert less.as_dict()["b"][ALL_FIVE]["mean"] == 0
    assert less.as_dict()["b"][ALL_FIVE]["count"] == 1


def test_below_a_longer_note_nothing_is_on_top() -> None:
    over = measure([(0, 72, 20, 40), (8, 60, 20, 8), (16, 74, 20, 4), (20, 60, 20, 4)])
    after = measure([(0, 60, 20, 8), (8, 59, 20, 8)])
    long = measure([(0, 72, 20, 40)])
    line = measure([(0, 72, 20, 16), (16, 74, 20, 4), (20, 60, 20, 4)])
    assert top_line((over, after)) == (line, after)
    assert top_line((long, after)) == (long, measure([(8, 59, 20, 8)]))


def test_top_lines_are_held_against_top_lines(data: Path) -> None:
    scale = line(C_MAJOR)
    thick = measure([*((n.onset, n.pitch, 16, 4) for n in scale.notes), (0, 40, 16, 4)])
    assert top_line((thick, CHORD)) == (scale, measure([(0, 67, 20, 32)]))
    assert top_line(None) is None
    place = melody(find_contexts(Shard.open(data, "validation"), 4, seed=0)[-1])
    assert place.heard == place.real * 2 == tuple(WALTZ[:8])


def test_of_a_melody_alone_the_rest_is_not_asked(report: Report) -> None:
    figures = report.as_dict()["top lines"]
    assert set(figures) == {"real", "parrot", "four-back", *BASELINES}
    assert figures["real"][ALL_FIVE]["mean"] == pytest.approx(1)
    assert figures["parrot"] == figures["repeat"]


def test_the_report_reads_as_tables_and_is_written_as_json(report: Report, tmp_path: Path) -> None:
    text = str(report)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "nan" not in text
    assert "speed" not in text
    report.write_json(tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text()) == report.as_dict()


def test_a_narrow_table_has_its_headings_stacked_and_no_intervals() -> None:
    figures = {"a": 1234.5, "b": Estimate(0.5, 0.4, 0.6, 3), "c": 0.00012, "d": 12.34}
    block = Block({"a": "ms 50%", "b": "again", "c": "empty", "d": "par. M"}, is_bare=True)
    lines = str(Standing("Who", {"me": figures, "you": {"b": math.nan}}, [block])).splitlines()
    assert lines[-4].split() == ["ms", "par."]
    assert lines[-3].split() == ["50%", "again", "empty", "M"]
    assert lines[-2].split() == ["me", "1234", "0.500", "0.000", "12.3"]
    assert lines[-1].split() == ["you", "-"]


def test_every_block_fits_the_page() -> None:
    for block in BLOCKS:
        assert len(str(Standing("", {"x" * 20: {}}, [block])).splitlines()[-1]) <= WIDTH
        assert all(len(word) < block.cell for h in block.headings.values() for word in h.split())


def test_the_comparison_is_drawn_where_asked(
    data: Path, parrots: dict[str, Voicing], tmp_path: Path
) -> None:
    picture = tmp_path / "new" / "compare.png"
    compare(data, "validation", voicings=parrots, contexts=2, seed=0, picture=picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
