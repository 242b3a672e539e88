"""The daemon's life: startup, main loop, shutdown. It owns all state but knows no music.

Events come on one queue, from the driver's callback, the model process and the signals; the
session says what to do with each; this file waits, sends and asks. Whatever happens, what
sounds is released.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from math import inf
from queue import Empty, SimpleQueue
from time import perf_counter, sleep
from types import FrameType
from typing import TYPE_CHECKING, Protocol, assert_never

from bridge.errors import ModelError
from bridge.events import (
    Action,
    Ask,
    ChannelMessage,
    Event,
    ModelLost,
    ModelReady,
    Notice,
    Quit,
    Send,
    Wake,
)
from bridge.ledger import Ledger
from bridge.performer import Performer
from bridge.priority import ask_for_real_time
from bridge.reload import Reload
from bridge.status import Status

if TYPE_CHECKING:
    from bridge.ports import Ports

log = logging.getLogger(__name__)

AHEAD_S = 0.0005  # what is due is worked out so long before, and then goes out to the moment
FINE_S = 0.001  # how long before a deadline the wait becomes fine
NAP_S = 0.0002  # what the fine wait sleeps at a time
SPIN_S = 0.0001  # the last of it is not slept, only yielded: no sleep ends so exactly
ROOM_S = 0.003  # a chore begins only where nothing is due for so long
TIDY_S = 0.02  # nothing is due for so long: time to look for garbage
LOOK_S = 1.0  # how often ports and model process are looked after
NEWS_S = 0.25  # how often news of presets are asked for
AFTER_FAULT_S = 0.01  # a loop that fails goes on, but not in a rush


class Conductor(Protocol):
    """What says what is to be done: a session, or one that is played again."""

    def handle(self, event: Event) -> list[Action]:
        """Take an event in; returns what to do now."""

    def next_deadline(self) -> float | None:
        """When a Wake is wanted at the latest, in seconds; None for not at all."""

    def status(self, now: float | None = None) -> Status:
        """How it stands, for the watchers."""


class Watcher(Protocol):
    """Something that looks on: a recording, a display, the demo. Must be quick."""

    def heard(self, event: Event) -> None:
        """An event was taken from the queue."""

    def sent(self, message: ChannelMessage, now: float) -> None:
        """A message went out at `now`."""

    def shown(self, status: Status) -> None:
        """The session stands like this, every `watch_s`."""


class Daemon:
    """One session between one pair of ports and one model process.

    watch_s: how often watchers are told the status, in seconds. reload: brings presets that
    change meanwhile; without it they stay as they are.
    """

    def __init__(
        self,
        session: Conductor,
        ports: Ports,
        performer: Performer,
        queue: SimpleQueue[Event],
        *,
        watchers: Sequence[Watcher] = (),
        watch_s: float = LOOK_S,
        reload: Reload | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.was_ready = False
        self._session = session
        self._ports = ports
        self._performer = performer
        self._queue = queue
        self._watchers = watchers
        self._watch_s = watch_s
        self._reload = reload
        self._is_over = False
        self._has_quit = False
        self._next_watch = self._next_look = 0.0
        self._next_news = inf if reload is None else 0.0
        self._last_fault = ""

    def run(self) -> None:
        """From nothing to nothing; raises BridgeError where it cannot begin."""
        with _signals_caught(self):
            try:
                self.startup()
                self.main_loop()
            finally:
                self.shutdown()

    def startup(self) -> None:
        """The model begins to load; the ports appear; the machine is asked for real time."""
        self._performer.start()
        if self._reload is not None:
            self._reload.start()
        log.info("%s", self._ports.open(self._queue))
        log.info("%s", ask_for_real_time())
        gc.collect()
        gc.freeze()  # what exists now is never looked at again
        gc.disable()  # the rest is looked at when nothing is due

    def main_loop(self) -> None:
        """Take what comes, wake when it is time, until told to end."""
        while not self._is_over:
            due = self._session.next_deadline()
            chore = min(self._next_watch, self._next_look, self._next_news)
            if due is not None and due - max(chore, perf_counter()) < ROOM_S:
                chore = due + ROOM_S  # it gives way; looked at again when that is done
            event = self._wait(inf if due is None else due - AHEAD_S, chore)
            now = perf_counter()
            if event is not None:
                self._handle(event)
            elif due is not None and due - AHEAD_S <= now:
                self._handle(Wake(max(due, now)))
                if self._session.next_deadline() == due:  # not moved: do not spin on it
                    sleep(FINE_S)
            if now >= chore:
                self._do_chores(now)

    def shutdown(self) -> None:
        """Release what sounds, then let model process and ports go. Never raises."""
        with contextlib.suppress(Exception):
            if not self._has_quit:
                self._handle(Quit(perf_counter()))
        self.release()
        for part in (self._ports, self._reload, self._performer):
            try:
                if part is not None:
                    part.close()
            except Exception as error:
                log.warning("while ending: %s", error)
        gc.unfreeze()
        gc.enable()

    def stop(self) -> None:
        """End soon; may be called from a signal handler or another thread."""
        self._queue.put(Quit(perf_counter()))

    def release(self) -> None:
        """End every note that, by what was sent, still sounds."""
        for message in self.ledger.releases(perf_counter()):
            self._send(message)

    def _wait(self, due: float, chore: float) -> Event | None:
        """The next event; or None when something is due, to the moment, or a chore, about then.

        Asleep short of what is due, then in naps, then awake.
        """
        while True:
            now = perf_counter()
            left = due - now
            try:
                if left <= FINE_S:
                    return self._queue.get_nowait()
                return self._queue.get(timeout=max(min(left - FINE_S, chore - now), 0.0))
            except Empty:
                if left <= 0 or (left > FINE_S and chore <= now):
                    return None
                if left <= FINE_S:
                    sleep(min(max(left - SPIN_S, 0.0), NAP_S))

    def _handle(self, event: Event) -> None:
        """What happens is the session's business; what goes wrong there costs one turn only."""
        try:
            for watcher in self._watchers:
                watcher.heard(event)
            self._carry_out(self._session.handle(event))
        except Exception as error:
            self._survive(error)
        match event:
            case ModelReady():
                self.was_ready = True
                log.info("%s", self._performer.introduce())
            case ModelLost() if not self.was_ready and self._performer.failure:
                raise ModelError(f"the model cannot be loaded: {self._performer.failure}")
            case Quit():
                self._has_quit = self._is_over = True
            case _:
                pass

    def _carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send(action.message)
                case Ask():
                    self._performer.ask(action)
                case Notice():
                    log.log(_LEVELS[action.level], "%s", action.text)
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
            log.error("this should not happen; playing on", exc_info=error)
        self._last_fault = text
        self.release()
        sleep(AFTER_FAULT_S)

    def _do_chores(self, now: float) -> None:
        if self._reload is not None and now >= self._next_news:
            self._next_news = now + NEWS_S
            self._reload.poll()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._look_after()
        if now >= self._next_watch:
            self._next_watch = now + self._watch_s
            self._show(now)

    def _look_after(self) -> None:
        self._ports.poll()
        self._performer.poll()
        due = self._session.next_deadline()
        if due is None or due - perf_counter() > TIDY_S:
            gc.collect()

    def _show(self, now: float) -> None:
        if self._watchers:
            status = self._session.status(now)
            for watcher in self._watchers:
                watcher.shown(status)


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING}


@contextlib.contextmanager
def _signals_caught(daemon: Daemon) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the daemon in order, the second at once, in silence too."""
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) == 1:
            daemon.stop()
        else:
            daemon.release()
            os._exit(128 + number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
