"""The MIDI ports through JACK itself, exact to the frame, and how they outlive its faults.

One client, `NAME`, with the ports `NAME in` and `NAME out`. The server's end and return, clients
that are never woken and named ports that go are all seen to by `poll`, on the daemon's thread.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from queue import SimpleQueue
from time import perf_counter

from bridge import jack_client
from bridge.arrivals import Inbox
from bridge.errors import PortError
from bridge.events import ChannelMessage, OutputDelay, OutputLost
from bridge.jack_client import JackClient
from bridge.jack_frames import MARGIN_S, Outgoing
from bridge.midi_bytes import encode
from bridge.port_names import Direction, Wanted, choose, find_again, own_name

log = logging.getLogger(__name__)

_ATTEMPTS = 5  # to make a client that JACK wakes
_STANDSTILL_S = 0.9  # cycles that do not move for so long stand still
_AHEAD_S = 0.1  # what is due later than this goes then: no time can block the port
_SWITCH_S = 0.0005  # how long JACK's thread waits for another to give way: less than a period


class JackPorts:
    """JACK's ports, to the frame: way in and way out are `MARGIN_S` apart whatever the period."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._outgoing = Outgoing()
        self._client: JackClient | None = None
        self._queue: Inbox = SimpleQueue()
        self._cables: list[_Cable] = []
        self._is_gone = False
        self._past_xruns = 0  # of clients that were
        self._looked = (0.0, 0, 0)  # when poll last looked; how far client and server were
        self._switch_s = sys.getswitchinterval()

    @property
    def xruns(self) -> int:
        """How many cycles JACK says were not done in time, by any client of its."""
        return self._past_xruns + (0 if self._client is None else self._client.xruns)

    @property
    def late_frames(self) -> int:
        """How many messages came too late for their frame, and went as soon as they could."""
        return self._outgoing.late_frames

    def open(self, queue: Inbox) -> str:
        """Open the ports; raises PortError where there is no server or no such port."""
        self._queue = queue
        jack_client.set_quiet(True)
        sys.setswitchinterval(min(self._switch_s, _SWITCH_S))
        try:
            client = self._client = self._woken_client()
            self._cables = self._lay_cables(client)
        except PortError:
            self.close()
            raise
        queue.put(OutputDelay(perf_counter(), MARGIN_S))
        name = self._wanted.name
        labels = {"in": own_name(name, "in"), "out": own_name(name, "out")}
        labels |= {cable.direction: cable.target for cable in self._cables}
        return f"ports {labels['in']!r} and {labels['out']!r} (JACK, to the frame)"

    def send(self, message: ChannelMessage) -> None:
        """Send `MARGIN_S` and one period after `message.time`, or at once if later; in order."""
        if self._client is None or self._is_gone:
            return
        try:
            self._outgoing.hand(encode(message), min(message.time, perf_counter() + _AHEAD_S))
        except ValueError as error:
            log.warning("not sent: %s", error)

    def poll(self) -> None:
        """Come back when the server does; mend what stands still and named ports that went."""
        if self._client is None or self._is_gone:
            self._come_back()
        elif self._stands_still(self._client):
            self._begin_anew(self._client)
        if self._client is not None and not self._is_gone:
            self._watch_cables(self._client)
            if self._client.fault is not None:
                log.warning("a cycle of JACK's went wrong: %s", self._client.fault)
                self._client.fault = None

    def close(self) -> None:
        """Let out what waits, note-offs above all, then leave."""
        jack_client.set_quiet(True)  # other ports of this process may have closed before
        if self._client is not None and not self._is_gone:
            self._client.leave()
        self._drop_client()
        sys.setswitchinterval(self._switch_s)
        jack_client.set_quiet(False)

    def _woken_client(self) -> JackClient:
        """A client that JACK does wake: now and then it never wakes one, and says nothing."""
        for _ in range(_ATTEMPTS):
            client = JackClient(self._wanted.name, self._queue, self._outgoing, self._lose)
            if client.is_woken():
                self._is_gone = False
                self._looked = (perf_counter(), client.cycles, client.server_frame)
                return client
            client.close()
            log.info("JACK did not wake its new client; making another")
        raise PortError(
            f"JACK answers, but wakes none of {_ATTEMPTS} clients made one after the other: "
            "start its server anew"
        )

    def _lose(self, reason: str) -> None:
        """JACK's own thread says that the server, or we for it, are no more."""
        self._is_gone = True
        self._outgoing.forget()
        self._queue.put(OutputLost(perf_counter()))
        log.warning("JACK is gone (%s); looking out for its return", reason)

    def _come_back(self) -> None:
        self._drop_client()
        try:
            self._client = self._woken_client()
        except PortError:
            return
        for cable in self._cables:
            cable.is_there = False
        log.warning("JACK is back")

    def _stands_still(self, client: JackClient) -> bool:
        """Whether the server went on since the last look, and did not wake us."""
        then, cycles, frame = self._looked
        now = perf_counter()
        if now - then < _STANDSTILL_S:
            return False
        self._looked = (now, client.cycles, client.server_frame)
        return self._looked[1] == cycles and self._looked[2] != frame

    def _begin_anew(self, client: JackClient) -> None:
        """A new client in the place of one that is not woken, connected as that was."""
        log.warning("JACK no longer wakes this client; making another")
        self._queue.put(OutputLost(perf_counter()))
        connections = client.connections()
        self._drop_client()
        try:
            self._client = anew = self._woken_client()
        except PortError as error:
            log.warning("%s", error)
            return
        for source, target in connections:
            anew.connect(source, target)

    def _drop_client(self) -> None:
        self._past_xruns = self.xruns
        client, self._client = self._client, None
        self._outgoing.forget()
        if client is not None:
            client.close()

    def _lay_cables(self, client: JackClient) -> list[_Cable]:
        """The ports of others that were asked for, connected; raises PortError."""
        wanted: dict[Direction, str | None] = {
            "in": self._wanted.input_name,
            "out": self._wanted.output_name,
        }
        cables = []
        for direction, part in wanted.items():
            if part is not None:
                present = client.present(direction)
                cables.append(_Cable(direction, present[choose(present, direction, part)]))
        for cable in cables:
            if not client.plug(cable.direction, cable.target):
                raise PortError(f"JACK does not connect the port {cable.target!r}")
        return cables

    def _watch_cables(self, client: JackClient) -> None:
        for cable in self._cables:
            present = client.present(cable.direction)
            if cable.is_there and cable.target not in present:
                cable.is_there = False
                log.warning("the MIDI %sput %r is gone", cable.direction, cable.target)
                if cable.direction == "out":
                    self._queue.put(OutputLost(perf_counter()))
            elif not cable.is_there:
                self._plug_again(client, cable, present)

    def _plug_again(self, client: JackClient, cable: _Cable, present: list[str]) -> None:
        index = find_again(present, cable.target)
        if index is not None and client.plug(cable.direction, present[index]):
            cable.target, cable.is_there = present[index], True
            log.warning("the MIDI %sput %r is back", cable.direction, cable.target)


@dataclass(slots=True)
class _Cable:
    """A connection that was asked for: our port of this direction with `target`."""

    direction: Direction
    target: str
    is_there: bool = True
