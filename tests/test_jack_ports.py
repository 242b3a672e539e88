"""JACK to the frame, on a JACK of the tests' own: its cycles run when a test says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import jack_client, jack_ports
from bridge.errors import PortError
from bridge.events import (
    ChannelMessage,
    ControlChange,
    Event,
    NoteOff,
    NoteOn,
    OutputDelay,
    OutputLost,
    Tick,
)
from bridge.jack_frames import AGAIN_S, LATE_S, MARGIN_S, Cycle, Outgoing, start_of_cycle
from bridge.jack_ports import JackPorts
from bridge.midi_bytes import encode
from bridge.port_names import Wanted

RATE = 48_000
FRAME_S = 1 / RATE


# What belongs at which frame


@dataclass
class Line:
    """Where each message came out: its frame, counted from the first cycle's first."""

    out: list[tuple[int, bytes]] = field(default_factory=list)

    def run(self, outgoing: Outgoing, n_frames: int, index: int) -> None:
        """One cycle, which begins when its frames do."""
        first = index * n_frames
        cycle = Cycle(first * FRAME_S, n_frames, RATE)
        last = 0

        def put(offset: int, data: bytes) -> None:
            nonlocal last
            assert last <= offset < n_frames  # JACK refuses anything else
            last = offset
            self.out.append((first + offset, data))

        outgoing.write(cycle, put)


_PERIODS = st.sampled_from([16, 64, 256, 1024, 4096])
_HANDED = st.lists(
    st.tuples(
        st.floats(0, 0.3),  # when it is handed over
        st.floats(-0.05, 0.05),  # how much later than it was due
    ),
    max_size=40,
).map(sorted)


@given(_PERIODS, _HANDED)
def test_each_message_goes_once_in_order_at_its_frame_or_the_next_there_is(
    n_frames: int, handed: list[tuple[float, float]]
) -> None:
    outgoing, line, waiting = Outgoing(), Line(), list(enumerate(handed))
    delay_s = n_frames / RATE + MARGIN_S
    expected, latest, missed = [], float("-inf"), 0
    for index in range(int(0.5 * RATE / n_frames) + 2):
        now_s = index * n_frames * FRAME_S
        while waiting and waiting[0][1][0] <= now_s:
            number, (at_s, late_s) = waiting.pop(0)
            outgoing.hand(bytes([number]), at_s - late_s)
            latest = max(latest, at_s - late_s)
            wanted = round((latest + delay_s - now_s) * RATE)
            missed += wanted < -LATE_S * RATE
            expected.append((index * n_frames + max(0, wanted), bytes([number])))
        line.run(outgoing, n_frames, index)
    assert not outgoing
    assert line.out == expected
    assert outgoing.late_frames == missed


@given(_PERIODS, st.floats(0, 10), st.floats(0, MARGIN_S - FRAME_S))
def test_what_is_handed_over_within_the_margin_leaves_a_period_and_the_margin_after_it_was_due(
    n_frames: int, due_s: float, late_s: float
) -> None:
    outgoing, line = Outgoing(), Line()
    outgoing.hand(b"x", due_s)
    first = int((due_s + late_s) * RATE / n_frames) + 1  # the first cycle that can know of it
    while outgoing:
        line.run(outgoing, n_frames, first)
        first += 1
    frame = (due_s + MARGIN_S) * RATE + n_frames
    assert [place for place, _ in line.out] == [pytest.approx(frame, abs=0.51)]
    assert outgoing.late_frames == 0


@given(_PERIODS, st.integers(0, 4095), st.floats(0, 1e6))
def test_what_comes_is_stamped_in_the_period_that_has_passed(
    n_frames: int, offset: int, start_s: float
) -> None:
    cycle = Cycle(start_s, n_frames, RATE)
    stamp = cycle.stamp(offset % n_frames)
    assert start_s - cycle.period_s <= stamp < start_s
    assert cycle.offset(stamp) == pytest.approx(offset % n_frames + MARGIN_S * RATE, abs=1)


def test_a_message_the_buffer_has_no_room_for_goes_first_with_the_next_cycle() -> None:
    outgoing, line = Outgoing(), Line()
    outgoing.hand(b"a", 0.0)
    outgoing.hand(b"b", 0.0)

    def refuse(_offset: int, _data: bytes) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        outgoing.write(Cycle(1024 / RATE, 1024, RATE), refuse)
    line.run(outgoing, 1024, 2)
    assert [data for _, data in line.out] == [b"a", b"b"]


@given(st.integers(0, 2**32 - 1), st.integers(-5000, 5000))
def test_the_frame_counter_may_begin_anew(first_frame: int, since: int) -> None:
    frame_now = (first_frame + since) % 2**32
    start_s = start_of_cycle(100.0, frame_now, first_frame, RATE)
    assert start_s == pytest.approx(100.0 - since / RATE)


# The client: a JACK whose cycles run when a test says so


class JackError(Exception):
    """As the package's."""


class CallbackExit(Exception):  # noqa: N818 (the package's name)
    """As the package's."""


class FakePort:
    """One of our ports: `lent` is what JACK gives it, `written` what it gave JACK."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lent: list[tuple[int, bytes]] = []
        self.written: list[tuple[int, bytes]] = []  # in this cycle
        self.said: list[bytes] = []  # in all of them
        self.connections: list[SimpleNamespace] = []

    def incoming_midi_events(self) -> Iterator[tuple[int, bytes]]:
        yield from self.lent

    def clear_buffer(self) -> None:
        self.written = []

    def write_midi_event(self, offset: int, data: bytes) -> None:
        self.written.append((offset, data))
        self.said.append(data)


class Server:
    """The module `jack` and its server: a clock, clients, and the ports of others."""

    JackError = JackError
    CallbackExit = CallbackExit

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.frame = 2**32 - 3000  # soon it begins anew
        self.n_frames = 256
        self.is_up = True
        self.wakes: Callable[[], bool] = lambda: True
        self.clients: list[FakeClient] = []
        self.others: dict[str, bool] = {}  # name: whether it gives
        self.wires: list[tuple[str, str]] = []

    def Client(self, name: str, *, no_start_server: bool) -> FakeClient:  # noqa: N802
        assert no_start_server
        if not self.is_up:
            raise JackError
        client = FakeClient(self, name)
        self.clients.append(client)
        return client

    def set_error_function(self, _: object) -> None:
        """Prints nothing anyway."""

    set_info_function = set_error_function

    def cycle(self) -> None:
        self.now_s += self.n_frames / RATE
        self.frame = (self.frame + self.n_frames) % 2**32
        for client in self.clients:
            if client.is_active and client.is_woken:
                client.process()

    def end(self) -> None:
        self.is_up = False
        for client in self.clients:
            client.is_active = False
            client.shutdown(object(), "it was stopped")

    def sleep(self, seconds: float) -> None:
        """Time passes for those who wait."""
        end_s = self.now_s + seconds
        while self.now_s < end_s and self.is_up:
            self.cycle()
        self.now_s = max(self.now_s, end_s)


class FakeClient:
    """As much of the package's client as is used."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.is_active = self.is_closed = False
        self.is_woken = server.wakes()
        self.out_of_thread = False
        self.inputs: list[FakePort] = []
        self.outputs: list[FakePort] = []
        self.midi_inports = SimpleNamespace(register=lambda name: self._add(self.inputs, name))
        self.midi_outports = SimpleNamespace(register=lambda name: self._add(self.outputs, name))
        self.samplerate = RATE
        self._callback: Callable[[int], None] = lambda _: None
        self.shutdown: Callable[[object, str], None] = lambda *_: None
        self.xrun: Callable[[float], None] = lambda _: None
        self.freewheel: Callable[[bool], None] = lambda _: None

    def _add(self, ports: list[FakePort], name: str) -> FakePort:
        ports.append(FakePort(f"{self.name}:{name}"))
        return ports[-1]

    @property
    def blocksize(self) -> int:
        return self.server.n_frames

    @property
    def frame_time(self) -> int:
        return self.server.frame

    @property
    def last_frame_time(self) -> int:
        return self.server.frame

    def set_process_callback(self, callback: Callable[[int], None]) -> None:
        self._callback = callback

    def set_shutdown_callback(self, callback: Callable[[object, str], None]) -> None:
        self.shutdown = callback

    def set_xrun_callback(self, callback: Callable[[float], None]) -> None:
        self.xrun = callback

    def set_freewheel_callback(self, callback: Callable[[bool], None]) -> None:
        self.freewheel = callback

    def process(self) -> None:
        try:
            self._callback(self.server.n_frames)
        except CallbackExit:
            self.out_of_thread, self.is_woken = True, False

    def activate(self) -> None:
        self.is_active = True

    def deactivate(self) -> None:
        self.is_active = False

    def close(self) -> None:
        self.is_closed = True

    def get_ports(self, *, is_midi: bool, is_output: bool, is_input: bool) -> list[Any]:
        assert is_midi
        assert is_output != is_input
        others = [name for name, gives in self.server.others.items() if gives == is_output]
        own = [port.name for port in (self.outputs if is_output else self.inputs)]
        return [SimpleNamespace(name=name) for name in others + own]

    def connect(self, source: str, target: str) -> None:
        if {source, target} & {"Broken:out"}:
            raise JackError
        self.server.wires.append((source, target))


@pytest.fixture
def jack(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setitem(sys.modules, "jack", server)
    for module in (jack_client, jack_ports):
        monkeypatch.setattr(module, "perf_counter", lambda: server.now_s)
    monkeypatch.setattr(jack_client, "sleep", server.sleep)
    return server


def opened(**wanted: str) -> tuple[JackPorts, SimpleQueue[Event]]:
    queue: SimpleQueue[Event] = SimpleQueue()
    ports = JackPorts(Wanted(**wanted))
    ports.open(queue)
    return ports, queue


def taken(queue: SimpleQueue[Event]) -> list[Event]:
    events = []
    while not queue.empty():
        events.append(queue.get_nowait())
    return events


def test_the_ports_bear_the_name_and_the_delay_is_told(jack: Server) -> None:
    _, queue = opened(name="duo")
    [client] = jack.clients
    assert [port.name for port in client.inputs + client.outputs] == ["duo:duo in", "duo:duo out"]
    assert [type(event) for event in taken(queue)] == [OutputDelay]


def test_an_answer_booked_earlier_by_the_delay_leaves_with_the_clock_it_answers(
    jack: Server,
) -> None:
    ports, queue = opened()
    [told] = taken(queue)
    assert isinstance(told, OutputDelay)
    jack.clients[0].inputs[0].lent = [(100, b"\xf8")]
    jack.cycle()
    [tick] = taken(queue)
    tick_frame = jack.frame + 100
    beat_s = 24_000 * FRAME_S
    note = NoteOn(tick.time + beat_s - told.delay_s, 0, 60, 90)
    jack.clients[0].inputs[0].lent = []
    while jack.now_s < note.time:
        jack.cycle()
    ports.send(note)
    while not jack.clients[0].outputs[0].written:
        jack.cycle()
    [(offset, data)] = jack.clients[0].outputs[0].written
    assert data == encode(note)
    assert (jack.frame + offset) % 2**32 == (tick_frame + 24_000) % 2**32


def test_what_comes_is_never_stamped_later_than_now(jack: Server) -> None:
    _, queue = opened()
    jack.clients[0].inputs[0].lent = [(0, b"\xf8"), (255, b"\xf8"), (255, b"\xfe")]
    taken(queue)
    jack.cycle()
    first, second = taken(queue)
    assert isinstance(second, Tick)
    assert second.time - first.time == pytest.approx(255 * FRAME_S)
    assert second.time < jack.now_s


def test_nothing_strange_stops_the_cycles(jack: Server) -> None:
    ports, queue = opened()
    jack.clients[0].inputs[0].lent = [(0, b""), (1, None), (2, b"\xf8")]  # type: ignore[list-item]
    jack.cycle()
    jack.clients[0].inputs[0].lent = [(0, b"\xf8")]
    taken(queue)
    jack.cycle()
    assert [type(event) for event in taken(queue)] == [Tick]
    ports.send(NoteOn(jack.now_s, 0, 200, 300))  # cannot be bytes
    ports.poll()


def test_xruns_are_counted_over_clients(jack: Server) -> None:
    ports, _ = opened()
    jack.clients[0].xrun(0.0)
    jack.end()
    jack.is_up = True
    ports.poll()
    jack.clients[1].xrun(0.0)
    assert ports.xruns == 2


def test_after_a_lost_cycle_late_note_offs_are_said_again_unless_the_key_was_struck_since(
    jack: Server,
) -> None:
    ports, _ = opened()
    [client] = jack.clients
    sent: list[ChannelMessage] = [NoteOn(0.0, 0, pitch, 60) for pitch in (48, 60, 62, 64)]
    sent += [NoteOff(0.0, 0, 48)]
    play(jack, ports, sent)
    jack.sleep(AGAIN_S)
    play(jack, ports, [NoteOff(0.0, 0, 60), NoteOff(0.0, 0, 62), NoteOn(0.0, 0, 62, 60)])
    client.outputs[0].said.clear()
    client.xrun(0.0)
    jack.cycle()
    assert client.outputs[0].written == [(0, encode(NoteOff(0.0, 0, 60)))]
    jack.sleep(AGAIN_S / 2)
    assert len(client.outputs[0].said) == 1
    assert ports.late_frames == 0


def play(jack: Server, ports: JackPorts, messages: list[ChannelMessage]) -> None:
    """Sent now, and gone."""
    for message in messages:
        ports.send(replace(message, time=jack.now_s))
    jack.sleep(2 * (jack.n_frames / RATE + MARGIN_S))


def test_while_freewheeling_notes_still_go(jack: Server) -> None:
    ports, _ = opened()
    jack.clients[0].freewheel(True)
    ports.send(NoteOn(jack.now_s, 0, 60, 60))
    for _ in range(3):
        jack.cycle()
        if jack.clients[0].outputs[0].written:
            break
    assert jack.clients[0].outputs[0].written


def test_closing_lets_out_what_waits_then_ends_jacks_thread(jack: Server) -> None:
    ports, _ = opened()
    [client] = jack.clients
    ports.send(NoteOn(jack.now_s, 0, 60, 60))
    ports.send(NoteOff(jack.now_s, 0, 60))
    ports.close()
    assert client.outputs[0].said == [encode(NoteOn(0, 0, 60, 60)), encode(NoteOff(0, 0, 60))]
    assert client.out_of_thread
    assert client.is_closed


def test_no_due_time_however_wrong_blocks_the_port(jack: Server) -> None:
    ports, _ = opened()
    messages: list[ChannelMessage] = [NoteOn(1e9, 0, 60, 60), ControlChange(jack.now_s, 0, 64, 0)]
    for message in messages:
        ports.send(message)
    ports.close()
    assert jack.clients[0].outputs[0].said == [encode(message) for message in messages]


def test_a_client_that_is_not_woken_is_made_anew(jack: Server) -> None:
    answers = [False, False, True]
    jack.wakes = lambda: answers.pop(0)
    opened()
    assert [client.is_closed for client in jack.clients] == [True, True, False]


def test_a_jack_that_wakes_no_client_is_told(jack: Server) -> None:
    jack.wakes = lambda: False
    with pytest.raises(PortError, match="wakes none"):
        opened()
    assert all(client.is_closed for client in jack.clients)


def test_a_client_that_is_woken_no_more_is_made_anew_and_connected_as_it_was(jack: Server) -> None:
    ports, queue = opened()
    [old] = jack.clients
    old.inputs[0].connections = [SimpleNamespace(name="daw:clock")]
    old.outputs[0].connections = [SimpleNamespace(name="synth:in")]
    jack.sleep(1.0)
    ports.poll()
    taken(queue)
    old.is_woken = False
    jack.sleep(1.0)
    ports.poll()
    assert old.is_closed
    assert jack.wires == [
        ("daw:clock", "pianogen:pianogen in"),
        ("pianogen:pianogen out", "synth:in"),
    ]
    assert [type(event) for event in taken(queue)] == [OutputLost]
    jack.sleep(1.0)
    ports.poll()
    assert len(jack.clients) == 2


def test_a_server_that_stands_still_for_all_is_waited_for(jack: Server) -> None:
    ports, _ = opened()
    jack.now_s += 10
    ports.poll()
    assert len(jack.clients) == 1


def test_a_server_that_ends_is_told_and_come_back_to(jack: Server) -> None:
    ports, queue = opened()
    taken(queue)
    ports.send(NoteOn(jack.now_s, 0, 60, 60))
    jack.end()
    assert [type(event) for event in taken(queue)] == [OutputLost]
    ports.send(NoteOn(jack.now_s, 0, 61, 60))  # to nobody, without complaint
    ports.poll()
    jack.is_up = True
    ports.poll()
    new = jack.clients[-1]
    for _ in range(10):
        jack.cycle()
        assert new.outputs[0].written == []  # what was for the old one is not for this
    new.inputs[0].lent = [(0, b"\xf8")]
    jack.cycle()
    assert [type(event) for event in taken(queue)] == [Tick]
    ports.close()


def test_without_a_server_one_line_says_what_to_do(jack: Server) -> None:
    jack.is_up = False
    with pytest.raises(PortError, match="start JACK"):
        opened()


@pytest.mark.parametrize(
    ("reason", "advice"), [(ImportError, r"pip install 'pianogen\[jack\]'"), (OSError, "libjack")]
)
def test_what_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch, reason: type[Exception], advice: str
) -> None:
    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "jack":
                raise reason

    monkeypatch.delitem(sys.modules, "jack", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    assert not jack_client.is_installed()
    with pytest.raises(PortError, match=advice):
        opened()


# Named ports


def test_named_ports_are_found_by_a_part_of_their_names(jack: Server) -> None:
    jack.others = {"Keys:playing": True, "Synth:midi in": False, "system:midi_capture_1": True}
    opened(input_name="keys", output_name="synth")
    assert jack.wires == [
        ("Keys:playing", "pianogen:pianogen in"),
        ("pianogen:pianogen out", "Synth:midi in"),
    ]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("organ", "there is no MIDI input"),
        ("keys", "there is more than one"),
        ("broken", "does not connect"),
        ("pianogen", "there is no MIDI input"),  # our own is none
    ],
)
def test_a_named_port_that_cannot_be_had_is_told(jack: Server, part: str, reason: str) -> None:
    jack.others = {"Keys:a": True, "Keys:b": True, "Broken:out": True}
    with pytest.raises(PortError, match=reason):
        opened(input_name=part)
    assert jack.clients[0].is_closed


def test_a_named_output_that_goes_is_told_and_connected_when_it_is_back(jack: Server) -> None:
    jack.others = {"Synth:in 20:0": False}
    ports, queue = opened(output_name="Synth")
    taken(queue)
    jack.others = {}
    ports.poll()
    ports.poll()
    assert [type(event) for event in taken(queue)] == [OutputLost]
    jack.others = {"Synth:in 24:0": False}  # the system counts on
    ports.poll()
    ports.poll()
    own = "pianogen:pianogen out"
    assert jack.wires == [(own, "Synth:in 20:0"), (own, "Synth:in 24:0")]


def test_a_named_port_is_connected_again_after_the_server_was_gone(jack: Server) -> None:
    jack.others = {"Keys:out": True}
    ports, _ = opened(input_name="Keys")
    jack.end()
    ports.poll()
    jack.is_up = True
    ports.poll()
    assert jack.wires == [("Keys:out", "pianogen:pianogen in")] * 2
