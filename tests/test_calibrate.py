"""Calibration: notes out, notes back, and the value that follows. Fake time but for the driver."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import pairwise
from queue import SimpleQueue
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.arrivals import Inbox
from bridge.calibrate import (
    NOTE_S,
    PITCHES,
    PROBE_PITCH,
    WAIT_S,
    Calibration,
    Figures,
    calibrate,
    report,
)
from bridge.cli import main
from bridge.errors import BridgeError, PortError
from bridge.events import (
    ChannelMessage,
    Event,
    NoteOff,
    NoteOn,
    OutputDelay,
    OutputLost,
    Quit,
    Tick,
)
from bridge.port_names import Wanted
from tests.stage import assert_whole

BEGIN = 10.0
WANTED = Wanted("duo")

Room = Callable[[NoteOn], list[Event]]  # what comes back of a note


class Run:
    """A calibration from beginning to end, on simulated time."""

    def __init__(self, room: Room, *, seed: int = 0, first: tuple[Event, ...] = ()) -> None:
        self.sent: list[NoteOn | NoteOff] = []
        self.calibration = calibration = Calibration(BEGIN, seed=seed)
        coming = sorted(first, key=lambda event: event.time)
        now = BEGIN
        while not calibration.is_over:
            messages = calibration.due(now)
            self.sent += messages
            for message in messages:
                coming += room(message) if isinstance(message, NoteOn) else []
            coming.sort(key=lambda event: event.time)
            if coming and coming[0].time <= calibration.next_due:
                now = max(now, coming[0].time)
                calibration.hear(coming.pop(0))
            else:
                now = max(now, calibration.next_due)
        self.end = now
        self.sent += calibration.release(now)
        self.figures = calibration.figures

    @property
    def struck(self) -> list[NoteOn]:
        """The notes that count."""
        notes = [message for message in self.sent if isinstance(message, NoteOn)]
        return [note for note in notes if note.pitch != PROBE_PITCH]


def later(seconds: float) -> Room:
    return lambda note: [NoteOn(note.time + seconds, 3, note.pitch, 90)]


def nothing(_: NoteOn) -> list[Event]:
    return []


def test_what_comes_back_after_a_time_has_that_round_trip() -> None:
    figures = Run(later(0.0125)).figures
    assert (figures.sent, figures.lost, figures.strange) == (len(PITCHES), 0, 0)
    assert figures.trips_ms == pytest.approx([12.5] * len(PITCHES))
    assert figures.latency_ms(is_one_way=False) == 12.5
    assert figures.latency_ms(is_one_way=True) == 6.2


def test_what_the_port_itself_delays_is_not_counted_again() -> None:
    first = (OutputDelay(BEGIN, 0.002),)
    assert Run(later(0.002), first=first).figures.latency_ms(is_one_way=False) == 0.0
    figures = Run(later(0.010), first=first).figures
    assert figures.latency_ms(is_one_way=False) == 8.0
    assert "without the port's own 2.00 ms" in report(figures, is_one_way=False)[1]


def test_nothing_is_counted_before_a_probe_came_back_and_probes_go_on_until_then() -> None:
    def deaf_at_first(note: NoteOn) -> list[Event]:
        return later(0.01)(note) if note.time > BEGIN + 7 else []

    run = Run(deaf_at_first)
    assert run.struck[0].time > BEGIN + 7
    assert (run.figures.sent, run.figures.lost) == (len(PITCHES), 0)


def test_where_nothing_ever_comes_back_it_ends_after_the_wait() -> None:
    run = Run(nothing)
    assert run.end == pytest.approx(BEGIN + WAIT_S)
    assert run.figures.sent == 0


def test_the_notes_are_of_one_pitch_each_and_at_uneven_intervals() -> None:
    struck = Run(later(0.01)).struck
    assert sorted(note.pitch for note in struck) == list(PITCHES)
    gaps = [b.time - a.time for a, b in pairwise(struck)]
    for period in (0.00133, 0.00533, 0.02133):  # of drivers: every phase of them is met
        phases = sorted(note.time % period / period for note in struck)
        assert max(b - a for a, b in pairwise(phases)) < 0.25
    assert min(gaps) > NOTE_S
    assert len({round(gap, 3) for gap in gaps}) > len(gaps) / 2


def test_a_note_that_comes_twice_counts_once_and_what_was_not_sent_not_at_all() -> None:
    def echo(note: NoteOn) -> list[Event]:
        twice = [*later(0.01)(note), *later(0.05)(note)]
        return [*twice, NoteOn(note.time + 0.02, 0, 20, 90), Tick(note.time + 0.03)]

    figures = Run(echo).figures
    assert figures.trips_ms == pytest.approx([10.0] * len(PITCHES))
    assert figures.strange >= 2 * len(PITCHES)


def test_what_is_lost_is_said_and_what_came_still_counts() -> None:
    lossy = Run(lambda n: later(0.01)(n) if n.pitch % 4 or n.pitch == PROBE_PITCH else []).figures
    assert lossy.lost == len([pitch for pitch in PITCHES if pitch % 4 == 0])
    text = "\n".join(report(lossy, is_one_way=False))
    assert f"lost {lossy.lost} of {lossy.sent}" in text
    assert "use `latency_ms: 10` in the preset, or --latency-ms 10\n" in text


def test_a_lost_output_ends_it_with_an_error() -> None:
    with pytest.raises(PortError, match="went away"):
        Calibration(BEGIN).hear(OutputLost(BEGIN))


@given(
    trips=st.lists(st.floats(0.0, 0.9), min_size=41, max_size=41),
    heard=st.lists(st.booleans(), min_size=41, max_size=41),
    seed=st.integers(0, 99),
    stop_s=st.one_of(st.none(), st.floats(0.0, 20.0)),
)
def test_every_note_ends_whatever_comes_back_and_whenever_it_is_ended(
    trips: list[float], heard: list[bool], seed: int, stop_s: float | None
) -> None:
    def room(note: NoteOn) -> list[Event]:
        is_heard = heard[note.pitch - PROBE_PITCH] or note.pitch == PROBE_PITCH
        return later(trips[note.pitch - PROBE_PITCH])(note) if is_heard else []

    run = Run(room, seed=seed, first=() if stop_s is None else (Quit(BEGIN + stop_s),))
    assert_whole(run.sent)
    assert run.figures.lost >= 0
    if stop_s is None:
        kept = [trips[p - PROBE_PITCH] for p in PITCHES if heard[p - PROBE_PITCH]]
        assert sorted(run.figures.trips_ms) == pytest.approx(
            sorted(1000 * t for t in kept), abs=1e-6
        )


@given(st.lists(st.floats(0.0, 400.0), min_size=10, max_size=60), st.floats(0.0, 30.0))
def test_the_value_is_the_median_and_one_way_is_half_of_it(trips: list[float], own: float) -> None:
    figures = Figures(len(trips), trips, 0, own)
    whole = figures.latency_ms(is_one_way=False)
    assert whole == pytest.approx(median(trips), abs=0.0501)
    assert figures.latency_ms(is_one_way=True) == pytest.approx(median(trips) / 2, abs=0.0501)
    assert f"--latency-ms {whole:g}" in "\n".join(report(figures, is_one_way=False))


def test_an_uneven_return_and_one_too_late_are_remarked_on() -> None:
    even = report(Figures(20, [10.0] * 20, 0, 0.0), is_one_way=False)
    uneven = report(Figures(20, [5.0, 25.0] * 10, 0, 0.0), is_one_way=False)
    late = report(Figures(20, [700.0] * 20, 0, 0.0), is_one_way=False)
    assert "smaller buffer" not in "\n".join(even)
    assert "smaller buffer" in "\n".join(uneven)
    assert "more than the 500 ms there can be" in "\n".join(late)


class RoomPorts:
    """Ports in a room: `then` is called after each note that goes out."""

    def __init__(self, then: Callable[[list[ChannelMessage], Inbox], None]) -> None:
        self.sent: list[ChannelMessage] = []
        self.is_open = False
        self._then = then
        self._queue: Inbox = SimpleQueue()

    def open(self, queue: Inbox) -> str:
        self._queue = queue
        self.is_open = True
        return "ports in a room"

    def send(self, message: ChannelMessage) -> None:
        assert self.is_open
        self.sent.append(message)
        if isinstance(message, NoteOn):
            self._then(self.sent, self._queue)

    def poll(self) -> None: ...

    def close(self) -> None:
        self.is_open = False


def test_ctrl_c_ends_it_in_order_with_nothing_sounding() -> None:
    ports = RoomPorts(lambda _sent, _queue: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(BridgeError):
        calibrate(ports, WANTED)
    assert_whole(ports.sent)
    assert len(ports.sent) == 2
    assert not ports.is_open
    assert signal.getsignal(signal.SIGINT) is before


def test_an_output_that_goes_away_leaves_ports_closed() -> None:
    ports = RoomPorts(lambda sent, queue: queue.put(OutputLost(sent[-1].time)))
    with pytest.raises(PortError):
        calibrate(ports, WANTED)
    assert_whole(ports.sent)
    assert not ports.is_open


@pytest.mark.parametrize(
    ("wanted", "advice"),
    [
        (WANTED, "nothing came back: in the DAW, give a MIDI track the input 'duo out', monitor"),
        (Wanted("duo", "Scarlett", "Scarlett MIDI"), "the input 'Scarlett MIDI', monitoring on"),
    ],
)
def test_where_too_little_came_back_the_error_says_what_to_route(
    wanted: Wanted, advice: str
) -> None:
    ports = RoomPorts(lambda sent, queue: queue.put(Quit(sent[-1].time)))
    with pytest.raises(BridgeError) as caught:
        calibrate(ports, wanted)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_way_is_a_matter_of_calibration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--one-way"]) == 2
    assert capsys.readouterr().err == "pianogen-bridge: error: --one-way needs --calibrate\n"
