"""How long a note takes out of our port, through the DAW and back: the `latency_ms` to use.

    NAME out ──► DAW, interface or room ──► NAME in
        |------------ round trip -----------|

A probe is sent until it comes back, so that there is time to route it; then some 40 notes, each of
another pitch so that they are told apart, at uneven intervals that no grid of the driver's can
hide in. The clock comes in by the way the notes came back: a measure line is heard late by the way
in, and what is played on it arrives late by the way out. Both together are the round trip. Where
the clock comes by a way of its own, the way out alone counts: half of it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from random import Random
from statistics import median, quantiles
from time import perf_counter

from bridge.errors import BridgeError, PortError
from bridge.events import Event, NoteOff, NoteOn, OutputDelay, OutputLost, Quit
from bridge.interrupts import signals_as_events
from bridge.port_names import Wanted, own_name
from bridge.ports import Ports
from bridge.priority import ask_for_real_time

log = logging.getLogger(__name__)

PROBE_PITCH, PITCHES = 44, range(45, 85)
VELOCITY = 60
NOTE_S, SHORTEST_S, LONGEST_S = 0.06, 0.15, 0.40  # a note; from one to the next
WAIT_S, PROBE_S, SETTLE_S = 60.0, 0.5, 1.0  # for the first return; between probes; then silence
STRAGGLER_S = 1.0  # how long the last notes may take
LOOK_S = 1.0  # how often ports are looked after
ENOUGH = 10  # notes that must come back
UNEVEN_MS = 5.0  # a spread that is heard
MOST_MS = 500.0  # what `latency_ms` may be


@dataclass(frozen=True, slots=True)
class Figures:
    """What came back. Milliseconds; what the port itself delays, and the bridge knows, is out.

    sent: notes to come back, of which `trips_ms` did. strange: notes that came and were none of
    these, or came twice. own_delay_ms: of the port.
    """

    sent: int
    trips_ms: Sequence[float]
    strange: int
    own_delay_ms: float

    @property
    def lost(self) -> int:
        """Notes that never came back."""
        return self.sent - len(self.trips_ms)

    def latency_ms(self, *, is_one_way: bool) -> float:
        """The value to use, to a tenth; `is_one_way`: the clock comes by another way."""
        whole = median(self.trips_ms)
        return round(whole / 2 if is_one_way else whole, 1) + 0.0  # never -0.0


class Calibration:
    """Which note goes out when, and which came back: messages and events, no port, no clock.

    begin: when the first probe goes, in seconds. seed: of the notes' order and intervals.
    """

    def __init__(self, begin: float, *, seed: int = 0) -> None:
        self.is_over = False
        self.has_begun = False  # a probe came back
        self._random = Random(seed)
        self._give_up = begin + WAIT_S
        self._to_come = deque([(begin, PROBE_PITCH)])  # when, which pitch
        self._sounding: deque[tuple[float, int]] = deque()  # until when, which pitch
        self._awaited: dict[int, float] = {}  # pitch: when sent
        self._sent = self._strange = 0
        self._trips_s: list[float] = []
        self._own_delay_s = 0.0

    @property
    def figures(self) -> Figures:
        """What came of it so far."""
        trips_ms = [1000 * (trip - self._own_delay_s) for trip in self._trips_s]
        return Figures(self._sent, trips_ms, self._strange, 1000 * self._own_delay_s)

    @property
    def next_due(self) -> float:
        """When something is to be done, in seconds."""
        return min([self._give_up, *(at for at, _ in [*self._sounding, *self._to_come])])

    def due(self, now: float) -> list[NoteOn | NoteOff]:
        """What is to be sent at `now`, and at once."""
        messages: list[NoteOn | NoteOff] = []
        if now >= self._give_up:
            self.is_over = True
            return messages
        while self._sounding and self._sounding[0][0] <= now:
            messages.append(NoteOff(now, 0, self._sounding.popleft()[1]))
        while self._to_come and self._to_come[0][0] <= now:
            messages.append(self._strike(now, self._to_come.popleft()[1]))
        is_waiting = self._to_come or self._sounding or self._awaited
        self.is_over |= self.has_begun and not is_waiting
        return messages

    def release(self, now: float) -> list[NoteOff]:
        """The ends of all that sounds."""
        return [NoteOff(now, 0, pitch) for _, pitch in self._sounding]

    def hear(self, event: Event) -> None:
        """One event came in; raises PortError where the output is gone."""
        match event:
            case NoteOn(pitch=pitch, time=time) if pitch == PROBE_PITCH:
                if not self.has_begun and pitch in self._awaited:
                    self._begin(time)
            case NoteOn(pitch=pitch, time=time):
                sent = self._awaited.pop(pitch, None)
                if sent is None:
                    self._strange += 1
                else:
                    self._trips_s.append(time - sent)
            case OutputDelay():
                self._own_delay_s = event.delay_s
            case OutputLost():
                raise PortError("the output port went away while notes were on their way")
            case Quit():
                self.is_over = True
            case _:
                pass

    def _strike(self, now: float, pitch: int) -> NoteOn:
        if pitch == PROBE_PITCH:
            self._to_come.append((now + PROBE_S, pitch))
        else:
            self._sent += 1
        self._awaited[pitch] = now
        self._sounding.append((now + NOTE_S, pitch))
        return NoteOn(now, 0, pitch, VELOCITY)

    def _begin(self, time: float) -> None:
        """The probe came back: from here on the notes that count."""
        self.has_begun = True
        self._awaited, self._strange = {}, 0
        self._to_come.clear()
        at = time + SETTLE_S
        for pitch in self._random.sample(PITCHES, len(PITCHES)):
            self._to_come.append((at, pitch))
            at += self._random.uniform(SHORTEST_S, LONGEST_S)
        self._give_up = at + STRAGGLER_S


def calibrate(ports: Ports, wanted: Wanted, *, is_one_way: bool = False) -> list[str]:
    """Measure between these ports until told to end; returns the lines to print.

    Raises BridgeError where too little comes back. Nothing is left sounding, Ctrl-C or not.
    """
    here = wanted.input_name or own_name(wanted.name, "in")
    there = wanted.output_name or own_name(wanted.name, "out")
    queue: SimpleQueue[Event] = SimpleQueue()
    with signals_as_events(queue):
        log.info("%s", ports.open(queue))
        log.info("%s", ask_for_real_time())
        log.info("let what comes out of %r go into %r; waiting for it", there, here)
        figures = _measure(ports, queue)
    if len(figures.trips_ms) < ENOUGH:
        raise BridgeError(_too_few(figures, here, there))
    return report(figures, is_one_way=is_one_way)


def _measure(ports: Ports, queue: SimpleQueue[Event]) -> Figures:
    """Send, hear, until it is over; the ports are closed then."""
    calibration = Calibration(perf_counter())
    try:
        next_look = perf_counter() + LOOK_S
        while not calibration.is_over:
            for message in calibration.due(perf_counter()):
                ports.send(message)
            _hear_until(min(calibration.next_due, next_look), calibration, queue)
            if perf_counter() >= next_look:
                next_look += LOOK_S
                ports.poll()
    finally:
        for message in calibration.release(perf_counter()):
            ports.send(message)
        ports.close()
    return calibration.figures


def _hear_until(until: float, calibration: Calibration, queue: SimpleQueue[Event]) -> None:
    """Hear the next event, if one comes before."""
    was_waiting = not calibration.has_begun
    try:
        calibration.hear(queue.get(timeout=max(0.0, until - perf_counter())))
    except Empty:
        return
    if was_waiting and calibration.has_begun:
        log.info("it comes back; %d notes, some 12 s", len(PITCHES))


def report(figures: Figures, *, is_one_way: bool) -> list[str]:
    """The figures, the value to use, and how it was come by."""
    ordered = sorted(figures.trips_ms)
    twentieths = quantiles(ordered, n=20, method="inclusive")
    spread_ms = twentieths[18] - twentieths[0]
    value = figures.latency_ms(is_one_way=is_one_way)
    lines = [
        f"round trip: median {median(ordered):.2f} ms, p95 {twentieths[18]:.2f} ms, "
        f"spread {spread_ms:.2f} ms (p5 to p95), lost {figures.lost} of {figures.sent}"
    ]
    if figures.own_delay_ms:
        lines.append(
            f"without the port's own {figures.own_delay_ms:.2f} ms, "
            "which the bridge makes up for by itself"
        )
    lines += [f"use `latency_ms: {value:g}` in the preset, or --latency-ms {value:g}"]
    lines += [f"  {line}" for line in _reason(is_one_way)]
    if value > MOST_MS:
        lines.append(f"that is more than the {MOST_MS:g} ms there can be: is an echo in the way?")
    if spread_ms > UNEVEN_MS:
        lines.append("the spread is what no setting mends: a smaller buffer in the DAW does")
    if figures.lost or figures.strange:
        lines.append(
            f"{figures.lost} notes never came back, and {figures.strange} came that were not sent "
            "or came twice: let nothing else into the port meanwhile"
        )
    return lines


def _reason(is_one_way: bool) -> list[str]:
    if is_one_way:
        return ["half the round trip: the way out, for the clock comes in by another"]
    return [
        "the whole round trip: the clock is heard late by the way in, and notes arrive late by the",
        "way out (--one-way, where the clock comes in by another way than the notes came back)",
    ]


def _too_few(figures: Figures, here: str, there: str) -> str:
    came = f"{len(figures.trips_ms)} of {figures.sent} notes came back"
    if not figures.sent:
        came = "nothing came back"
        if figures.strange:
            came += f", though {figures.strange} other notes came (does something transpose?)"
    return (
        f"{came}: in the DAW, give a MIDI track the input {there!r}, monitoring on, and the output "
        f"{here!r}; or join an interface's out and in by a cable and name them by --out and --in"
    )
