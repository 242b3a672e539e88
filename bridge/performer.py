"""The model process seen from the daemon: start, ask, answers, death and restart.

One thread here blocks on the pipe and puts what arrives on the daemon's queue, an answer where the
player who asked is told; the process runs `bridge.model_process`. Knows nothing of turns or time in
music, and never imports torch.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import perf_counter
from typing import TypeAlias, assert_never

from bridge.arrivals import Inbox
from bridge.events import Ask, ModelLost, ModelReady, Planned
from bridge.loads import Checkpoint, Loads
from bridge.model_process import DEFAULT_FACTORY, Setup, run
from bridge.plan_figures import PlanFigures
from bridge.presets import Preset
from bridge.processes import start_process
from bridge.slowness import slowness
from bridge.wire import (
    Failed,
    Load,
    Loaded,
    Ready,
    Refused,
    Reply,
    Request,
    Word,
    unpack_measure,
)
from pianogen.grid import Meter

log = logging.getLogger(__name__)

MAX_UNDER_WAY = 16  # more requests of a player's unanswered: it is stuck, do not wait on it
STUCK_S = 10.0  # a request unanswered for so long: the process is killed and started anew
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

Key: TypeAlias = tuple[int, int]  # the player, and the plan_id: each player counts for itself


class Performer:
    """The process that plays, asked by `Ask`, answering by Planned.

    queue: where all are told that it is ready or lost. players: where each of them is told the
    answers; by default there is one, on the queue.
    checkpoints: (name, sha256 or None), all loaded at the start; beside: those that `need` will
    ask for soon; more by `need`. device: cpu, cuda or auto.
    factory: what loads a checkpoint, "module:function". meter: of the measures to come. bpm: that
    of the music, as far as is known.
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        queue: Inbox,
        *,
        players: Sequence[Inbox] = (),
        beside: Sequence[Checkpoint] = (),
        device: str = "cpu",
        factory: str = DEFAULT_FACTORY,
        meter: Meter | None = None,
        bpm: float = 120.0,
    ) -> None:
        self._players = tuple(players) or (queue,)
        self.figures = tuple(PlanFigures() for _ in self._players)  # of each player's requests
        self.failure: str | None = None  # why the process could not serve, where it said so
        self.ready: Ready | None = None
        self._setup = Setup(tuple(checkpoints), device, factory, meter or Meter())
        self._queue = queue
        self._bpm = bpm
        self._loads = Loads(checkpoints, beside)
        self._slow: set[str] = set()  # told, by name
        self._needed = {name for name, _ in (*checkpoints, *beside)}
        self._plays: dict[int, str] = {}  # player: the checkpoint asked last
        self._asked: dict[Key, float] = {}  # when
        self._closing = threading.Event()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._keep, name="performer", daemon=True)

    @property
    def pid(self) -> int | None:
        """The model process, where it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def device(self) -> str:
        """Where the model runs, cpu or cuda; empty before it does."""
        return self.ready.device if self.ready is not None else ""

    def introduce(self) -> str:
        """A line for people, once it is ready."""
        if self.ready is None:
            return "model not ready"
        asked = self._setup.device
        instead = f" ({asked} is not available)" if asked not in ("auto", self.device) else ""
        return (
            f"model ready on {self.device}{instead} after {self.ready.load_s:.1f} s, "
            f"a measure heard and answered in {self.ready.warm_ms:.0f} ms"
        )

    def start(self) -> None:
        """Start the process; ModelReady follows on the queue when it can answer."""
        self._spawn()
        self._thread.start()

    def ask(self, ask: Ask, player: int = 0) -> None:
        """Send a player's request. Never blocks, never raises: what cannot be sent has failed."""
        now, key = perf_counter(), (player, ask.plan_id)
        try:
            if self._connection is None or self._under_way(player) >= MAX_UNDER_WAY:
                raise OSError("the model process does not listen")
            self._asked[key] = now
            self._plays[player] = ask.checkpoint
            self._connection.send(Request.of(ask, player))
        except (OSError, ValueError):
            self._asked.pop(key, None)
            self.figures[player].failed += 1
            self._players[player].put(Planned(now, ask.plan_id, None))

    def _under_way(self, player: int) -> int:
        return sum(who == player for who, _ in tuple(self._asked))

    @property
    def outcomes(self) -> int:
        """Another number whenever other checkpoints can play."""
        return self._loads.outcomes

    def can_play(self, preset: Preset) -> bool:
        """Whether the preset's checkpoint is loaded, or about to be."""
        return self._loads.may_play(_checkpoint_of(preset))

    def need(self, presets: Sequence[Preset]) -> None:
        """Have what these presets name loaded beside the music, and whenever the process starts
        anew. What cannot be loaded is told in the log, once."""
        self._needed = {preset.checkpoint for preset in presets}
        for name, sha256 in {_checkpoint_of(preset): None for preset in presets}:
            if self._connection is not None and self._loads.ask_for((name, sha256)):
                try:
                    self._connection.send(Load(name, sha256))
                except OSError:  # the process is gone: asked for again when it is back
                    self._loads.unsaid((name, sha256))

    def retry(self, preset: Preset) -> None:
        """A preset was written anew: what could not be loaded for it may be there by now."""
        self._loads.retry(preset.checkpoint)

    def poll(self) -> None:
        """Kill a process that has stopped answering; its death brings the restart."""
        oldest = min(self._asked.values(), default=None)
        if oldest is not None and perf_counter() - oldest > STUCK_S:
            log.warning("the model has not answered for %.0f s", STUCK_S)
            self._asked.clear()
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process: politely, then by force. Takes 1.5 s at the very worst."""
        self._closing.set()
        connection, process = self._connection, self._process
        if process is not None:
            process.terminate()
            process.join(1.0)
            if process.is_alive():
                process.kill()
                process.join(0.5)
        if self._thread.is_alive():
            self._thread.join(0.5)
        if connection is not None:
            connection.close()

    def _spawn(self) -> None:
        ours, theirs = Pipe()
        self._process = start_process("pianogen-model", run, theirs, self._setup)
        self._connection = ours
        theirs.close()  # else its death would not be seen

    def _keep(self) -> None:
        """The thread: read until the process is gone, say so, start it again, ever slower."""
        attempt = 0
        while not self._closing.is_set():
            was_ready = self._read()
            if self._closing.is_set():
                return
            self._asked.clear()
            self._lose()
            attempt = 0 if was_ready else attempt + 1
            if self._closing.wait(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]):
                return
            self._respawn()

    def _lose(self) -> None:
        self._queue.put(ModelLost(perf_counter()))
        for name, sha256 in self._loads.lose():
            self._refuse((name, sha256), f"the model process ends while it loads {name}")

    def _respawn(self) -> None:
        if self._process is not None:
            self._process.join(1.0)
        if self._connection is not None:
            self._connection.close()
        if self.ready is not None:
            played = set(self._plays.values())
            held = self._loads.keep(self._needed | played, played)
            self._setup = replace(self._setup, checkpoints=held, is_first=False)
        try:
            self._spawn()
        except OSError as error:  # no memory, no processes: try again later
            log.warning("the model process cannot be started: %s", error)
            self._connection = None

    def _read(self) -> bool:
        """Pass on what the process says until it is gone; returns whether it was ever ready."""
        was_ready = False
        while self._connection is not None:
            try:
                word: Word = self._connection.recv()
            except (EOFError, OSError):
                break
            was_ready |= isinstance(word, Ready)
            self._pass_on(word)
        return was_ready

    def _pass_on(self, word: Word) -> None:
        now = perf_counter()
        match word:
            case Ready():
                self.ready, self.failure = word, None
                self._loads.outcomes += 1
                self._queue.put(ModelReady(now, word.warm_ms / 1000))
                for name, measure_ms in word.measure_ms:
                    self._warn_of_slowness(name, measure_ms)
            case Failed():
                self.failure = word.text
                log.debug("the model process ends: %s", word.text)
            case Reply():
                self._answered(word, now)
            case Loaded():
                self._loads.loaded((word.name, word.sha256))
                log.info("checkpoint %s loaded beside the music, in %.1f s", word.name, word.took_s)
                self._warn_of_slowness(word.name, word.measure_ms)
            case Refused():
                self._refuse((word.name, word.sha256), word.text)
            case _:
                assert_never(word)

    def _warn_of_slowness(self, name: str, measure_ms: float) -> None:
        device = self.ready.device if self.ready is not None else self._setup.device
        line = slowness(name, measure_ms, self._bpm, self._setup.meter, device)
        if line is not None and name not in self._slow:
            self._slow.add(name)
            log.warning("%s", line)

    def _refuse(self, checkpoint: Checkpoint, why: str) -> None:
        self._loads.refuse(checkpoint)
        log.warning("%s: presets with this checkpoint stay as they were or are left out", why)

    def _answered(self, reply: Reply, now: float) -> None:
        asked = self._asked.pop((reply.player, reply.plan_id), now)
        self.figures[reply.player].count(reply, now - asked)
        if reply.measure is None and reply.reason != "late":
            log.warning("the model failed to answer: %s", reply.reason)
        log.debug(
            "plan %d: the best of %d, heard in %.1f ms, drawn in %.1f ms, here after %.1f ms",
            reply.plan_id, reply.candidates, reply.listen_ms, reply.answer_ms, 1000 * (now - asked),
        )  # fmt: skip
        measure = unpack_measure(reply.measure) if reply.measure is not None else None
        spare_s = reply.spare_ms / 1000
        planned = Planned(now, reply.plan_id, measure, reply.candidates, spare_s)
        self._players[reply.player].put(planned)


def checkpoints_of(presets: Sequence[Preset]) -> tuple[tuple[str, str | None], ...]:
    """Every checkpoint the presets name, once, with the sha256 where one gives it."""
    found: dict[str, str | None] = {}
    for preset in presets:
        found[preset.checkpoint] = found.get(preset.checkpoint) or preset.sha256
    return tuple(found.items())


def _checkpoint_of(preset: Preset) -> Checkpoint:
    return preset.checkpoint, preset.sha256
