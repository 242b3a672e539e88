"""The system's MIDI ports through rtmidi: ALSA, CoreMIDI, Windows, or JACK a period at a time.

Two virtual ports, `NAME in` and `NAME out`, or ports that exist already, chosen by a part of
their name; the loss of those is noticed and mended. Messages are stamped on the callback's
first line, parsed, and put on the daemon's queue. Knows nothing of what they mean.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Literal

import rtmidi

from bridge.arrivals import Inbox
from bridge.errors import PortError
from bridge.events import ChannelMessage, OutputLost
from bridge.midi_bytes import encode, parse
from bridge.port_names import Direction, Wanted, choose, find_again, own_name

log = logging.getLogger(__name__)

_SETTLE_S = 0.06  # some periods of JACK's, and longer than any callback


class RtMidiPorts:
    """The system's ports, through rtmidi."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._input: _Port | None = None
        self._output: _Port | None = None
        self._queue: Inbox | None = None

    def open(self, queue: Inbox) -> str:
        """Open both ports; raises PortError where there is no MIDI system or no such port."""
        self._queue = queue
        wanted = self._wanted
        try:
            self._input = _Port("in", wanted.name, wanted.input_name)
            self._input.open(self._arrive)
            self._input.settle()
            self._output = _Port("out", wanted.name, wanted.output_name)
            self._output.open(None)
            self._output.settle()
        except PortError:
            self.close()
            raise
        if self._input.is_jack:
            log.info(
                "JACK gives and takes these ports' notes once a period; the extra `jack` "
                "(pip install 'pianogen[jack]') places them to the frame"
            )
        return f"ports {self._input.label!r} and {self._output.label!r} ({self._input.api})"

    def _arrive(self, message: tuple[list[int], float], _data: object = None) -> None:
        now = perf_counter()
        event = parse(message[0], now)
        if event is not None and self._queue is not None:
            self._queue.put(event)

    def send(self, message: ChannelMessage) -> None:
        """Send now; what cannot be sent is dropped, and `poll` finds out why."""
        if self._output is not None and self._output.is_open:
            try:
                self._output.device.send_message(encode(message))
            except (rtmidi.RtMidiError, ValueError, RuntimeError) as error:
                log.warning("not sent: %s", error)

    def poll(self) -> None:
        """Notice named ports that went, and open them again when they are back."""
        if self._input is not None:
            self._input.watch()
        if self._output is not None and self._output.watch() == "lost" and self._queue is not None:
            self._queue.put(OutputLost(perf_counter()))

    def close(self) -> None:
        """Close and delete both; a virtual port goes only with its object."""
        open_ports = [port for port in (self._input, self._output) if port is not None]
        for port in open_ports:
            port.hush()
        if open_ports:
            sleep(_SETTLE_S)  # JACK sends what it was given only with its next period
        for port in open_ports:
            port.delete()
        self._input = self._output = None


class _Port:
    """One rtmidi object, kept for life: virtual, or connected to a port of another's."""

    def __init__(self, direction: Direction, name: str, named: str | None) -> None:
        self.direction = direction
        self.device = _make(direction, name)
        self.is_open = False
        self._name = name
        self._named = named
        self._connected: str | None = None  # the other's port, as the system writes it
        self._callback: Any = None

    @property
    def api(self) -> str:
        """The driver's name, for people."""
        return str(rtmidi.get_api_display_name(self.device.get_current_api()))

    @property
    def is_jack(self) -> bool:
        """Whether the driver is JACK's."""
        return bool(self.device.get_current_api() == rtmidi.API_UNIX_JACK)

    @property
    def label(self) -> str:
        """The port's name, for people."""
        return self._connected or own_name(self._name, self.direction)

    def open(self, callback: Any) -> None:
        """Open; `callback` gets what arrives, clocks included, sysex and sensing not."""
        self._callback = callback
        if self._named is None and self._open_virtual():
            return
        self._connect(choose(self._present(), self.direction, self._named or self._name))

    def _present(self) -> list[str]:
        return [str(name) for name in self.device.get_ports()]

    def _open_virtual(self) -> bool:
        try:
            with _quiet():
                self.device.open_virtual_port(self.label)
        except NotImplementedError:  # Windows: a port of this name must be there already
            return False
        except (rtmidi.RtMidiError, RuntimeError) as error:
            raise PortError(f"the port {self.label!r} cannot be opened: {error}") from None
        self._listen()
        return True

    def _connect(self, index: int) -> None:
        self._connected = self._present()[index]
        try:
            self.device.open_port(index, own_name(self._name, self.direction))
        except (rtmidi.RtMidiError, RuntimeError, ValueError) as error:
            raise PortError(f"the port {self._connected!r} cannot be opened: {error}") from None
        self._listen()

    def _listen(self) -> None:
        self.is_open = True
        if self._callback is not None:
            self.device.ignore_types(sysex=True, timing=False, active_sense=True)
            self.device.set_callback(self._callback)

    def settle(self) -> None:
        """Wait: of two clients made at once JACK may never run the second."""
        if self.is_jack:
            sleep(_SETTLE_S)

    def watch(self) -> Literal["fine", "lost", "back"]:
        """Whether the port it is connected to went or came since the last look."""
        if self._connected is None:
            return "fine"
        present = self._present()
        if self.is_open and self._connected not in present:
            log.warning("the MIDI %sput %r is gone", self.direction, self._connected)
            self._stop()
            return "lost"
        if not self.is_open:
            return self._reconnect(present)
        return "fine"

    def _reconnect(self, present: list[str]) -> Literal["lost", "back", "fine"]:
        index = find_again(present, self._connected or "")
        if index is None:
            return "fine"
        try:
            self._connect(index)
        except PortError as error:
            log.warning("%s; trying again", error)
            return "fine"
        log.warning("the MIDI %sput %r is back", self.direction, self._connected)
        return "back"

    def hush(self) -> None:
        """Let no more events come.

        A driver's thread may be inside the callback still. JACK cancels that thread when the
        port goes, and cancelled while it waits for the interpreter's lock it would never give
        that back: so hush, wait `_SETTLE_S`, and only then close. And rtmidi takes the callback
        away under the thread that is about to call it: so the clocks, which come all the time, are
        ignored first, and the last of them let through.
        """
        if self.is_open and self._callback is not None:
            self.device.ignore_types(sysex=True, timing=True, active_sense=True)
            sleep(_SETTLE_S)
            self.device.cancel_callback()
        self.is_open = False

    def _stop(self) -> None:
        self.hush()
        with contextlib.suppress(rtmidi.RtMidiError, RuntimeError):
            self.device.close_port()

    def delete(self) -> None:
        """Let the system forget the port, which must be hushed already."""
        self.device.delete()


def list_ports() -> tuple[list[str], list[str]]:
    """The names of the inputs and outputs there are; raises PortError without a MIDI system."""
    found = []
    for direction in ("in", "out"):
        device = _make("in" if direction == "in" else "out", "pianogen list")
        found.append([str(name) for name in device.get_ports()])
        device.delete()
    return found[0], found[1]


def _make(direction: Direction, name: str) -> Any:
    """An rtmidi object of the system's driver; raises PortError where there is none."""
    api = _api()
    kind = rtmidi.MidiIn if direction == "in" else rtmidi.MidiOut
    try:
        with _quiet():
            return kind(api, name=name)
    except (rtmidi.RtMidiError, RuntimeError) as error:
        if sys.platform == "linux":
            raise PortError(
                "no MIDI system: there is no ALSA sequencer (/dev/snd/seq) and no JACK server "
                "answers; load snd-seq (`modprobe snd-seq`) or start JACK, "
                "or hear `pianogen-bridge --demo`, which needs neither"
            ) from None
        raise PortError(f"the MIDI system cannot be opened: {error}") from None


def _api() -> int:
    """ALSA where its sequencer is, else JACK; elsewhere the system's own."""
    if sys.platform != "linux":
        return int(rtmidi.API_UNSPECIFIED)
    return int(rtmidi.API_LINUX_ALSA if Path("/dev/snd/seq").exists() else rtmidi.API_UNIX_JACK)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the drivers write to stderr by themselves off the terminal.

    All of the process is quiet meanwhile: at the start only, and no other thread logs then.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr to be quiet on
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
