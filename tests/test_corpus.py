"""Corpora: which files are heard, what each is known to be, and that the result is the same."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pianogen.corpus import prepare
from pianogen.errors import DataError
from pianogen.shards import Shard
from pianogen.sources import find_files, split_of
from tests.midi_files import STEP, note, write

COLUMNS = [
    *("path", "corpus", "kind", "composer", "title", "piece_group", "split"),
    *("beats_kind", "beats_path", "velocity", "licence", "weights_clean"),
]


def song(path: Path, *pitches: int) -> Path:
    return write(path, [note(8 * STEP * n, pitch, 8 * STEP) for n, pitch in enumerate(pitches)])


def manifest(root: Path, *rows: dict[str, str]) -> Path:
    """A manifest of these files, each written unless it is there."""
    usual = {
        "corpus": "songs",
        "kind": "score",
        "split": "train",
        "beats_kind": "ticks",
        "velocity": "flat",
        "licence": "CC0 1.0",
        "weights_clean": "1",
    }
    for row in rows:
        if not (root / row["path"]).exists():
            song(root / row["path"], 60, 62, 64)
    path = root / "manifest.csv"
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, restval="")
        table.writeheader()
        table.writerows({**usual, **row} for row in rows)
    return path


def quietly(source: Path, out: Path, **options: object) -> list[str]:
    report = prepare([source], out, workers=1, progress=False, **options)  # type: ignore[arg-type]
    return [piece.path for piece in report.pieces]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_manifest_says_what_each_piece_is(tmp_path: Path) -> None:
    row = {
        "path": "a/b.mid",
        "composer": "Clara",
        "title": "Ü",
        "piece_group": "g1",
        "split": "test",
    }
    quietly(manifest(tmp_path, row), tmp_path / "out")
    (piece,) = Shard.open(tmp_path / "out", "test").pieces
    assert (piece.path, piece.composer, piece.title, piece.group) == ("a/b.mid", "Clara", "Ü", "g1")
    assert (piece.velocity, piece.licence, piece.weight) == ("flat", "CC0 1.0", 1.0)
    assert (piece.n_measures, piece.n_notes, piece.seconds) == (1, 3, 2.0)


def test_only_clean_files_and_only_some_corpora_may_be_asked_for(tmp_path: Path) -> None:
    source = manifest(
        tmp_path,
        {"path": "a.mid"},
        {"path": "b.mid", "weights_clean": "0"},
        {"path": "c.mid", "corpus": "studies"},
    )
    assert quietly(source, tmp_path / "out") == ["a.mid", "b.mid", "c.mid"]
    assert quietly(source, tmp_path / "out", clean_only=True) == ["a.mid", "c.mid"]
    assert quietly(source, tmp_path / "out", corpora=["studies"]) == ["c.mid"]
    with pytest.raises(DataError, match=r"no corpus 'opera' here, only songs, studies"):
        quietly(source, tmp_path / "out", corpora=["opera"])


def test_broken_files_are_listed_and_the_rest_prepared(tmp_path: Path) -> None:
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    source = manifest(
        tmp_path,
        {"path": "broken.mid"},
        {"path": "good.mid"},
        {"path": "free.mid", "beats_kind": "none"},
        {"path": "lost.mid", "beats_kind": "annotation", "beats_path": "nowhere.txt"},
    )
    report = prepare([source], tmp_path / "out", workers=1, progress=False)
    assert [piece.path for piece in report.pieces] == ["good.mid"]
    with open(tmp_path / "out" / "broken.csv", newline="") as file:
        listed = {row["path"]: (row["outcome"], row["reason"]) for row in csv.DictReader(file)}
    assert listed["free.mid"] == ("skipped", "no measure lines known")
    assert listed["broken.mid"][0] == listed["lost.mid"][0] == "broken"
    assert listed["broken.mid"][1].startswith("broken.mid: cannot be read as a MIDI file")
    assert "2 broken and 1 skipped" in str(report)
    assert str(tmp_path) not in "".join(reason for _, reason in listed.values())


def test_where_no_file_can_be_used_that_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 1 files can be used"):
        quietly(manifest(tmp_path, {"path": "a.mid", "beats_kind": "none"}), tmp_path / "out")


def test_a_song_with_the_voice_and_its_piano_part_count_half_each(tmp_path: Path) -> None:
    (tmp_path / "c-voice.mid").write_bytes(b"")
    source = manifest(
        tmp_path,
        *({"path": f"{stem}.mid"} for stem in ("a", "a-voice", "b-voice", "c", "c-voice")),
    )
    report = prepare([source], tmp_path / "out", workers=1, progress=False)
    weights = {piece.path: piece.weight for piece in report.pieces}
    assert weights == {"a.mid": 0.5, "a-voice.mid": 0.5, "b-voice.mid": 1.0, "c.mid": 1.0}


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    for number in range(40):
        song(folder / f"{number}.mid", *range(40 + number, 60 + number % 7))
    (folder / "bad.mid").write_bytes(b"")
    for workers in (1, 2):
        prepare([folder], tmp_path / f"{workers}", workers=workers, progress=False)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(contents(tmp_path / "1")) == 8


def test_a_folder_is_split_by_the_names_of_its_files(tmp_path: Path) -> None:
    for stem in ("a", "a-voice", "b"):
        song(tmp_path / "in" / "deep" / f"{stem}.MID", 60, 62)
    files = {file.piece.path: file.piece for file in find_files(tmp_path / "in")}
    assert list(files) == ["deep/a-voice.MID", "deep/a.MID", "deep/b.MID"]
    assert files["deep/a.MID"].split == files["deep/a-voice.MID"].split == split_of("a")
    assert files["deep/a.MID"].group == files["deep/a-voice.MID"].group
    splits = [split_of(str(number)) for number in range(1000)]
    assert {name: round(splits.count(name), -2) for name in set(splits)} == {
        "train": 800,
        "validation": 100,
        "test": 100,
    }


@pytest.mark.parametrize(("levels", "kind"), [(1, "flat"), (5, "score"), (20, "recorded")])
def test_the_kind_of_velocities_is_told_by_their_number(
    tmp_path: Path, levels: int, kind: str
) -> None:
    parts = [note(n * STEP, 60, STEP, velocity=4 + 4 * n) for n in range(levels)]
    path = write(tmp_path / "a.mid", parts)
    report = prepare([path], tmp_path / "out", workers=1, progress=False)
    assert [piece.velocity for piece in report.pieces] == [kind]


def test_sources_that_cannot_be_used_are_told_in_one_line(tmp_path: Path) -> None:
    def refused(source: Path, reason: str) -> None:
        with pytest.raises(DataError, match=reason):
            list(find_files(source))

    refused(tmp_path / "nowhere", "there is no such file or folder")
    refused(tmp_path, "holds no MIDI files")
    refused(tmp_path / "nowhere.csv", "cannot be read")
    (tmp_path / "a.csv").write_text("path,corpus\na.mid,songs\n")
    refused(tmp_path / "a.csv", "has no column 'split'")
    refused(manifest(tmp_path, {"path": "a.mid", "split": "dev"}), "line 2: split 'dev' is none of")


def test_progress_is_plain_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        song(tmp_path / "in" / f"{name}.mid", 60)
    prepare([tmp_path / "in"], tmp_path / "out", workers=1)
    assert capsys.readouterr().err.splitlines() == [
        "hearing files: 1 of 2",
        "hearing files: 2 of 2",
    ]
