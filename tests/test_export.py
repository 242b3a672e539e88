"""A log as a MIDI file: both voices in their measures, and the tempo that was followed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.cli import main
from bridge.control_map import Binding, Source
from bridge.events import ControlChange, Event, NoteOn, OutputDelay, SongPosition, Start, Stop, Tick
from bridge.export import Export
from bridge.replay import Replay
from bridge.state_out import Light, StateOut
from bridge.timeline import JUMP_TICKS, LEAST_S, Timeline
from pianogen.grid import PPQN, Measure, Meter
from pianogen.midi_file import Score, read_score
from tests.logs import logged
from tests.stage import BEGIN, clock, measure, play, preset
from tests.test_invariants import PRESETS, delays, performances, plans

BEAT = 480
STEP = BEAT // 8


def exported(folder: Path, events: list[Event], **how: Any) -> Path:
    out = folder / "out.mid"
    assert main(["--export", str(logged(events, folder, **how)), str(out)]) == 0
    return out


def voices(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Start and pitch of each note of each track."""
    found: dict[str, list[tuple[int, int]]] = {}
    for track in mido.MidiFile(path).tracks[1:]:
        tick = 0
        notes = found.setdefault(track.name, [])
        for message in track:
            tick += message.time
            if message.type == "note_on":
                notes.append((tick, message.note))
    return found


def tempi(score: Score) -> list[tuple[int, float]]:
    """Measures of 4/4 and beats a minute, as far as the map goes."""
    return [(tick // (4 * BEAT), round(60e6 / us, 1)) for tick, us in score.tempos.tolist()]


def test_both_voices_lie_where_they_were_in_the_measures(tmp_path: Path) -> None:
    out = exported(tmp_path, [*play("| c4 e4 - - | - |"), *clock(16)])
    found = voices(out)
    assert list(found) == ["performer", "pianogen"]
    assert found["performer"] == [(0, 60), (BEAT, 64)]
    assert found["pianogen"] == [(4 * BEAT + n * BEAT, p) for n, p in enumerate((84, 86, 88, 89))]


@pytest.mark.parametrize("latency_ms", [-50.0, 0.0, 120.0])
def test_notes_sent_early_lie_where_they_were_to_be_heard(
    tmp_path: Path, latency_ms: float
) -> None:
    events = [OutputDelay(BEGIN - 1, 0.01), *play("| c4 e4 - - | - |"), *clock(16)]
    found = voices(exported(tmp_path, events, latency_ms=latency_ms))
    assert [tick for tick, _ in found["pianogen"]] == [4 * BEAT + n * BEAT for n in range(4)]


def test_the_pedal_is_written_and_what_moves_controls_is_not(tmp_path: Path) -> None:
    """CC 20 and the low notes choose presets; channel 3 is not heard."""
    low = Binding("next_preset", Source("note", 24))
    events = [*clock(8), *play("| c4 - - - |")]
    events += [ControlChange(BEGIN + t, 0, 64, value) for t, value in ((0.25, 127), (1.0, 0))]
    events += [NoteOn(BEGIN + 0.5, 0, 24, 70), NoteOn(BEGIN + 0.5, 2, 70, 70)]
    out = exported(tmp_path, events, bindings=(low,), channel=1)
    assert voices(out)["performer"] == [(0, 60)]
    assert read_score(out).pedals.tolist() == [[BEAT // 2, 2 * BEAT, 0]]


def test_what_is_passed_on_echoed_or_told_to_lights_is_not_the_machines(tmp_path: Path) -> None:
    lights = StateOut(mode=Light("note", 100), progress=Light("cc", 90))
    played = play("| c4 e4 - - | - |")
    back = [NoteOn(BEGIN + 2.01, 0, 84, 82), NoteOn(BEGIN + 2.51, 0, 86, 82)]  # a DAW's loop
    out = exported(
        tmp_path, [*clock(16), *played, *back], presets=[preset(thru="on")], state_out=lights
    )
    assert [pitch for _, pitch in voices(out)["performer"]] == [60, 64]
    assert [pitch for _, pitch in voices(out)["pianogen"]] == [84, 86, 88, 89]


def faster(tempo_from: float, tempo_to: float, measures: int) -> tuple[list[Event], list[float]]:
    """A clock that changes its tempo measure by measure, and the tempo of each."""
    events: list[Event] = [Start(BEGIN)]
    bpms = np.linspace(tempo_from, tempo_to, measures).tolist()
    time = BEGIN
    for bpm in bpms:
        for _ in range(96):
            events.append(Tick(time))
            time += 60 / bpm / PPQN
    return [*events, Stop(time)], bpms


def test_the_tempo_map_follows_the_clock(tmp_path: Path) -> None:
    events, bpms = faster(100, 130, 16)
    score = read_score(exported(tmp_path, [*events, *play("| c4 |", bpm=100)]))
    found = tempi(score)
    assert [number for number, _ in found[:16]] == list(range(16))
    for (_, bpm), true in zip(found[:16], bpms, strict=True):
        assert bpm == pytest.approx(true, rel=0.01)
    lasts = score.seconds(np.array([16 * 4 * BEAT]))[0]
    assert lasts == pytest.approx(sum(240 / bpm for bpm in bpms), rel=1e-3)


def test_the_meter_is_written_and_measures_are_its(tmp_path: Path) -> None:
    meter = Meter(3, 4)
    events = [*play("| c4 - - | - |", meter=meter), *clock(15)]
    out = exported(tmp_path, events, meter=meter, ask=lambda ask: measure(84, meter=meter))
    assert read_score(out).signatures.tolist() == [[0, 3, 4]]
    assert voices(out)["pianogen"] == [(3 * BEAT, 84)]


def test_without_a_clock_the_first_note_is_the_first_line(tmp_path: Path) -> None:
    out = exported(tmp_path, play("| c4 e4 - - | - |", bpm=90.0), bpm=90.0)
    assert voices(out)["performer"][0] == (0, 60)
    assert voices(out)["pianogen"][0] == (4 * BEAT, 84)
    assert tempi(read_score(out))[0] == (0, 90.0)


def test_a_rest_between_takes_lasts_as_long_as_it_did_in_whole_measures(tmp_path: Path) -> None:
    late = BEGIN + 8.0 + 11.3  # of the first four measures, and a pause
    events = [*play("| c4 |"), *clock(16, stops=True)]
    events += [*play("| d4 |", begin=late), *clock(8, begin=late, stops=True)]
    out = exported(tmp_path, events)
    (_, first), (tick, _) = voices(out)["performer"]
    assert first == 60
    assert tick % (4 * BEAT) == 0
    seconds = read_score(out).seconds(np.array([tick]))[0]
    assert seconds == pytest.approx(late - BEGIN, abs=0.01)


def test_notes_before_it_rolls_come_before_the_first_line(tmp_path: Path) -> None:
    events = [NoteOn(BEGIN - 5.0, 0, 50, 70), Start(BEGIN), *clock(8), *play("| c4 |")]
    out = exported(tmp_path, events, clock_wait_s=60.0)
    (early, fifty), (tick, sixty) = voices(out)["performer"]
    assert (early, fifty, sixty) == (0, 50, 60)
    assert tick % (4 * BEAT) == 0
    assert read_score(out).seconds(np.array([tick]))[0] == pytest.approx(5.0, abs=0.01)


def test_a_loop_in_the_daw_goes_on_without_a_hole(tmp_path: Path) -> None:
    """Two measures, looped three times: a song position a moment before each pass."""
    events: list[Event] = [Start(BEGIN)]
    for time in range(3):
        begin = BEGIN + 4.0 * time
        if time:
            events.append(SongPosition(begin - 0.002, 0))
        events += [Tick(begin + n / 48) for n in range(192)]
        events += play("| c4 | d4 |", begin=begin + 0.001)
    out = exported(tmp_path, events)
    score = read_score(out)
    ticks = [tick for tick, _ in voices(out)["performer"]]
    assert ticks == pytest.approx([n * 4 * BEAT for n in range(6)], abs=2)
    assert all(119 < bpm < 121 for _, bpm in tempi(score)[:-1])


@given(performances(), st.lists(plans, min_size=1, max_size=4), delays)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_was_played_can_be_written(
    events: list[Event], answers: list[Measure], delay: float
) -> None:
    with TemporaryDirectory() as folder:
        path = logged(
            events,
            Path(folder),
            ask=lambda ask: answers[ask.seed % len(answers)],
            presets=PRESETS,
            delay=delay,
            until=60.0,
        )
        export = Export(Replay(path))
        export.follow()
        export.write(out := Path(folder) / "out.mid")
        score = read_score(out)
        assert (np.diff(score.tempos[:, 0]) > 0).all()
        assert (score.notes[:, 1] > score.notes[:, 0]).all()


def test_machine_notes_on_a_steady_clock_are_on_their_steps(tmp_path: Path) -> None:
    out = exported(tmp_path, [*play("| c4 e4 - - | - |"), *clock(40)], presets=[preset()])
    assert {tick % STEP for tick, _ in voices(out)["pianogen"]} == {0}


moves = st.lists(
    st.one_of(
        st.tuples(st.floats(0.001, 40), st.just("stand")),
        st.tuples(st.floats(0.5, 40), st.sampled_from(["roll", "jump"])),
    ),
    max_size=12,
)


@given(moves, st.sampled_from([40.0, 120.0, 333.0]))
def test_time_in_the_file_is_time_as_it_was(drawn: list[tuple[float, str]], bpm: float) -> None:
    """Whatever the run does, a moment's place and the tempo map lead back to the moment."""
    pace = bpm * PPQN / 60
    timeline = Timeline(Meter(), bpm)
    time, run = 5.0, 0.0
    timeline.begin(time)
    timeline.see(time, None, run)
    for length_s, how in drawn:
        time += length_s
        before: float | None = run
        if how == "roll":
            before = run = run + length_s * pace
        elif how == "stand":
            timeline.see(time - length_s, run, None)
            before, run = None, (run // 96 + 1) * 96
        else:
            before = run + length_s * pace
            run = (before // 96 + 1) * 96
        timeline.see(time, before, run)
    timeline.end(time)
    places = [place for place, _ in timeline.tempi()]
    assert places == sorted(places)
    near = JUMP_TICKS / pace + LEAST_S
    assert seconds_to(timeline, timeline.place_of(run)) == pytest.approx(time - 5.0, abs=near)


def seconds_to(timeline: Timeline, place: float) -> float:
    """How long the file takes to get to a place, by its tempo map."""
    total = 0.0
    for (start, bpm), (end, _) in pairwise([*timeline.tempi(), (place, 0.0)]):
        total += max(0.0, min(end, place) - start) * 60 / (bpm * PPQN)
    return total
