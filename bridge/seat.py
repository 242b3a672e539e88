"""One player's place in the daemon: a session, its ports, and what really went out there.

It carries out what the session says. What goes wrong here is this seat's alone: it falls silent and
plays on. Knows no queue and no other seat, and never waits but for what is due within a moment.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Protocol, assert_never

from bridge.arrivals import Inbox
from bridge.events import Action, Ask, ChannelMessage, Event, Notice, Send, Wake
from bridge.ledger import Ledger
from bridge.performer import Performer
from bridge.status import Status

if TYPE_CHECKING:
    from bridge.ports import Ports

log = logging.getLogger(__name__)

AHEAD_S = 0.0005  # what is due is worked out so long before, and then goes out to the moment
SPIN_S = 0.0001  # the last of a wait is not slept, only yielded: no sleep ends so exactly
UNMOVED_S = 0.001  # a deadline that a wake-up did not move is not tried again at once
AFTER_FAULT_S = 0.01  # nor is a session that failed


class Conductor(Protocol):
    """What says what is to be done: a session, or one that is played again."""

    def handle(self, event: Event) -> list[Action]:
        """Take an event in; returns what to do now."""

    def next_deadline(self) -> float | None:
        """When a Wake is wanted at the latest, in seconds; None for not at all.

        Changed by `handle` alone.
        """

    def status(self, now: float | None = None) -> Status:
        """How it stands, for the watchers."""


class Watcher(Protocol):
    """Something that looks on: a recording, a display, the demo. Must be quick."""

    def heard(self, event: Event) -> None:
        """An event was taken from the queue."""

    def sent(self, message: ChannelMessage, now: float) -> None:
        """A message went out at `now`."""

    def shown(self, status: Status) -> None:
        """The session stands like this, now and then."""


class Seat:
    """One session between one pair of ports and the model process.

    number: which of the daemon's seats, from 0; name: told with what it says, where there are
    several.
    """

    def __init__(
        self,
        session: Conductor,
        ports: Ports,
        performer: Performer,
        *,
        watchers: Sequence[Watcher] = (),
        number: int = 0,
        name: str = "",
    ) -> None:
        self.ledger = Ledger()
        self.due = inf  # when it wants to be woken
        self._session = session
        self._ports = ports
        self._performer = performer
        self._watchers = watchers
        self._number = number
        self._says = f"{name}: " if name else ""
        self._rests_until = -inf
        self._last_fault = ""

    def open(self, inbox: Inbox) -> str:
        """The ports appear; what comes there is put in `inbox`. Returns a line saying what is
        open; raises BridgeError."""
        return self._says + self._ports.open(inbox)

    def close(self) -> None:
        """The ports go."""
        self._ports.close()

    def look_ahead(self) -> None:
        """Find out when it is to be woken."""
        deadline = self._session.next_deadline()
        self.due = inf if deadline is None else max(deadline, self._rests_until)

    def wake(self, now: float) -> None:
        """What is due is done."""
        due = self.due
        self.handle(Wake(max(due, now)))
        if self.due == due:  # not moved: do not spin on it
            self._rest(UNMOVED_S)

    def handle(self, event: Event) -> None:
        """What happens is the session's business; what goes wrong there costs one turn only."""
        try:
            for watcher in self._watchers:
                watcher.heard(event)
            self._carry_out(self._session.handle(event))
            self.look_ahead()
        except Exception as error:
            self._survive(error)

    def poll(self) -> None:
        """Look after the ports."""
        self._ports.poll()

    def show(self, now: float) -> None:
        """Tell the watchers how it stands."""
        if self._watchers:
            status = self._session.status(now)
            for watcher in self._watchers:
                watcher.shown(status)

    def release(self) -> None:
        """End every note that, by what was sent, still sounds."""
        for message in self.ledger.releases(perf_counter()):
            self._send(message)

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send(action.message)
                case Ask():
                    self._performer.ask(action, self._number)
                case Notice():
                    log.log(_LEVELS[action.level], "%s%s", self._says, action.text)
                case _:
                    assert_never(action)

    def _send(self, message: ChannelMessage) -> None:
        """At its time; what is late, at once."""
        while (left := message.time - perf_counter()) > 0:
            sleep(max(min(left, AHEAD_S) - SPIN_S, 0.0))
        self._ports.send(message)
        now = perf_counter()
        self.ledger.record(message, now)
        for watcher in self._watchers:
            watcher.sent(message, now)

    def _survive(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._last_fault:  # the same fault at every tick is told once
            log.error("%sthis should not happen; playing on", self._says, exc_info=error)
        self._last_fault = text
        self.release()
        with suppress(Exception):
            self.look_ahead()
        self._rest(AFTER_FAULT_S)

    def _rest(self, seconds: float) -> None:
        self._rests_until = perf_counter() + seconds
        self.due = max(self.due, self._rests_until)


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING}
