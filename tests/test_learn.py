"""Learning: what comes in while a player moves something, and what it is taken for. Fake time."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.arrivals import Inbox
from bridge.cli import main
from bridge.control_map import CONTROLS, DEFAULT_BINDINGS, VALUES, Binding, Source
from bridge.controls_file import read_controls
from bridge.controls_text import controls_text
from bridge.errors import BridgeError
from bridge.events import (
    ChannelMessage,
    ControlChange,
    Event,
    NoteOff,
    NoteOn,
    ProgramChange,
    Tick,
)
from bridge.learn import Walk
from bridge.learn_command import Typed, learn, typed_lines
from bridge.what_moved import Ear, Moved

KNOB, SWITCH, HOLD, PRESET = "temperature", "panic", "freeze", "preset"
LOOK_S = 0.05


def turn(at: float, control: int, *values: int, channel: int = 0) -> list[ChannelMessage]:
    """A controller through these values, a hundredth of a second apart."""
    return [ControlChange(at + 0.01 * n, channel, control, v) for n, v in enumerate(values)]


def press(
    at: float, control: int, *, seconds: float = 0.2, channel: int = 0
) -> list[ChannelMessage]:
    up_at = at + seconds
    return turn(at, control, 127, channel=channel) + turn(up_at, control, 0, channel=channel)


def strike(
    at: float, pitch: int, *, seconds: float = 0.2, channel: int = 0
) -> list[ChannelMessage]:
    return [NoteOn(at, channel, pitch, 80), NoteOff(at + seconds, channel, pitch)]


def sweep(at: float, control: int, channel: int = 0) -> list[ChannelMessage]:
    return turn(at, control, *range(20, 100, 4), channel=channel)


def pair(at: float, coarse: int) -> list[ChannelMessage]:
    """A knob of fourteen bits from end to end."""
    fine_and_coarse = [(value >> 7, value & 127) for value in range(0, 16384, 301)]
    return [
        message
        for n, (high, low) in enumerate(fine_and_coarse)
        for message in (
            ControlChange(at + 0.01 * n, 0, coarse, high),
            ControlChange(at + 0.01 * n, 0, coarse + 32, low),
        )
    ]


def moved(control: str, *parts: Iterable[ChannelMessage], until: float = 10.0) -> Moved | None:
    """What is heard for a control, by an ear that looks often."""
    ear = Ear()
    messages = sorted((m for part in parts for m in part), key=lambda message: message.time)
    now = 0.0
    while now < until:
        while messages and messages[0].time <= now:
            ear.hear(messages.pop(0))
        if (found := ear.moved(control, now)) is not None:
            return found
        now += LOOK_S
    return None


# A knob.


@pytest.mark.parametrize("control", [KNOB, PRESET])
def test_a_knob_that_is_turned_is_heard(control: str) -> None:
    assert moved(control, sweep(1.0, 74, channel=2)) == Moved(Source("cc", 74, 2))


def test_one_that_rests_and_jitters_is_not() -> None:
    jitter = [m for n in range(400) for m in turn(0.02 * n, 7, 100 + n % 5)]
    assert moved(KNOB, jitter) is None
    assert moved(SWITCH, jitter) is None
    assert moved(KNOB, jitter, sweep(2.0, 74)) == Moved(Source("cc", 74, 0))


def test_what_never_rests_is_heard_all_the_same() -> None:
    for_ever = [m for n in range(2000) for m in turn(0.005 * n, 74, n % 128)]
    assert moved(KNOB, for_ever) == Moved(Source("cc", 74, 0))


def test_a_pair_that_moves_together_is_one_knob_of_fourteen_bits() -> None:
    assert moved(KNOB, pair(1.0, 16)) == Moved(Source("cc14", 16, 0))
    assert moved(PRESET, pair(1.0, 16)) == Moved(Source("cc", 16, 0))
    assert moved(SWITCH, pair(1.0, 16)) == Moved(Source("cc", 16, 0))


def test_the_fine_half_of_a_pair_is_no_button() -> None:
    fine = [0, 30, 60, 90, 120, 10, 40, 70, 100]
    at = [1 + n / 50 for n in range(len(fine))]
    coarse = [m for time in at for m in turn(time, 16, 70)]
    nudge = [m for time, value in zip(at, fine, strict=True) for m in turn(time, 48, value)]
    assert moved(SWITCH, coarse, nudge) is None


def test_two_knobs_that_are_no_pair_stay_two() -> None:
    assert moved(KNOB, sweep(1.0, 16), turn(1.1, 48, 3)) == Moved(Source("cc", 16, 0))
    fine_alone = moved(KNOB, sweep(1.0, 48))
    assert fine_alone == Moved(Source("cc", 48, 0))
    apart = moved(KNOB, sweep(1.0, 16), sweep(1.0, 48, channel=1))
    assert apart is not None
    assert apart.source.kind == "cc"


def test_of_two_the_one_that_goes_further_is_meant() -> None:
    nudge = turn(1.05, 7, 60, 65, 70, 74)
    assert moved(KNOB, nudge, sweep(1.0, 74)) == Moved(Source("cc", 74, 0))


def test_neither_button_nor_key_nor_program_turns_a_value() -> None:
    assert moved(KNOB, press(1.0, 20), strike(2.0, 36), [ProgramChange(3.0, 0, 5)]) is None


# A button, a pad, a program.


def test_a_button_is_heard_when_it_comes_up() -> None:
    assert moved(SWITCH, press(1.0, 20)) == Moved(Source("cc", 20, 0))
    assert moved(SWITCH, turn(1.0, 20, 127), until=1.5) is None


def test_a_button_that_latches_is_heard_after_a_while() -> None:
    assert moved(SWITCH, turn(1.0, 20, 127)) == Moved(Source("cc", 20, 0))
    assert moved(HOLD, turn(1.0, 20, 127)) == Moved(Source("cc", 20, 0))


def test_a_pedal_that_goes_by_degrees_is_a_button_too() -> None:
    assert moved(SWITCH, turn(1.0, 4, 0, 30, 90, 120, 90, 20)) == Moved(Source("cc", 4, 0))


@pytest.mark.parametrize("way", [press, strike])
def test_what_is_tapped_switches_and_what_is_kept_down_holds(way: object) -> None:
    assert callable(way)
    tapped, kept = moved(HOLD, way(1.0, 36)), moved(HOLD, way(1.0, 36, seconds=0.8))
    longer = moved(HOLD, way(1.0, 36, seconds=8.0))
    assert tapped is not None
    assert kept is not None
    assert (tapped.is_toggle, kept.is_toggle, longer) == (True, False, kept)
    assert moved(SWITCH, way(1.0, 36)) == Moved(tapped.source)


def test_a_key_struck_alone_is_a_pad() -> None:
    assert moved(SWITCH, strike(1.0, 36, channel=9)) == Moved(Source("note", 36, 9))


@pytest.mark.parametrize("control", CONTROLS)
def test_whoever_plays_is_not_taken_for_a_pad(control: str) -> None:
    scale = [m for n in range(40) for m in strike(0.3 * n, 60 + n % 12, seconds=0.25)]
    legato = [m for n in range(40) for m in strike(0.3 * n, 60 + n % 12, seconds=0.7)]
    slow = [m for n in range(10) for m in strike(1.2 * n, 60 + n, seconds=0.9)]
    chord = [*strike(1.0, 60, seconds=3.0), *strike(1.02, 64, seconds=3.0)]
    pedal = [m for n in range(10) for m in press(0.9 * n, 64)]
    drone = [*strike(1.0, 36, seconds=4.0), *strike(3.0, 64), *strike(4.0, 67)]
    for music in (scale, legato, slow, chord, drone):
        assert moved(control, music, pedal) is None


def test_a_controller_counts_while_somebody_plays() -> None:
    scale = [m for n in range(40) for m in strike(0.3 * n, 60 + n % 12, seconds=0.25)]
    assert moved(SWITCH, scale, press(2.0, 20)) == Moved(Source("cc", 20, 0))
    assert moved(KNOB, scale, sweep(2.0, 20)) == Moved(Source("cc", 20, 0))


def test_a_program_change_is_any_for_a_preset_and_that_one_for_the_rest() -> None:
    change = [ProgramChange(1.0, 3, 5)]
    assert moved(PRESET, change) == Moved(Source("program", None, 3))
    assert moved(SWITCH, change) == Moved(Source("program", 5, 3))
    assert moved(HOLD, change) == Moved(Source("program", 5, 3), is_toggle=True)


@pytest.mark.parametrize("control", [KNOB, SWITCH, HOLD, PRESET])
def test_what_daws_send_at_play_and_stop_moves_nothing(control: str) -> None:
    burst = [
        ControlChange(1.0, channel, number, value)
        for channel in range(16)
        for number, value in ((64, 0), (120, 0), (121, 0), (123, 0), (7, 100), (10, 64), (0, 0))
    ]
    assert (
        moved(control, burst, [ControlChange(m.time + 1, m.channel, 123, 127) for m in burst])
        is None
    )


# The walk.


def walk(*parts: Iterable[ChannelMessage], controls: Sequence[str] = CONTROLS) -> Walk:
    """A walk through messages, each control looked at often, none skipped."""
    ended = Walk(DEFAULT_BINDINGS, controls)
    messages = sorted((m for part in parts for m in part), key=lambda message: message.time)
    for n in range(round(30 / LOOK_S)):
        while messages and messages[0].time <= n * LOOK_S:
            ended.hear(messages.pop(0))
        ended.look(n * LOOK_S)
    return ended


def bound(ended: Walk, control: str) -> list[Source]:
    return [b.source for b in ended.bindings if b.control == control]


def test_each_control_in_turn_gets_what_moves() -> None:
    ended = walk(sweep(1, 70), sweep(3, 71), press(5, 72), controls=(KNOB, "polyphony", SWITCH))
    assert ended.control is None
    assert list(ended.learned) == [KNOB, "polyphony", SWITCH]
    expected = {KNOB: 70, "polyphony": 71, SWITCH: 72}
    for control, number in expected.items():
        assert bound(ended, control) == [Source("cc", number, 0)]
    (knob,) = [b for b in ended.bindings if b.control == KNOB]
    assert knob.value == VALUES[KNOB]


def test_a_knob_still_in_motion_is_not_the_next_control() -> None:
    on_and_on = [m for n in range(300) for m in turn(1 + 0.02 * n, 70, (3 * n) % 128)]
    begun = Walk(DEFAULT_BINDINGS, (KNOB, "polyphony"))
    told = []
    for message in on_and_on:
        begun.hear(message)
        told.append(begun.look(message.time))
    told.append(begun.look(20.0))
    assert [line for line in told if line] == ["heard CC 70 on channel 1"]
    assert begun.control == "polyphony"


def test_what_was_learned_in_this_walk_is_not_given_away() -> None:
    ended = walk(sweep(1, 70), sweep(5, 70), sweep(8, 71), controls=(KNOB, "polyphony"))
    assert bound(ended, KNOB) == [Source("cc", 70, 0)]
    assert bound(ended, "polyphony") == [Source("cc", 71, 0)]


def test_what_another_had_before_is_taken_and_told() -> None:
    begun = Walk(DEFAULT_BINDINGS, (KNOB,))
    for message in sweep(1, 27):
        begun.hear(message)
    assert begun.look(5.0) == "heard CC 27 on channel 1; polyphony had it until now"
    assert bound(begun, "polyphony") == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "tapped: each tap switches"), (0.9, "kept down: on while it is down")],
)
def test_what_lasts_is_told_with_the_way_it_was_moved(seconds: float, told: str) -> None:
    begun = Walk(DEFAULT_BINDINGS, (HOLD,))
    for message in press(1, 66, seconds=seconds):
        begun.hear(message)
    assert begun.look(3.0) == f"heard CC 66 on channel 1, {told}"
    (binding,) = [b for b in begun.bindings if b.control == HOLD]
    assert binding.is_toggle is (seconds < 0.5)


@pytest.mark.parametrize("control", [KNOB, PRESET])
def test_a_button_where_a_knob_is_needed_is_told_once(control: str) -> None:
    begun = Walk(DEFAULT_BINDINGS, (control,))
    for message in press(1, 66):
        begun.hear(message)
    told = [begun.look(1.0 + LOOK_S * n) for n in range(100)]
    assert [line for line in told if line] == [
        "heard CC 66 on channel 1, which only goes down and up: turn a knob, slowly"
    ]
    assert begun.control == control


def test_a_mistake_is_told() -> None:
    begun = Walk(DEFAULT_BINDINGS, (KNOB, "polyphony"))
    for message in sweep(1, 70):
        begun.hear(message)
    assert begun.look(5.0) == "heard CC 70 on channel 1"
    for message in sweep(9, 70):
        begun.hear(message)
    told = begun.look(12.0)
    assert told == "heard CC 70 on channel 1, which you just gave to temperature: move another"
    assert begun.control == "polyphony"


def test_a_preset_keeps_its_program_changes_when_a_knob_is_learned_for_it() -> None:
    ended = walk(sweep(1, 70), controls=(PRESET,))
    assert set(bound(ended, PRESET)) == {Source("cc", 70, 0), Source("program", None)}
    ended = walk([ProgramChange(1.0, 2, 9)], controls=(PRESET,))
    assert set(bound(ended, PRESET)) == {Source("cc", 20), Source("program", None, 2)}


def test_what_a_control_kept_is_not_what_it_learned() -> None:
    ended = walk(sweep(1, 70), [ProgramChange(3.0, 0, 5)], controls=(PRESET, SWITCH))
    assert bound(ended, PRESET) == [Source("cc", 70, 0)]
    assert bound(ended, SWITCH) == [Source("program", 5, 0)]


def test_what_is_skipped_stays_as_it_is() -> None:
    begun = Walk(DEFAULT_BINDINGS)
    for number, control in enumerate(CONTROLS):
        assert begun.prompt().startswith(f"{number + 1}/{len(CONTROLS)} {control}: ")
        begun.skip()
    assert (begun.control, begun.prompt(), begun.look(1.0)) == (None, "", None)
    assert begun.bindings == DEFAULT_BINDINGS


HANDS = st.one_of(
    st.builds(lambda n, c: sweep(0.0, n, c), st.integers(0, 119), st.integers(0, 15)),
    st.builds(lambda n: pair(0.0, n), st.integers(0, 31)),
    st.builds(lambda n, s: press(0.0, n, seconds=s), st.integers(0, 119), st.floats(0.05, 2)),
    st.builds(lambda n, s: strike(0.0, n, seconds=s), st.integers(0, 127), st.floats(0.05, 2)),
    st.builds(lambda n: [ProgramChange(0.0, 0, n)], st.integers(0, 127)),
)


@given(st.lists(HANDS, max_size=25), st.data())
def test_whatever_is_moved_the_map_can_be_written_and_read(
    hands: list[list[ChannelMessage]], data: st.DataObject
) -> None:
    begun = Walk(DEFAULT_BINDINGS)
    now = 0.0
    for hand in hands:
        for message in hand:
            begun.hear(type(message)(message.time + now, *_rest(message)))
        now += 4.0
        begun.look(now)
        if data.draw(st.booleans()):
            begun.skip()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "controls.yaml"
        path.write_text(controls_text(begun.bindings))
        assert set(read_controls(path).bindings) == set(begun.bindings)


def _rest(message: ChannelMessage) -> tuple[int, ...]:
    match message:
        case ControlChange():
            return message.channel, message.control, message.value
        case ProgramChange():
            return message.channel, message.program
        case _:
            return message.channel, message.pitch, message.velocity


# The command.


class HandPorts:
    """Ports at which, as soon as they are open, a hand moves something."""

    def __init__(self, *events: Event) -> None:
        self.is_open = False
        self._events = events

    def open(self, queue: Inbox) -> str:
        self.is_open = True
        for event in self._events:
            queue.put(event)
        return "ports of a hand"

    def send(self, message: ChannelMessage) -> None: ...

    def poll(self) -> None: ...

    def close(self) -> None:
        self.is_open = False


def typing(*lines: str | None) -> Typed:
    typed: Typed = SimpleQueue()
    for line in lines:
        typed.put(line)
    return typed


def run(path: Path, ports: HandPorts, typed: Typed, *controls: str) -> tuple[int, list[str]]:
    said: list[str] = []
    code = learn(ports, Walk(DEFAULT_BINDINGS, controls or CONTROLS), path, typed, said.append)
    assert not ports.is_open
    return code, said


def test_what_was_moved_is_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    ports = HandPorts(Tick(0.0), *press(-5.0, 70), Tick(0.0))
    code, said = run(path, ports, typing(), SWITCH)
    assert code == 0
    assert "  heard CC 70 on channel 1" in said
    assert said[-2] == f"wrote {path}: 1 learned (panic)"
    assert said[-1].startswith(f"use it: pianogen-bridge --controls {path}")
    rest = {b for b in DEFAULT_BINDINGS if b.control != SWITCH}
    assert set(read_controls(path).bindings) == rest | {Binding(SWITCH, Source("cc", 70, 0))}
    assert [file.name for file in tmp_path.iterdir()] == ["map.yaml"]


@pytest.mark.parametrize("end", ["q", "Q", "quit", None])
def test_q_and_the_end_of_the_input_end_the_walk_and_write(tmp_path: Path, end: str | None) -> None:
    path = tmp_path / "map.yaml"
    code, said = run(path, HandPorts(*press(-5.0, 70)), typing("", end), "repeat", SWITCH, KNOB)
    assert (code, path.is_file()) == (0, True)
    assert sum(line.startswith("3/3") for line in said) == 1


def test_where_nothing_was_moved_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    code, said = run(path, HandPorts(), typing("", ""), KNOB, SWITCH)
    assert (code, said[-1]) == (0, "nothing was moved: nothing is written")
    assert not path.exists()


def test_ctrl_c_writes_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("panic: none\n")
    before = signal.getsignal(signal.SIGINT)

    class Interrupted(HandPorts):
        def open(self, queue: Inbox) -> str:
            signal.raise_signal(signal.SIGINT)
            return super().open(queue)

    code, said = run(path, Interrupted(*press(-5.0, 70)), typing())
    assert (code, said[-1]) == (1, "ended: nothing is written")
    assert path.read_text() == "panic: none\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_map_that_cannot_be_written_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said: list[str] = []
    walk_of_one = Walk(DEFAULT_BINDINGS, (SWITCH,))
    ports = HandPorts(*press(-5.0, 70))
    with pytest.raises(BridgeError, match=r"cannot be written: .*; the map is above"):
        learn(ports, walk_of_one, tmp_path / "file" / "map.yaml", typing(), said.append)
    assert "panic: {cc: 70, channel: 1}" in said[-1]


def test_a_folder_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(BridgeError, match="is a folder"):
        run(tmp_path, HandPorts(), typing())


def test_lines_come_from_a_pipe_until_it_ends() -> None:
    out, into = os.pipe()
    typed = typed_lines(out)
    os.write(into, b"\nq\r\nrest without its end")
    os.close(into)
    assert [typed.get(timeout=10) for _ in range(3)] == ["", "q", None]
    os.close(out)


@pytest.fixture
def silent_hand(monkeypatch: pytest.MonkeyPatch) -> HandPorts:
    """Nothing is moved and nothing is typed."""
    ports = HandPorts()
    monkeypatch.setattr("bridge.ports.system_ports", lambda *_: ports)
    monkeypatch.setattr("sys.stdin", None)
    return ports


@pytest.mark.parametrize("argument", ["--learn", "--controls"])
def test_a_map_there_is_is_what_the_walk_begins_with(
    tmp_path: Path, silent_hand: HandPorts, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("preset: {cc: 99}\n")
    learn_to = [] if argument == "--learn" else ["--learn", str(tmp_path / "new.yaml")]
    assert main([argument, str(path), *learn_to]) == 0
    out = capsys.readouterr().out
    assert "1/" in out
    assert "(now CC 99)" in out
    assert out.endswith("nothing was moved: nothing is written\n")
    assert not silent_hand.is_open


def test_a_bad_map_is_told_before_anything_is_asked(
    tmp_path: Path, silent_hand: HandPorts, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.yaml").write_text("panik: none\n")
    assert main(["--learn", str(tmp_path / "map.yaml")]) == 2
    assert "did you mean panic?" in capsys.readouterr().err
    assert not silent_hand.is_open
