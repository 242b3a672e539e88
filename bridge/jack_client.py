"""One client of JACK's: the only file that touches JACK-Client.

JACK's real-time thread stamps, parses and enqueues what comes, and writes what waits at its
frame (`jack_frames.py`). It needs the interpreter's lock for that, as all Python does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter, sleep
from typing import Any

from bridge.arrivals import Inbox
from bridge.errors import PortError
from bridge.jack_frames import Cycle, Outgoing, start_of_cycle
from bridge.midi_bytes import parse
from bridge.port_names import Direction, own_name

log = logging.getLogger(__name__)

_WOKEN_S = 0.2  # by then JACK has woken a new client, if it ever will
_LEAVE_S = 0.5  # at most so long for each step of leaving
_STEP_S = 0.005
_QUICK_S = 0.00002  # a reading of the two clocks that took less is good to a frame


class JackClient:
    """One client from its making to its closing, with one port in and one out.

    cycles: how often JACK woke it. xruns: how often JACK said that a cycle was not done in time.
    faults: cycles in which something went wrong here, `fault` the last of these.
    """

    def __init__(
        self,
        name: str,
        queue: Inbox,
        outgoing: Outgoing,
        on_gone: Callable[[str], None],
    ) -> None:
        """Make it; raises PortError. `on_gone` is called from a thread of JACK's, with a reason."""
        self.cycles = self.xruns = self.faults = 0
        self._xruns_known = 0  # those after which note-offs were said again
        self.fault: Exception | None = None
        self._queue = queue
        self._outgoing = outgoing
        self._on_gone = on_gone
        self._is_leaving = self._has_left = self._is_freewheeling = False
        self._jack = _load()
        self._client = client = _make(name)
        try:
            self._input = client.midi_inports.register(own_name(name, "in"))
            self._output = client.midi_outports.register(own_name(name, "out"))
            client.set_process_callback(self._process)
            client.set_shutdown_callback(self._shut_down)
            client.set_xrun_callback(self._count_xrun)
            client.set_freewheel_callback(self._freewheel)
            client.activate()
        except self._jack.JackError as error:
            client.close()
            raise PortError(f"JACK does not take the client {name!r}: {error}") from None

    @property
    def server_frame(self) -> int:
        """The first frame of the server's present cycle."""
        return int(self._client.last_frame_time)

    def is_woken(self) -> bool:
        """Whether JACK wakes it: waits 0.2 s or four periods, if it must."""
        four_s = 4 * self._client.blocksize / self._client.samplerate
        return _wait_until(lambda: self.cycles > 0, max(_WOKEN_S, four_s))

    def leave(self) -> None:
        """Let out what waits, give it two cycles to be heard, then end JACK's thread.

        JACK cancels a thread that still runs when its client is closed; cancelled while it waits
        for the interpreter's lock it would never give that back. So the thread ends itself.
        """
        _wait_until(lambda: not len(self._outgoing), _LEAVE_S)
        heard = self.cycles + 2
        _wait_until(lambda: self.cycles >= heard, _LEAVE_S)
        self._is_leaving = True
        _wait_until(lambda: self._has_left, _LEAVE_S)
        sleep(_STEP_S)  # the last of it is JACK's own

    def close(self) -> None:
        """Let JACK forget it."""
        self._client.deactivate()
        self._client.close()

    def present(self, direction: Direction) -> list[str]:
        """The ports of others that ours of this direction can be connected with."""
        own = f"{self._client.name}:"
        return [name for name in _present(self._client, direction) if not name.startswith(own)]

    def plug(self, direction: Direction, other: str) -> bool:
        """Connect our port of this direction with another's; whether that could be done."""
        if direction == "in":
            return self.connect(other, self._input.name)
        return self.connect(self._output.name, other)

    def connect(self, source: str, target: str) -> bool:
        """Connect two ports; whether that could be done."""
        try:
            self._client.connect(source, target)
        except self._jack.JackError as error:
            log.info("JACK does not connect %r to %r: %s", source, target, error)
            return False
        return True

    def connections(self) -> list[tuple[str, str]]:
        """What is connected to our ports: source and target."""
        sources = [(port.name, self._input.name) for port in self._input.connections]
        return sources + [(self._output.name, port.name) for port in self._output.connections]

    def _shut_down(self, _status: object, reason: str) -> None:
        if not self._is_leaving:
            self._on_gone(reason)

    def _count_xrun(self, _delay: object) -> None:
        self.xruns += 1

    def _freewheel(self, is_starting: object) -> None:
        self._is_freewheeling = bool(is_starting)

    def _process(self, n_frames: int) -> None:
        """One cycle, in JACK's real-time thread: quick, and nothing is raised but the way out."""
        if self._is_leaving:
            self._has_left = True
            raise self._jack.CallbackExit
        try:
            # What came is read before the output is cleared: JACK may lend one buffer for both.
            came = [(at, bytes(data)) for at, data in self._input.incoming_midi_events()]
            self._output.clear_buffer()
            is_calm = self.xruns == self._xruns_known
            if came or len(self._outgoing) or not is_calm:  # most cycles are empty: no cost
                self._exchange(self._cycle(n_frames), came)
        except Exception as error:
            self.faults += 1
            self.fault = error
        self.cycles += 1

    def _exchange(self, cycle: Cycle, came: list[tuple[int, bytes]]) -> None:
        for offset, data in came:
            event = parse(data, cycle.stamp(offset))
            if event is not None:
                self._queue.put(event)
        if self._xruns_known != self.xruns:
            self._xruns_known = self.xruns
            self._outgoing.repeat_note_offs(cycle)
        self._outgoing.write(cycle, self._output.write_midi_event)

    def _cycle(self, n_frames: int) -> Cycle:
        """This cycle on our clock: the frame counter and the clock read at one moment."""
        client, rate = self._client, self._client.samplerate
        if self._is_freewheeling:  # JACK's frames are no time then
            return Cycle(perf_counter(), n_frames, rate)
        best_s, now_s, frame = float("inf"), 0.0, 0
        for _ in range(3):
            before_s = perf_counter()
            read = client.frame_time
            took_s = perf_counter() - before_s
            if took_s < best_s:
                best_s, now_s, frame = took_s, before_s + took_s / 2, read
            if best_s < _QUICK_S:
                break
        return Cycle(start_of_cycle(now_s, frame, client.last_frame_time, rate), n_frames, rate)


def is_installed() -> bool:
    """Whether the extra and JACK's library are there."""
    try:
        _load()
    except PortError:
        return False
    return True


def ports_there() -> tuple[list[str], list[str]]:
    """The names of the ports one can hear and play to; raises PortError without a server."""
    set_quiet(True)
    try:
        client = _make("pianogen list")
        found = _present(client, "in"), _present(client, "out")
        client.close()
        return found
    finally:
        set_quiet(False)


def set_quiet(is_quiet: bool) -> None:
    """Send what JACK's library prints to the debug log, or let it print; raises PortError."""
    jack = _load()
    told = (lambda text: log.debug("JACK: %s", text)) if is_quiet else None
    jack.set_error_function(told)
    jack.set_info_function(told)


def _present(client: Any, direction: Direction) -> list[str]:
    is_in = direction == "in"
    found = client.get_ports(is_midi=True, is_output=is_in, is_input=not is_in)
    return [str(port.name) for port in found]


def _wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to be so within this time."""
    end = perf_counter() + seconds
    while not is_so():
        if perf_counter() > end:
            return False
        sleep(_STEP_S)
    return True


def _make(name: str) -> Any:
    """A client of the running server; raises PortError where there is none."""
    jack = _load()
    try:
        return jack.Client(name, no_start_server=True)
    except jack.JackError:
        raise PortError(
            "no MIDI system: no JACK server answers; start JACK (with PipeWire: "
            "`pw-jack pianogen-bridge`), or load ALSA's sequencer (`modprobe snd-seq`), "
            "or hear `pianogen-bridge --demo`, which needs neither"
        ) from None


def _load() -> Any:
    """JACK-Client, loaded when it is needed; raises PortError where it cannot be."""
    try:
        import jack
    except ImportError:
        raise PortError(
            "JACK to the frame needs the extra `jack`: pip install 'pianogen[jack]'"
        ) from None
    except OSError:
        raise PortError(
            "JACK's library (libjack) is not on this system: install JACK, or PipeWire's JACK"
        ) from None
    return jack
