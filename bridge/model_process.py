"""What runs inside the model process: it loads checkpoints, warms them up, and answers.

The only part of the bridge where torch is imported, and only on CUDA: by the factory, never by
this file. Knows nothing of ports, clocks or turns. Ends when the daemon's end of the pipe closes.
"""

from __future__ import annotations

import gc
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, assert_never

from bridge.priority import ask_for_a_larger_share
from bridge.repertoire import Repertoire, one_line
from bridge.wire import Failed, Load, Ready, Refused, Request, Wish, Word
from pianogen.grid import Meter

DEFAULT_FACTORY = "pianogen.checkpoint:load_continuation"
TOGETHER_S = 0.002  # players who follow one clock ask within so long of each other


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process is started with.

    checkpoints: (name, sha256 or None) of every preset's. device: cpu, cuda or auto.
    factory: "module:function", called as function(name, device=..., sha256=...).
    meter: that of the measures to come.
    is_first: before any music, all that cannot be loaded is told by not starting; later the
    process starts without, as long as it has any.
    """

    checkpoints: tuple[tuple[str, str | None], ...]
    device: str = "cpu"
    factory: str = DEFAULT_FACTORY
    meter: Meter = field(default_factory=Meter)
    is_first: bool = True


def run(connection: Connection, setup: Setup) -> None:
    """The process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon decides when this ends
    ask_for_a_larger_share()
    try:
        repertoire, words = load(setup)
    except (Exception, SystemExit) as error:
        _say(connection, Failed(one_line(error)))
        return
    gc.collect()
    gc.freeze()  # what was loaded stays: to look through it again would cost an answer its time
    if all(_say(connection, word) for word in words):
        serve(connection, repertoire)


def load(setup: Setup) -> tuple[Repertoire, list[Ready | Refused]]:
    """Load what the setup says; returns what can play and what is to be said of it."""
    began = perf_counter()
    repertoire = Repertoire(_find(setup.factory), _prepare(setup), setup.meter)
    words: list[Ready | Refused] = []
    for name, sha256 in setup.checkpoints:
        try:
            repertoire.load(name, sha256)
        except Exception as error:
            if setup.is_first or len(words) + 1 == len(setup.checkpoints):
                raise
            words.append(Refused(name, sha256, one_line(error)))
    took_s = perf_counter() - began
    return repertoire, [*words, Ready(repertoire.device, took_s, (*repertoire.measure_ms.items(),))]


def _prepare(setup: Setup) -> str:
    """The device to use."""
    if setup.factory != DEFAULT_FACTORY:
        return "cpu" if setup.device == "auto" else setup.device
    from pianogen.device import device_name

    return device_name(setup.device)


def _find(factory: str) -> Callable[..., Any]:
    module, _, function = factory.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def serve(connection: Connection, repertoire: Repertoire) -> None:
    """Do what is asked until the daemon is gone; where nothing is, go on with loading."""
    waiting: deque[Wish] = deque()
    while True:
        words: Sequence[Word | None]
        try:
            is_idle = not waiting and repertoire.is_loading
            if is_idle and not connection.poll(repertoire.pause_s()):
                words = (repertoire.go_on(),)
            else:
                words = _do(repertoire, connection, waiting)
        except (EOFError, OSError):  # the daemon is gone
            return
        for word in words:
            if word is not None and not _say(connection, word):
                return


def _do(repertoire: Repertoire, connection: Connection, waiting: deque[Wish]) -> Sequence[Word]:
    """The next wish; of requests, those of all players who ask for the same time."""
    wish = waiting.popleft() if waiting else connection.recv()
    match wish:
        case Request():
            return repertoire.answer_all(_company(wish, repertoire, connection, waiting))
        case Load():
            repertoire.begin(wish)
            return ()
        case _:
            assert_never(wish)


def _company(
    first: Request, repertoire: Repertoire, connection: Connection, waiting: deque[Wish]
) -> list[Request]:
    """A request and one of each other player's who plays, where it is there by now or at once;
    all else goes on waiting."""
    requests, until = [first], perf_counter() + TOGETHER_S
    others: deque[Wish] = deque()
    while repertoire.expects_more(requests):
        if waiting:
            wish = waiting.popleft()
        elif connection.poll(max(0.0, until - perf_counter())):
            wish = connection.recv()
        else:
            break
        if isinstance(wish, Request) and all(wish.player != other.player for other in requests):
            requests.append(wish)
        else:
            others.append(wish)
    waiting.extendleft(reversed(others))
    return requests


def _say(connection: Connection, word: Word) -> bool:
    try:
        connection.send(word)
    except OSError:
        return False
    return True
