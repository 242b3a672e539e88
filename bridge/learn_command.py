"""What `--learn` does: it asks for each control, hears it at the ports, and writes the map.

What is typed comes by a thread of its own, from a terminal or a pipe: Enter leaves a control as it
is, q or the end of the input ends the walk. Ctrl-C ends it with nothing written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import TypeAlias

from bridge.controls_text import controls_text
from bridge.errors import BridgeError
from bridge.events import ControlChange, Event, NoteOff, NoteOn, ProgramChange, Quit
from bridge.interrupts import signals_as_events
from bridge.learn import Walk
from bridge.ports import Ports
from bridge.state_out import StateOut
from pianogen.files import write_whole

LOOK_S = 0.05  # how often what moved and what was typed are looked at
POLL_S = 1.0  # how often ports are looked after
_END = ("q", "quit")

Typed: TypeAlias = "SimpleQueue[str | None]"  # lines; None: there will be no more
Say: TypeAlias = Callable[[str], None]


def learn(
    ports: Ports,
    walk: Walk,
    path: Path,
    typed: Typed,
    say: Say,
    *,
    state_out: StateOut | None = None,
) -> int:
    """Walk, and write what came of it to a file; returns the exit code, 1 where it was ended.

    state_out: what is told to lights, which stays. Raises BridgeError where the ports or the file
    cannot be had.
    """
    if path.is_dir():
        raise BridgeError(f"{path} is a folder: name the file, such as {path / 'controls.yaml'}")
    queue: SimpleQueue[Event] = SimpleQueue()
    with signals_as_events(queue):
        say(ports.open(queue))
        try:
            is_whole = _walk(ports, queue, walk, typed, say)
        finally:
            ports.close()
    if not is_whole:
        say("ended: nothing is written")
        return 1
    if not walk.learned:
        say("nothing was moved: nothing is written")
        return 0
    _write(path, walk, controls_text(walk.bindings, state_out), say)
    return 0


def typed_lines(descriptor: int) -> Typed:
    """The lines that come in at a file descriptor, read by a thread; then None.

    Read without Python's buffer: a thread that waits there would not let the process end.
    """
    typed: Typed = SimpleQueue()
    threading.Thread(target=_read_lines, args=(descriptor, typed), daemon=True).start()
    return typed


def _read_lines(descriptor: int, typed: Typed) -> None:
    rest = b""
    while True:
        try:
            data = os.read(descriptor, 4096)
        except OSError:
            data = b""
        if not data:
            typed.put(None)
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            typed.put(line.decode("utf-8", "replace").strip())


def _walk(ports: Ports, queue: SimpleQueue[Event], walk: Walk, typed: Typed, say: Say) -> bool:
    """Until the last control, or the player wants no more; False where it was ended by a signal."""
    say("Enter leaves a control as it is, q ends and writes, Ctrl-C ends and writes nothing.")
    _ask(walk, say)
    next_poll = perf_counter() + POLL_S
    while walk.control is not None:
        if not _hear(queue, walk):
            return False
        now = perf_counter()
        if now >= next_poll:
            next_poll = now + POLL_S
            ports.poll()
        if (heard := walk.look(now)) is not None:
            say(f"  {heard}")
            _ask(walk, say)
        if not _obey(typed, walk, say):
            break
    return True


def _hear(queue: SimpleQueue[Event], walk: Walk) -> bool:
    """Take what came, and wait a moment for more; False where it is to end."""
    until = perf_counter() + LOOK_S
    while True:
        try:
            event = queue.get(timeout=max(0.0, until - perf_counter()))
        except Empty:
            return True
        match event:
            case NoteOn() | NoteOff() | ControlChange() | ProgramChange():
                walk.hear(event)
            case Quit():
                return False
            case _:
                pass


def _obey(typed: Typed, walk: Walk, say: Say) -> bool:
    """Do what was typed; False where it is to end."""
    try:
        line = typed.get_nowait()
    except Empty:
        return True
    if line is None or line.lower() in _END:
        return False
    walk.skip()
    _ask(walk, say)
    return True


def _ask(walk: Walk, say: Say) -> None:
    if walk.control is not None:
        say(walk.prompt())


def _write(path: Path, walk: Walk, text: str, say: Say) -> None:
    try:
        write_whole(path, text.encode())
    except OSError as error:
        say(text)  # what was learned is not lost
        raise BridgeError(f"{path} cannot be written: {error.strerror}; the map is above") from None
    say(f"wrote {path}: {len(walk.learned)} learned ({', '.join(walk.learned)})")
    say(f"use it: pianogen-bridge --controls {path}, or put it beside presets of your own")
