"""An evaluation from end to end, on a little music and a little untrained network."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pianogen.checkpoint import Checkpoint, save
from pianogen.cli import main
from pianogen.comparison import find_contexts
from pianogen.dataset import Windows
from pianogen.errors import ConfigError, DataError
from pianogen.evaluate import evaluate
from pianogen.families.hybrid import Hybrid
from pianogen.families.sizes import HybridConfig
from pianogen.family import FAMILIES
from pianogen.family_figures import ROUND_TRIPS, round_trip
from pianogen.grid import Measure, Meter
from pianogen.nats import nats_a_note, total
from pianogen.report import Report
from pianogen.sampling import Sampling
from pianogen.shards import Shard
from pianogen.teacher_forcing import read
from pianogen.windowed import Windowed
from tests.made import C_MAJOR, line, measure, prepared
from tests.music import weights_of
from tests.parrot import PARROT, parrot_file

SMALL = HybridConfig(
    conv=8, onset_branch=8, hidden=16, heads=2, window=2, channels=4, width=5, touch=8
)
MUSIC = [line([p + shift for p in C_MAJOR]) for shift in (0, 5, 7, 0)] * 4
CHORDS = [measure((0, p, 20, 16) for p in (60, 64, 67)), line([67, 65, 64, 62], every=8)] * 8
WALTZ = [measure([(0, 48, 12, 8), (8, 64, 9, 8), (16, 64, 9, 8)], Meter(3, 4))] * 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder; what would be the test split's arrays is not there at all."""
    folder = prepared(
        tmp_path_factory.mktemp("data"),
        {
            ("a", "train"): MUSIC, ("b", "train"): WALTZ,
            ("c", "validation"): CHORDS, ("d", "validation"): MUSIC[2:], ("e", "validation"): WALTZ,
            ("e-voice", "validation"): WALTZ, ("f", "test"): MUSIC,
        },
    )  # fmt: skip
    for array in folder.glob("test.*.npy"):
        array.unlink()
    return folder


@pytest.fixture(scope="module")
def network() -> Hybrid:
    torch.manual_seed(0)
    return Hybrid(SMALL).eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, network: Hybrid) -> str:
    path = tmp_path_factory.mktemp("run") / "small.safetensors"
    save(path, Checkpoint("hybrid", asdict(SMALL), weights_of(network)))
    return str(path)


def run(data: Path, checkpoint: str, seed: int = 0) -> Report:
    return evaluate(
        data, "validation", checkpoint=checkpoint, sampling=Sampling(), contexts=4, seed=seed
    )


@pytest.fixture(scope="module")
def report(data: Path, checkpoint: str) -> Report:
    return run(data, checkpoint)


def test_the_same_seed_gives_the_same_report(data: Path, checkpoint: str, report: Report) -> None:
    again, other = run(data, checkpoint).as_dict(), run(data, checkpoint, seed=1).as_dict()
    once = report.as_dict()
    for figures in (once, again, other):
        assert figures.pop("ms_per_measure") > 0
    assert once == again
    assert once["continuations"] != other["continuations"]


def test_every_figure_stands_beside_its_baselines(report: Report) -> None:
    figures = report.as_dict()
    assert {"model", "silence", "repeat", "unigram"} <= set(figures["nats"])
    assert {"model", "silence", "repeat", "unigram"} <= set(figures["elements"])
    assert {"real", "model", "another piece", "repeat", "silence", "unigram"} == set(
        figures["overlaps"]
    )
    for part in (*figures["nats by corpus"].values(), *figures["nats by meter"].values()):
        assert {"model", "hold", "repeat", "unigram"} <= set(part)
    for part in figures["continuations by corpus"].values():
        assert {"real", "model", "another piece", "unigram"} <= set(part)
    assert {"real", "model", "unigram", "in training"} <= set(figures["memorisation"])
    assert figures["nats"]["silence"]["pitch and timing"] == "infinite"
    assert set(figures["elements"]["model"]) == set(figures["elements"]["silence"])


def test_the_real_continuation_is_like_itself(report: Report) -> None:
    for figure in report.as_dict()["overlaps"]["real"].values():
        assert (figure["mean"] if isinstance(figure, dict) else figure) == pytest.approx(1)


def test_what_stands_in_the_training_music_is_found_there(report: Report) -> None:
    copied = report.as_dict()["memorisation"]
    known = copied["in training"]
    assert known["same pitches: mean"] == known["notes in a continuation"]
    assert copied["unigram"]["same pitches: longest"] < known["same pitches: longest"]


def test_the_report_says_how_much_it_is_of(report: Report) -> None:
    figures = report.as_dict()
    assert set(figures["nats by meter"]) == {"3/4", "4/4"}
    assert figures["nats by meter"]["3/4"]["is_few"] is True
    assert figures["nats by corpus"]["made"]["pieces"] == figures["teacher forced"]["pieces"] == 3
    assert figures["continuations by corpus"]["made"]["pieces"] == 3
    assert (figures["played"]["contexts"], figures["played"]["pieces"]) == (4, 3)
    assert not set(report.about) & set(report.tables)
    assert "4/4 (2, few)" in str(report)


def test_nothing_can_be_said_of_no_batches(data: Path, checkpoint: str) -> None:
    with pytest.raises(ConfigError, match="batches must be at least 1"):
        evaluate(
            data, "validation", checkpoint=checkpoint, sampling=Sampling(), batches=0
        )  # fmt: skip


@pytest.mark.parametrize("contexts", [0, -1])
def test_nothing_can_be_said_of_no_contexts(data: Path, contexts: int) -> None:
    with pytest.raises(ConfigError, match=f"contexts must be at least 1, is {contexts}"):
        find_contexts(Shard.open(data, "validation"), contexts, seed=0)


def test_the_command_draws_from_the_scale_heard_where_that_is_asked(
    data: Path, checkpoint: str, tmp_path: Path
) -> None:
    asked = ["evaluate", "--data", str(data), "--checkpoint", checkpoint, "--contexts", "4"]
    shares = {}
    for scale in ("chromatic", "heard"):
        figures = tmp_path / f"{scale}.json"
        words = ["--batches", "1", "--candidates", "2", "--scale", scale, "--json", str(figures)]
        assert main([*asked, *words]) == 0
        report = json.loads(figures.read_text())
        assert report["sampling"].get("scale") == ("heard" if scale == "heard" else None)
        shares[scale] = report["continuations"]["model"]["notes in the key heard"]["mean"]
    assert shares["heard"] == 1 > shares["chromatic"]


def test_pictures_are_drawn_where_asked(data: Path, checkpoint: str, tmp_path: Path) -> None:
    evaluate(
        data, "validation", checkpoint=checkpoint, sampling=Sampling(), contexts=2, batches=1,
        pictures_to=tmp_path,
    )  # fmt: skip
    assert len(list(tmp_path.glob("continuation-*.png"))) == 2


def test_the_command_draws_the_losses_of_a_run(
    data: Path, checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["evaluate", "--data", str(data), "--checkpoint", checkpoint, "--contexts", "1"]
    assert main([*asked, "--run", str(tmp_path)]) == 2
    assert "--pictures DIR" in capsys.readouterr().err
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "training": {"loss": 5.0}}\n')
    pictures = ["--run", str(tmp_path), "--pictures", str(tmp_path / "new")]
    assert main([*asked, *pictures, "--batches", "1"]) == 0
    assert (tmp_path / "new" / "losses.png").is_file()
    assert "Memorisation" in capsys.readouterr().out


def test_the_report_reads_as_a_table(report: Report) -> None:
    text = str(report)
    assert "note accuracy" in text
    assert "ms a measure" in text
    assert "nan" not in text
    assert max(map(len, text.splitlines())) <= 113


def test_the_report_is_written_as_json(report: Report, tmp_path: Path) -> None:
    report.write_json(tmp_path / "new" / "figures.json")
    assert json.loads((tmp_path / "new" / "figures.json").read_text()) == report.as_dict()
    with pytest.raises(ConfigError, match="cannot be written"):
        report.write_json(tmp_path / "new" / "figures.json" / "below.json")


def test_nats_are_those_that_training_counts(data: Path, network: Hybrid) -> None:
    for batch in Windows(Shard.open(data, "validation"), steps=4096).every():
        with torch.inference_mode():
            losses = network.losses(batch.notes, batch.velocity_weight)
        counted = {name: float(term.mean) for name, term in losses.items()}
        mine = nats_a_note(total([read(network, batch, Windowed.of(batch))[0]]))
        assert mine["  pitch"] == pytest.approx(counted["pitch"], rel=1e-5)
        assert mine["  timing"] == pytest.approx(counted["timing"], rel=1e-5)
        assert mine["velocity, weighted"] == pytest.approx(counted["velocity"], rel=1e-5)
        assert mine["duration"] == pytest.approx(counted["duration"], rel=1e-5)


def test_what_is_predicted_of_a_step_hangs_on_what_came_before_alone(
    data: Path, network: Hybrid
) -> None:
    (whole, *_) = Windows(Shard.open(data, "validation"), steps=1, measures=8).every()
    music = Windowed.of(whole)
    _, before = read(network, whole, music)
    changed = whole.notes.key.clone()
    changed[music.time >= 100] = (changed[music.time >= 100] + 30) % 88
    whole.notes.key.copy_(changed)
    _, after = read(network, whole, Windowed.of(whole))
    assert np.array_equal(before.onset[:, :101], after.onset[:, :101])
    assert np.array_equal(before.rhythm[:, :101], after.rhythm[:, :101])


def test_contexts_are_spread_over_pieces_and_leave_voices_on_top_out(data: Path) -> None:
    found = find_contexts(Shard.open(data, "validation"), 6, seed=0)
    assert [context.piece.title for context in found] == ["c", "c", "d", "d", "e", "e"]
    for context in found:
        assert len(context.heard) == 8
        assert len(context.real) == 4
        assert len({m.meter for m in (*context.heard, *context.real)}) == 1


def test_a_context_never_crosses_a_change_of_meter(tmp_path: Path) -> None:
    mixed = [*WALTZ[:6], *MUSIC[:12], *WALTZ[:11]]
    shard = Shard.open(prepared(tmp_path, {("a", "validation"): mixed}), "validation")
    for context in find_contexts(shard, 20, seed=0):
        assert [*context.heard, *context.real] == MUSIC[:12]


def test_music_too_short_to_evaluate_is_one_line(tmp_path: Path) -> None:
    shard = Shard.open(prepared(tmp_path, {("a", "validation"): [Measure()] * 11}), "validation")
    with pytest.raises(DataError, match="12 measures"):
        find_contexts(shard, 1, seed=0)


def test_what_cannot_be_said_is_null_in_json(report: Report) -> None:
    silence = report.as_dict()["continuations"]["silence"]
    assert silence["notes in the key heard"]["mean"] is None
    assert silence["empty measures"]["mean"] == 1
    assert not any(
        isinstance(value, float) and math.isnan(value)
        for column in report.as_dict()["elements"].values()
        for value in column.values()
    )


# --- another family -------------------------------------------------------------------------------


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A made-up family's checkpoint, which believes C to be twice as likely as any other class."""
    monkeypatch.setitem(FAMILIES, "parrot", PARROT)  # type: ignore[arg-type]
    return parrot_file(tmp_path / "parrot.safetensors", favourite=0)


def share_of_c(shard: Shard) -> float:
    notes = [
        note.pitch % 12
        for piece in shard.pieces
        if not piece.path.endswith("-voice.mid")
        for number in range(piece.n_measures)
        for note in shard.measure(piece.first_measure + number).notes
    ]
    return notes.count(0) / len(notes)


def test_another_family_is_read_in_its_own_terms(data: Path, parrot: str) -> None:
    figures = run(data, parrot).as_dict()
    ahead = figures["one step ahead"]
    for column, split in (("held out", "validation"), ("in training", "train")):
        share = share_of_c(Shard.open(data, split))
        nats = share * math.log(13 / 2) + (1 - share) * math.log(13)
        assert ahead[column]["guessed"]["mean"] == pytest.approx(share)
        assert ahead[column]["pitch class"]["mean"] == pytest.approx(nats)
        assert ahead[column]["loss"]["mean"] == pytest.approx(nats)
        assert ahead[column]["perplexity"]["mean"] == pytest.approx(math.exp(nats))
        assert ahead[column]["by chance"]["mean"] == pytest.approx(1 / 12)
    assert ahead["held out"]["guessed"]["count"] == 3


def test_another_family_has_the_tables_of_continuations_too(data: Path, parrot: str) -> None:
    report = run(data, parrot)
    figures = report.as_dict()
    for figure in ("overlaps", "continuations"):
        assert figures[figure]["model"] == figures[figure]["repeat"]
    assert {"two samples", "memorisation", "continuations by corpus"} <= set(figures)
    assert not {"nats", "elements", "round trip"} & set(figures)
    assert figures["teacher forced"]["pieces"] == 3
    assert max(map(len, str(report).splitlines())) <= 113
    assert "pitch_class" not in str(report)


def test_both_see_the_same_continuations_of_those_who_know_nothing(
    data: Path, parrot: str, report: Report
) -> None:
    mine, other = run(data, parrot).as_dict()["overlaps"], report.as_dict()["overlaps"]
    for who in ("another piece", "repeat", "silence"):
        assert mine[who] == other[who]


def test_what_a_family_cannot_hold_is_told(
    data: Path, parrot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROUND_TRIPS, "parrot", "tests.parrot:half_kept")
    config = {"frame": 2}
    places = find_contexts(Shard.open(data, "validation"), 2, seed=0)
    told = round_trip("parrot", config, places, seed=0)["round trip"].as_dict()
    assert told["real music"]["kept"]["mean"] == 0.5
    assert told["real music"]["measures in twos"]["mean"] == 6
    assert round_trip("hybrid", config, places, seed=0) == {}


def test_windows_are_chosen_whole(data: Path) -> None:
    (batch, *_) = Windows(Shard.open(data, "validation"), steps=4096, measures=4).every()
    which = torch.arange(batch.notes.windows) % 2 == 1
    chosen = batch.chosen(which)
    again = chosen.notes.window * 2 + 1
    mine = batch.notes.window % 2 == 1
    assert chosen.notes.windows == int(which.sum())
    assert torch.equal(again, batch.notes.window[mine])
    assert torch.equal(chosen.notes.key, batch.notes.key[mine])
    assert torch.equal(chosen.first_measure, batch.first_measure[which])
