"""What runs inside the model process: it loads every checkpoint, warms up, and answers.

The only part of the bridge where torch is imported, and only on CUDA: by the factory, never by
this file. Knows nothing of ports, clocks or turns. Ends when the daemon's end of the pipe closes.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from bridge.candidates import Costs
from bridge.priority import ask_for_a_larger_share
from bridge.recall import Recall
from bridge.wire import Failed, Ready, Reply, Request
from pianogen.continuation import Continuation
from pianogen.errors import PianogenError
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling

WARM_UPS = {"cpu": (1, 8), "cuda": (1, 4, 16, 64, 256)}  # how many drafts, before any is asked
WARM_UP_ROUNDS = 4  # the first of which is not counted
DEFAULT_FACTORY = "pianogen.checkpoint:load_continuation"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process is started with.

    checkpoints: (name, sha256 or None) of every preset's. device: cpu, cuda or auto.
    factory: "module:function", called as function(name, device=..., sha256=...).
    meter: that of the measures to come.
    """

    checkpoints: tuple[tuple[str, str | None], ...]
    device: str = "cpu"
    factory: str = DEFAULT_FACTORY
    meter: Meter = field(default_factory=Meter)


def run(connection: Connection, setup: Setup) -> None:
    """The process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon decides when this ends
    ask_for_a_larger_share()
    try:
        recalls, ready = _load(setup)
    except (Exception, SystemExit) as error:
        _say(connection, Failed(_one_line(error)))
        return
    gc.collect()
    gc.freeze()  # what was loaded stays: to look through it again would cost an answer its time
    if _say(connection, ready):
        _serve(connection, recalls)


def _load(setup: Setup) -> tuple[dict[str, Recall], Ready]:
    began = perf_counter()
    device = _prepare(setup)
    factory = _find(setup.factory)
    recalls, warm_s = {}, 0.0
    for name, sha256 in setup.checkpoints:
        model: Continuation = factory(name, device=device, sha256=sha256)
        costs = Costs()
        warm_s = max(warm_s, warm_up(model, setup.meter, costs, WARM_UPS[device]))
        recalls[name] = Recall(model, costs)
    return recalls, Ready(device, perf_counter() - began, warm_s * 1000)


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


def warm_up(model: Continuation, meter: Meter, costs: Costs, sizes: Sequence[int]) -> float:
    """Play a little unheard, so that the first real answer is as fast as the rest.

    What so many drafts take is told to `costs`. Returns the seconds that the last measure took
    to be heard and answered from one draft.
    """
    onsets = range(0, meter.steps, 8)
    chords = tuple(Note(t, 48 + 4 * j + t // 8, 16, 8) for t in onsets for j in range(4))
    one_s = 0.0
    model.reset(meter)
    for played in range(WARM_UP_ROUNDS):
        for candidates in sizes:
            began = perf_counter()
            model.listen(Measure(meter, chords))
            heard = perf_counter()
            model.answer(Sampling(candidates=candidates), played)
            over = perf_counter()
            if played:
                costs.learn(candidates, over - heard)
            if candidates == 1:
                one_s = over - began
    model.reset(meter)
    return one_s


def _serve(connection: Connection, recalls: dict[str, Recall]) -> None:
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):  # the daemon is gone
            return
        if not _say(connection, _answer(recalls, request)):
            return


def _answer(recalls: dict[str, Recall], request: Request) -> Reply:
    if perf_counter() > request.deadline:
        return Reply(request.plan_id, None, reason="late")
    try:
        done = recalls[request.checkpoint].answer(request)
    except Exception as error:  # whatever a model does wrong costs one measure, not the evening
        return Reply(request.plan_id, None, reason=_one_line(error))
    return Reply(
        request.plan_id,
        done.measure,
        listen_ms=done.listen_s * 1000,
        answer_ms=done.answer_s * 1000,
        listened=done.listened,
        candidates=done.candidates,
        spare_ms=done.spare_s * 1000,
        is_tight=done.is_tight,
    )


def _say(connection: Connection, word: Reply | Ready | Failed) -> bool:
    try:
        connection.send(word)
    except OSError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, PianogenError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
