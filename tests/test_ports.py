"""Bytes to events and back, ports in memory, and how a named port is found and lost."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import jack_client, ports, rtmidi_ports
from bridge.errors import PortError
from bridge.events import (
    ChannelMessage,
    Continue,
    ControlChange,
    Event,
    MidiEvent,
    NoteOff,
    NoteOn,
    Other,
    OutputLost,
    ProgramChange,
    SongPosition,
    Start,
    Stop,
    Tick,
)
from bridge.memory_ports import MemoryPorts
from bridge.midi_bytes import encode, parse
from bridge.port_names import Wanted
from bridge.ports import Driver, system_ports
from bridge.rtmidi_ports import RtMidiPorts


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ([0x90, 60, 100], NoteOn(1.0, 0, 60, 100)),
        ([0x9F, 60, 0], NoteOff(1.0, 15, 60, 0)),
        ([0x83, 60, 64], NoteOff(1.0, 3, 60, 64)),
        ([0xB0, 64, 127], ControlChange(1.0, 0, 64, 127)),
        ([0xC2, 5], ProgramChange(1.0, 2, 5)),
        ([0xE1, 0, 64], Other(1.0, 1, 0xE0, bytes((0, 64)))),
        ([0xA3, 60, 9], Other(1.0, 3, 0xA0, bytes((60, 9)))),
        ([0xDF, 7], Other(1.0, 15, 0xD0, bytes((7,)))),
        ([0xF8], Tick(1.0)),
        ([0xFA], Start(1.0)),
        ([0xFB], Continue(1.0)),
        ([0xFC], Stop(1.0)),
        ([0xF2, 0x10, 0x02], SongPosition(1.0, 272)),
        ([0xF2, 0x7F, 0x7F], SongPosition(1.0, 16383)),
    ],
)
def test_bytes_become_events(data: list[int], event: MidiEvent) -> None:
    assert parse(data, 1.0) == event


@pytest.mark.parametrize(
    "data",
    [
        [],
        [0xF0, 0x7E, 0xF7],
        [0xFE],
        [0xFF],
        [0xE0, 0],
        [0xA0, 60],
        [0xD0],
        [0xD0, 128],
        [0xF1, 0],
        [0xF3, 1],
        [0xF2, 1],
        [0x90, 60],
        [0x90, 200, 1],
        [60, 100],
    ],
)
def test_what_is_not_used_is_dropped(data: list[int]) -> None:
    assert parse(data, 1.0) is None


@given(st.lists(st.integers(0, 255), max_size=6))
def test_no_bytes_are_too_strange(data: list[int]) -> None:
    parse(data, 0.0)


_SEVEN, _CHANNEL = st.integers(0, 127), st.integers(0, 15)
_PAIR = st.tuples(_SEVEN, _SEVEN).map(bytes)


@given(
    st.one_of(
        st.builds(NoteOn, st.just(0.0), _CHANNEL, _SEVEN, st.integers(1, 127)),
        st.builds(NoteOff, st.just(0.0), _CHANNEL, _SEVEN, _SEVEN),
        st.builds(ControlChange, st.just(0.0), _CHANNEL, _SEVEN, _SEVEN),
        st.builds(ProgramChange, st.just(0.0), _CHANNEL, _SEVEN),
        st.builds(Other, st.just(0.0), _CHANNEL, st.sampled_from([0xA0, 0xE0]), _PAIR),
        st.builds(Other, st.just(0.0), _CHANNEL, st.just(0xD0), _SEVEN.map(lambda b: bytes((b,)))),
    )
)
def test_what_is_sent_reads_back(message: ChannelMessage) -> None:
    assert parse(encode(message), 0.0) == message


def test_memory_ports_stamp_what_is_fed_and_keep_what_is_sent() -> None:
    queue: SimpleQueue[Event] = SimpleQueue()
    ports = MemoryPorts()
    ports.open(queue)
    ports.feed([0x90, 60, 100])
    ports.feed([0xFE])
    event = queue.get_nowait()
    assert isinstance(event, NoteOn)
    assert event.time > 0
    assert queue.empty()
    ports.send(NoteOff(0.0, 0, 60))
    assert [message for _, message in ports.sent] == [NoteOff(0.0, 0, 60)]


class FakeDriver:
    """As much of an rtmidi object as the ports use; `present` is what the system has."""

    present: dict[str, list[str]] = {}  # noqa: RUF012 (set anew by every test)
    has_virtual = True

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.opened: str | None = None
        self.callback: Any = None
        self.ignores_clocks = True
        self.sent: list[bytes] = []

    def get_ports(self) -> list[str]:
        return self.present[self.direction]

    def get_current_api(self) -> int:
        return 0

    def open_virtual_port(self, name: str) -> None:
        if not self.has_virtual:
            raise NotImplementedError
        self.opened = f"virtual {name}"

    def open_port(self, index: int, name: str) -> None:
        self.opened = self.get_ports()[index]

    def ignore_types(self, *, sysex: bool, timing: bool, active_sense: bool) -> None:
        assert sysex
        assert active_sense
        self.ignores_clocks = timing

    def set_callback(self, callback: Any) -> None:
        assert not self.ignores_clocks
        self.callback = callback

    def cancel_callback(self) -> None:
        assert self.ignores_clocks  # else one may be on its way to what is taken away here
        self.callback = None

    def send_message(self, data: bytes) -> None:
        self.sent.append(data)

    def close_port(self) -> None:
        self.opened = None

    def delete(self) -> None:
        self.opened = "deleted"


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeDriver]:
    made: dict[str, FakeDriver] = {}

    def make(direction: str, name: str) -> FakeDriver:
        return made.setdefault(direction, FakeDriver(direction))

    monkeypatch.setattr(rtmidi_ports, "_make", make)
    monkeypatch.setattr(rtmidi_ports, "_SETTLE_S", 0.0)
    monkeypatch.setattr(FakeDriver, "present", {"in": [], "out": []})
    monkeypatch.setattr(FakeDriver, "has_virtual", True)
    return made


def opened(**wanted: str) -> tuple[RtMidiPorts, SimpleQueue[Event]]:
    queue: SimpleQueue[Event] = SimpleQueue()
    ports = RtMidiPorts(Wanted(**wanted))
    ports.open(queue)
    return ports, queue


def test_virtual_ports_bear_the_name(drivers: dict[str, FakeDriver]) -> None:
    opened(name="duo")
    assert drivers["in"].opened == "virtual duo in"
    assert drivers["out"].opened == "virtual duo out"


def test_where_there_are_no_virtual_ports_those_of_the_name_are_used(
    drivers: dict[str, FakeDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDriver, "has_virtual", False)
    FakeDriver.present.update({"in": ["duo in 0"], "out": ["Synth 0", "duo out 1"]})
    opened(name="duo")
    assert drivers["in"].opened == "duo in 0"
    assert drivers["out"].opened == "duo out 1"


def test_a_named_port_is_found_by_a_part_of_its_name(drivers: dict[str, FakeDriver]) -> None:
    FakeDriver.present["out"] = ["Midi Through:Through 14:0", "Synth:MIDI 1 20:0"]
    opened(output_name="synth")
    assert drivers["out"].opened == "Synth:MIDI 1 20:0"


@pytest.mark.parametrize(
    ("part", "reason"), [("organ", "there is no MIDI output"), ("syn", "there is more than one")]
)
def test_a_port_not_there_or_not_clear_is_told(
    drivers: dict[str, FakeDriver], part: str, reason: str
) -> None:
    FakeDriver.present["out"] = ["Synth A", "Synth B"]
    with pytest.raises(PortError, match=rf"{reason}.*'Synth A', 'Synth B'"):
        opened(output_name=part)


def test_an_exact_name_wins_over_a_longer_one(drivers: dict[str, FakeDriver]) -> None:
    FakeDriver.present["out"] = ["Synth 2 21:0", "Synth 20:0"]
    opened(output_name="Synth")
    assert drivers["out"].opened == "Synth 20:0"


def test_an_output_that_goes_is_told_and_found_again(drivers: dict[str, FakeDriver]) -> None:
    FakeDriver.present["out"] = ["Synth:MIDI 20:0"]
    ports, queue = opened(output_name="Synth")
    ports.poll()
    assert queue.empty()
    FakeDriver.present["out"] = []
    ports.poll()
    assert isinstance(queue.get_nowait(), OutputLost)
    ports.send(NoteOn(0.0, 0, 60, 60))  # to nobody, without complaint
    assert drivers["out"].sent == []
    FakeDriver.present["out"] = ["Synth:MIDI 24:0"]  # the system counts on
    ports.poll()
    ports.send(NoteOn(0.0, 0, 60, 60))
    assert drivers["out"].opened == "Synth:MIDI 24:0"
    assert drivers["out"].sent == [bytes((0x90, 60, 60))]


def test_an_input_that_comes_back_is_heard_again(drivers: dict[str, FakeDriver]) -> None:
    FakeDriver.present["in"] = ["Keys 20:0"]
    ports, queue = opened(input_name="Keys")
    FakeDriver.present["in"] = []
    ports.poll()
    assert not drivers["in"].callback
    FakeDriver.present["in"] = ["Keys 20:0"]
    ports.poll()
    drivers["in"].callback(([0xF8], 0.0), None)
    assert isinstance(queue.get_nowait(), Tick)


def test_closing_deletes_the_ports(drivers: dict[str, FakeDriver]) -> None:
    ports, _ = opened()
    ports.close()
    assert [driver.opened for driver in drivers.values()] == ["deleted", "deleted"]


@pytest.mark.parametrize(
    ("platform", "has_alsa", "has_jack", "kind"),
    [
        ("linux", True, True, "RtMidiPorts"),
        ("linux", False, True, "JackPorts"),
        ("linux", False, False, "RtMidiPorts"),
        ("darwin", False, True, "RtMidiPorts"),
        ("win32", False, True, "RtMidiPorts"),
    ],
)
def test_jack_is_spoken_to_directly_where_it_is_all_there_is(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
    has_alsa: bool,
    has_jack: bool,
    kind: str,
) -> None:
    monkeypatch.setattr("bridge.ports.sys.platform", platform)
    monkeypatch.setattr(ports, "_ALSA_SEQUENCER", tmp_path if has_alsa else tmp_path / "none")
    monkeypatch.setattr(jack_client, "is_installed", lambda: has_jack)
    assert type(system_ports(Wanted())).__name__ == kind


@pytest.mark.parametrize(("driver", "kind"), [("jack", "JackPorts"), ("rtmidi", "RtMidiPorts")])
def test_the_driver_that_is_asked_for_is_taken(driver: Driver, kind: str) -> None:
    assert type(system_ports(Wanted(), driver)).__name__ == kind
