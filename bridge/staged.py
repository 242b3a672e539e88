"""A performance staged for memory ports: a DAW and a performer played from a list of messages.

In real time through the daemon, with everything it has; or at once on simulated time, where the
same performance and seed give the same notes. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from queue import SimpleQueue
from typing import TypeVar

from bridge.arrivals import Arrival, Inbox
from bridge.controls import Controls
from bridge.daemon import Daemon
from bridge.errors import ModelError
from bridge.events import (
    Ask,
    ChannelMessage,
    Event,
    ModelLost,
    ModelReady,
    NoteOn,
    Planned,
    Quit,
    Send,
)
from bridge.ledger import Ledger
from bridge.memory_ports import MemoryPorts
from bridge.midi_bytes import parse
from bridge.performer import Performer, checkpoints_of
from bridge.plan_figures import PlanFigures
from bridge.player import Player, Timed
from bridge.presets import Preset
from bridge.seat import Seat, Watcher
from bridge.session import Session
from bridge.session_log import LogPlace, kept_session
from bridge.simulation import Simulation
from bridge.status import Settings, Status
from pianogen.grid import Measure

SIMULATED_START_S = 1.0
WATCH_S = 0.05  # how often a display is told the status

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: presets, how the session is set, how the model is loaded; where it is logged."""

    presets: tuple[Preset, ...]
    settings: Settings
    device: str
    factory: str
    log: LogPlace | None = None

    @property
    def first(self) -> Preset:
        """The preset that it begins with."""
        return Controls(self.presets, self.settings.preset).preset

    def performer(self, queue: Inbox) -> Performer:
        """The model process for this one alone, not yet started."""
        return ensemble([self], queue)

    def session(self, presets: Sequence[Preset]) -> AbstractContextManager[Session]:
        """The session with these presets, and its log where one is wanted."""
        return kept_session(self.log, presets, self.settings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a performance went; `sent` is what left the port, read back for the summary."""

    status: Status
    sent: Ledger
    figures: PlanFigures
    device: str
    performer_notes: int


def ensemble(
    casts: Sequence[Cast], queue: Inbox, players: Sequence[Inbox] = (), beside: bool = False
) -> Performer:
    """The model process for all, not yet started; players: where each is answered.

    At first it holds what they begin with; beside: what their other presets play will be asked
    for, too.
    """
    cast, begun = casts[0], {cast.first.checkpoint for cast in casts}
    known = checkpoints_of(cast.presets)
    return Performer(
        [checkpoint for checkpoint in known if checkpoint[0] in begun],
        queue,
        players=players,
        beside=[c for c in known if c[0] not in begun] if beside else (),
        device=cast.device,
        factory=cast.factory,
        meter=cast.settings.meter,
        bpm=cast.settings.bpm,
    )


def play_live(cast: Cast, messages: Sequence[Timed], watchers: Sequence[Watcher]) -> Outcome:
    """Play it in real time; begins when the model is ready. Raises ModelError where it is not."""
    queue: SimpleQueue[Arrival] = SimpleQueue()
    ports = MemoryPorts()
    performer = cast.performer(queue)
    player = Player(messages, ports.feed, lambda: queue.put(Quit(0.0)))
    cue = _Cue(player)
    watchers = [*watchers, cue]
    with cast.session(cast.presets) as session:
        try:
            seat = Seat(session, ports, performer, watchers=watchers)
            Daemon([seat], performer, queue, watch_s=WATCH_S).run()
        finally:
            player.stop()
    sent = Ledger()
    for now, message in ports.sent:
        sent.record(message, now)
    return Outcome(session.status(), sent, performer.figures[0], performer.device, cue.notes)


class _Cue:
    """Lets the performer begin when the model is ready, and counts their notes."""

    def __init__(self, player: Player) -> None:
        self.notes = 0
        self._player = player

    def heard(self, event: Event) -> None:
        if isinstance(event, ModelReady):
            self._player.start()
        self.notes += isinstance(event, NoteOn)

    def sent(self, message: ChannelMessage, now: float) -> None:
        pass

    def shown(self, status: Status) -> None:
        pass


def play_fast(cast: Cast, messages: Sequence[Timed], watchers: Sequence[Watcher]) -> Outcome:
    """Play it on simulated time, each request answered before time goes on.

    There an answer has all the time it wants: each is chosen from as many drafts as its preset
    says, from a fixed number where that says `auto`, so that the same file gives the same notes.
    """
    queue: SimpleQueue[Arrival] = SimpleQueue()
    events = _events(messages)
    performer = cast.performer(queue)
    performer.start()
    try:
        _await(queue, performer, ModelReady)
        with cast.session([preset.unhurried for preset in cast.presets]) as session:
            simulation = Simulation(session, events, lambda ask: _answer(queue, performer, ask))
            simulation.run()
    finally:
        performer.close()
    sent = Ledger()
    for event in events:
        for watcher in watchers:
            watcher.heard(event)
    for done in simulation.done:
        if isinstance(done.action, Send):
            sent.record(done.action.message, done.time)
            for watcher in watchers:
                watcher.sent(done.action.message, done.time)
    notes = sum(isinstance(event, NoteOn) for event in events)
    return Outcome(session.status(), sent, performer.figures[0], performer.device, notes)


def _events(messages: Sequence[Timed]) -> list[Event]:
    parsed = (parse(data, SIMULATED_START_S + time) for time, data in messages)
    end = SIMULATED_START_S + (messages[-1][0] if messages else 0.0) + 0.5
    return list(chain((event for event in parsed if event is not None), [Quit(end)]))


def _answer(queue: SimpleQueue[Arrival], performer: Performer, ask: Ask) -> Measure | None:
    """Ask and wait, however long it takes: simulated deadlines mean nothing to the process."""
    performer.ask(replace(ask, deadline=inf, wanted_by=inf))
    while (planned := _await(queue, performer, Planned)).plan_id != ask.plan_id:
        pass
    return planned.measure


def _await(queue: SimpleQueue[Arrival], performer: Performer, kind: type[E]) -> E:
    """The next event of a kind; raises ModelError when the model process dies instead."""
    while True:
        event = queue.get()
        if isinstance(event, kind):
            return event
        if isinstance(event, ModelLost):
            why = performer.failure or "its process died"
            raise ModelError(f"the model cannot be loaded: {why}")
