from pathlib import Path

import mido
import pytest

from pianogen.checkpoint import Checkpoint, save
from pianogen.cli import main
from pianogen.errors import ConfigError
from pianogen.generate import Heard, continuation, continue_file, generate_file, hear, pair_up
from pianogen.grid import STEPS_PER_BEAT, Meter, bin_to_velocity
from pianogen.midi_file import Track, measures_to_notes, read_score, write_midi
from pianogen.sampling import Sampling
from tests.music import TINY, random_measures, tiny_hybrid, voice_of, weights_of

FREE = Sampling(temperature=1.0, velocity_temperature=1.0, rhythm_temperature=1.0, max_polyphony=4)
TEMPO = 100


@pytest.fixture
def heard_file(tmp_path: Path) -> Path:
    path = tmp_path / "in.mid"
    notes = measures_to_notes(random_measures(5, seed=11, meter=Meter(3, 4)), TEMPO)
    write_midi(path, [Track("piano", notes)], TEMPO, Meter(3, 4))
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save(path, Checkpoint("hybrid", vars(TINY), weights_of(tiny_hybrid())))
    return path


def sounding_most(track: mido.MidiTrack) -> int:
    """The most notes that sound at once; fails where one is left open or ended twice."""
    open_, most = set(), 0
    for message in track:
        if message.type == "note_on" and message.velocity:
            assert message.note not in open_
            open_.add(message.note)
        elif message.type in ("note_on", "note_off"):
            open_.remove(message.note)
        most = max(most, len(open_))
    assert not open_
    return most


def test_two_tracks_tempo_and_meter_are_written(heard_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    continue_file(voice_of(tiny_hybrid()), heard_file, out, 3, sampling=FREE)
    tracks = {track.name: track for track in mido.MidiFile(out).tracks}
    assert set(tracks) == {"", "performer", "pianogen"}
    score = read_score(out)
    assert score.tempos[0, 1] == mido.bpm2tempo(TEMPO)
    assert score.signatures.tolist() == [[0, 3, 4]]
    assert sounding_most(tracks["pianogen"]) <= FREE.max_polyphony


def test_the_continuation_begins_on_the_line_and_keeps_to_the_grid(
    heard_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mid"
    answer = continue_file(
        voice_of(tiny_hybrid()), heard_file, out, 2, first=4, sampling=FREE, seed=3
    )
    file = mido.MidiFile(out)
    step = file.ticks_per_beat // STEPS_PER_BEAT
    line, end, now, onsets = 4 * 24 * step, 6 * 24 * step, 0, []
    centres = {bin_to_velocity(velocity_bin) for velocity_bin in range(32)}
    for message in next(track for track in file.tracks if track.name == "pianogen"):
        now += message.time
        if message.type == "note_on" and message.velocity:
            onsets.append(now)
            assert message.velocity in centres
    assert all(line <= onset < end and onset % step == 0 for onset in onsets)
    assert now <= end
    assert len(onsets) == sum(len(measure.notes) for measure in answer)


def test_the_same_seed_writes_the_same_bytes(heard_file: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.mid", "b.mid", "c.mid")]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        continue_file(voice_of(tiny_hybrid()), heard_file, path, 2, sampling=FREE, seed=seed)
    a, b, c = (path.read_bytes() for path in files)
    assert a == b
    assert a != c


def test_only_the_first_measures_asked_for_are_heard(heard_file: Path) -> None:
    heard = hear(heard_file, 2)
    assert len(heard.measures) == 2
    assert heard.tempo == pytest.approx(TEMPO)
    assert heard == Heard(hear(heard_file).measures[:2], heard.tempo)
    with pytest.raises(ConfigError, match="--from must be 1 to 5"):
        hear(heard_file, 6)


def test_a_change_of_meter_is_followed_from_where_it_holds() -> None:
    measures = random_measures(2, seed=1) + random_measures(2, seed=2, meter=Meter(3, 4))
    answer = continuation(voice_of(tiny_hybrid()), measures, 1, FREE, 0)
    assert answer[0].meter == Meter(3, 4)


def test_music_from_nothing_is_as_long_as_asked(tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    music = generate_file(
        voice_of(tiny_hybrid()), out, 9.0, meter=Meter(), tempo_bpm=120, sampling=FREE
    )
    assert len(music) == 5  # of 2 s each
    assert sounding_most(mido.MidiFile(out).tracks[1]) <= 4


def test_several_files_keep_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "a.mid", folder / "sub" / "a.mid"):
        path.touch()
    out = tmp_path / "out"
    places = dict(pair_up([folder], out))
    assert set(places.values()) == {out / "a.mid", out / "sub" / "a.mid"}
    with pytest.raises(ConfigError, match="both be written"):
        list(pair_up([folder / "a.mid", folder / "sub" / "a.mid"], out))
    out.mkdir()
    with pytest.raises(ConfigError, match="no MIDI files"):
        list(pair_up([out], out))


def test_the_command_continues_a_file_and_a_folder(
    heard_file: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ["--checkpoint", str(checkpoint), "--measures", "1"]
    assert main(["continue", str(heard_file), str(tmp_path / "one.mid"), *how]) == 0
    assert "1 measures" in capsys.readouterr().out
    (heard_file.parent / "many").mkdir()
    heard_file.rename(heard_file.parent / "many" / "in.mid")
    (heard_file.parent / "many" / "broken.mid").write_bytes(b"no MIDI")
    out = tmp_path / "out"
    assert main(["continue", str(heard_file.parent / "many"), "--out", str(out), *how]) == 1
    assert "left out" in capsys.readouterr().err
    assert (out / "in.mid").exists()
    assert not (out / "broken.mid").exists()


def test_the_command_generates(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.mid"
    how = ["--seconds", "3", "--checkpoint", str(checkpoint), "--preset", "published"]
    assert main(["generate", str(out), *how]) == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["continue", "a.mid", "b.mid", "c.mid"], "--out DIR"),
        (["continue", "a.mid", "b.mid", "--temperature", "-1"], "greater than 0"),
        (["continue", "a.mid", "b.mid", "--preset", "nothing"], "there is no preset"),
        (["generate", "x.mid", "--meter", "4"], "cannot be read"),
        (["generate", "x.mid", "--scale", "heard"], "nothing is heard before it; name a scale"),
        (["generate", "x.mid", "--seconds", "nan"], "--seconds must be more than 0"),
        (["generate", "x.mid", "--seconds", "inf"], "--seconds must be more than 0"),
        (["train", "--data", "nowhere", "--out", "run"], "nowhere"),
        (["prepare", "nowhere", "--out", "run"], "nowhere"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1
