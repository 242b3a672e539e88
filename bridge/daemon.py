"""The daemon's life: startup, main loop, shutdown. It owns all state but knows no music.

Events come on one queue, from the drivers' callbacks, the model process and the signals; each goes
to the seats it is for, and the seat that is due first is woken first. Whatever happens, what sounds
is released.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Sequence
from math import inf
from operator import attrgetter
from queue import Empty, SimpleQueue
from time import perf_counter, sleep

from bridge.arrivals import Arrival, Inlet
from bridge.errors import ModelError
from bridge.events import Event, ModelLost, ModelReady, Quit
from bridge.interrupts import signals_handled
from bridge.performer import Performer
from bridge.priority import ask_for_real_time
from bridge.reload import Reload
from bridge.seat import AHEAD_S, SPIN_S, Seat

log = logging.getLogger(__name__)

FINE_S = 0.001  # how long before a deadline the wait becomes fine
NAP_S = 0.0002  # what the fine wait sleeps at a time
ROOM_S = 0.003  # a chore begins only where nothing is due for so long
TIDY_S = 0.02  # nothing is due for so long: time to look for garbage
PATIENCE_S = 0.02  # so long a seat may be kept waiting by what comes for others
LOOK_S = 1.0  # how often ports and model process are looked after
NEWS_S = 0.25  # how often news of presets are asked for

_due = attrgetter("due")


class Daemon:
    """Players, each in a seat of their own, and the one model process that plays for all.

    seats: by number. watch_s: how often watchers are told the status, in seconds. reload: brings
    presets that change meanwhile, for all; without it they stay as they are.
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        performer: Performer,
        queue: SimpleQueue[Arrival],
        *,
        watch_s: float = LOOK_S,
        reload: Reload | None = None,
    ) -> None:
        self.was_ready = False
        self._seats = tuple(seats)
        self._performer = performer
        self._queue = queue
        self._watch_s = watch_s
        self._reload = reload
        self._is_over = False
        self._has_quit = False
        self._next_watch = self._next_look = 0.0
        self._next_news = inf if reload is None else 0.0

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
        opened = [seat.open(Inlet(self._queue, n)) for n, seat in enumerate(self._seats)]
        for line in opened:  # only now: a driver may hold stderr while it opens
            log.info("%s", line)
        log.info("%s", ask_for_real_time())
        gc.collect()
        gc.freeze()  # what exists now is never looked at again
        gc.disable()  # the rest is looked at when nothing is due

    def main_loop(self) -> None:
        """Take what comes, wake who is due, until told to end."""
        for seat in self._seats:
            seat.look_ahead()
        while not self._is_over:
            seat = min(self._seats, key=_due)
            due = seat.due
            chore = min(self._next_watch, self._next_look, self._next_news)
            if due - max(chore, perf_counter()) < ROOM_S:
                chore = due + ROOM_S  # it gives way; looked at again when that is done
            arrival = self._wait(due - AHEAD_S, chore)
            now = perf_counter()
            if arrival is not None:
                self._take(arrival)
                if self._keeps_waiting(arrival, seat, now):
                    seat.wake(now)
            elif due - AHEAD_S <= now:
                seat.wake(now)
            if now >= chore:
                self._do_chores(now)

    def shutdown(self) -> None:
        """Release what sounds, then let model process and ports go. Never raises."""
        with contextlib.suppress(Exception):
            if not self._has_quit:
                self._take(Quit(perf_counter()))
        self.release()
        for part in (*self._seats, self._reload, self._performer):
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
        for seat in self._seats:
            seat.release()

    def _wait(self, due: float, chore: float) -> Arrival | None:
        """The next arrival; or None when something is due, to the moment, or a chore, about then.

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

    def _take(self, arrival: Arrival) -> None:
        """An event goes to the seat it is for, or to all; what is for all, the daemon minds too."""
        if isinstance(arrival, tuple):
            number, event = arrival
            self._seats[number].handle(event)
            return
        for seat in self._seats:
            seat.handle(arrival)
        self._mind(arrival)

    def _mind(self, event: Event) -> None:
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

    def _keeps_waiting(self, arrival: Arrival, seat: Seat, now: float) -> bool:
        """Whether what comes for others, without end, keeps a seat from what is long due there."""
        if not isinstance(arrival, tuple) or self._seats[arrival[0]] is seat:
            return False
        return seat.due + PATIENCE_S < now

    def _do_chores(self, now: float) -> None:
        if self._reload is not None and now >= self._next_news:
            self._next_news = now + NEWS_S
            self._reload.poll()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._look_after()
        if now >= self._next_watch:
            self._next_watch = now + self._watch_s
            for seat in self._seats:
                seat.show(now)

    def _look_after(self) -> None:
        for seat in self._seats:
            seat.poll()
        self._performer.poll()
        if min(seat.due for seat in self._seats) - perf_counter() > TIDY_S:
            gc.collect()


def _signals_caught(daemon: Daemon) -> contextlib.AbstractContextManager[None]:
    """The first SIGINT or SIGTERM ends the daemon in order, the second at once, in silence too."""
    seen: list[int] = []

    def handle(number: int) -> None:
        seen.append(number)
        if len(seen) == 1:
            daemon.stop()
        else:
            daemon.release()
            os._exit(128 + number)

    return signals_handled(handle)
