"""A piano roll in the terminal, drawn by a process of its own from what the daemon tells it.

Drawing in the daemon's interpreter would hold up its notes by milliseconds; telling costs
microseconds, and where the display is slow, what it is told is dropped. Where the output is no
terminal, each measure is one plain line.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from math import inf
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from time import perf_counter
from typing import TYPE_CHECKING, Literal, TypeAlias

from bridge.events import ChannelMessage, Event, NoteOff, NoteOn
from bridge.processes import start_process
from bridge.status import Status

if TYPE_CHECKING:
    from rich.text import Text

Voice: TypeAlias = Literal["performer", "pianogen"]
Told: TypeAlias = tuple[Literal["note"], Voice, int, int] | tuple[Literal["line"], str] | Status

LOW, HIGH = 33, 92  # the pitches drawn, two a row
COLUMN_S = 0.1
FRAME_S = 0.125
NEWS_S = 0.06  # how long after its line a measure is news, at the latest
_COLOURS = {"performer": "cyan", "pianogen": "magenta"}
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class Display(logging.Handler):
    """The daemon's end: a watcher, and a log handler so that log lines do not cross the roll."""

    def __init__(self) -> None:
        super().__init__()
        reader, self._writer = Pipe(duplex=False)
        self._process = start_process("pianogen-display", show, reader)
        reader.close()
        self._heard: Event | None = None
        if os.name == "posix":
            os.set_blocking(self._writer.fileno(), False)

    def heard(self, event: Event) -> None:
        """The performer's notes."""
        self._heard = event
        self._note("performer", event)

    def sent(self, message: ChannelMessage, now: float) -> None:
        """The machine's notes; what was heard just now is only passed on."""
        if message is not self._heard:
            self._note("pianogen", message)

    def shown(self, status: Status) -> None:
        """Where the music is."""
        self._tell(status)

    def emit(self, record: logging.LogRecord) -> None:
        """A log line, above the roll."""
        self._tell(("line", self.format(record)))

    def end(self) -> None:
        """Let the display draw what it has and end."""
        self._writer.close()
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()

    def _note(self, voice: Voice, message: object) -> None:
        if isinstance(message, NoteOn):
            self._tell(("note", voice, message.pitch, message.velocity))
        elif isinstance(message, NoteOff):
            self._tell(("note", voice, message.pitch, 0))

    def _tell(self, told: Told) -> None:
        try:
            self._writer.send(told)
        except (OSError, ValueError):  # full, or gone: playing matters more
            return


def show(reader: Connection) -> None:
    """The display process's whole life."""
    if sys.stdout.isatty():
        _show_roll(reader)
    else:
        _show_lines(reader)


def pitch_name(pitch: int) -> str:
    """60 is C4."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def _told(reader: Connection, until: float) -> Iterator[Told]:
    """What is told until then; EOFError when there will be no more."""
    while reader.poll(max(0.0, until - perf_counter())):
        yield reader.recv()


class Lines:
    """One line a measure: who played what.

    A status tells of a new measure a little after its line, and a hand may be a little before
    it: what was struck just before the news belongs to the new measure.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        self._measure: int | None = None
        self._struck: list[tuple[float, Voice, int]] = []

    def take(self, told: Told) -> str | None:
        """A line to print, where one is complete."""
        match told:
            case ("note", voice, pitch, velocity):
                if velocity:
                    self._struck.append((self._now(), voice, pitch))
                return None
            case ("line", text):
                return text
            case Status():
                return self._turn(told)
            case _:
                return None

    def _turn(self, status: Status) -> str | None:
        """The measure just over, when another has begun."""
        over, self._measure = self._measure, status.measure
        if over == status.measure:
            return None
        line = self._now() - NEWS_S if status.measure is not None else inf
        past = [note for note in self._struck if note[0] < line]
        self._struck = self._struck[len(past) :]
        if over is None and not past:
            return None
        return f"measure {over or 0:>3}" + "".join(
            f"  {voice}: {_names_of(past, voice)}" for voice in ("performer", "pianogen")
        )


def _names_of(struck: list[tuple[float, Voice, int]], voice: str) -> str:
    return " ".join(pitch_name(pitch) for _, whose, pitch in struck if whose == voice) or "-"


def _show_lines(reader: Connection) -> None:
    lines = Lines()
    try:
        while True:
            for told in _told(reader, perf_counter() + 1.0):
                line = lines.take(told)
                if line is not None:
                    print(line, flush=True)
    except (EOFError, OSError):
        return


class Roll:
    """The last seconds as a grid of columns; each holds which voice sounded each pitch."""

    def __init__(self) -> None:
        self._columns: deque[dict[int, str]] = deque(maxlen=400)
        self._sounding: dict[int, str] = {}
        self._struck: dict[int, str] = {}
        self.status: Status | None = None

    def note(self, voice: str, pitch: int, velocity: int) -> None:
        """A note begins (velocity above 0) or ends."""
        if velocity:
            self._sounding[pitch] = self._struck[pitch] = voice
        elif self._sounding.get(pitch) == voice:
            del self._sounding[pitch]

    def step(self) -> None:
        """One more column: what sounds, and what was struck and let go since the last."""
        self._columns.append({**self._struck, **self._sounding})
        self._struck.clear()

    def draw(self, width: int, height: int) -> Text:
        """The roll as text, at most `height` rows, with the status below."""
        from rich.text import Text

        rows = min((HIGH - LOW) // 2, max(4, height - 2))
        top = LOW + 2 * rows
        columns = list(self._columns)[-(width - 5) :]
        text = Text(no_wrap=True, overflow="crop")
        for row in range(rows):
            upper = top - 2 * row
            label = pitch_name(upper - upper % 12) if upper % 12 in (0, 1) else ""
            text.append(f"{label:>4} ", "dim")
            for run, style in _runs(columns, upper):
                text.append(run, style)
            text.append("\n")
        text.append(self._caption(), "bold")
        return text

    def _caption(self) -> str:
        status = self.status
        if status is None:
            return "loading the model"
        where = f" | measure {status.measure}" if status.measure is not None else ""
        best = f" | best of {status.candidates}" if status.candidates else ""
        return f"{status.mode}{where} | {status.tempo:.0f} bpm | preset {status.preset}{best}"


def _runs(columns: list[dict[int, str]], upper: int) -> Iterator[tuple[str, str]]:
    """Half blocks, two pitches a cell, as runs of one style."""
    run, last = "", ""
    for column in columns:
        above, below = column.get(upper, ""), column.get(upper - 1, "")
        mark = "▀" if above else "▄" if below else "·" if upper % 12 in (0, 1) else " "
        style = _COLOURS.get(above or below, "grey23")
        if above and below:
            style += f" on {_COLOURS[below]}"
        if style != last and run:
            yield run, last
            run = ""
        run, last = run + mark, style
    yield run, last


def _show_roll(reader: Connection) -> None:
    from rich.console import Console
    from rich.live import Live

    console, roll = Console(), Roll()
    next_column = perf_counter()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                for told in _told(reader, perf_counter() + FRAME_S):
                    _take(roll, told, console)
                while next_column <= perf_counter():
                    roll.step()
                    next_column += COLUMN_S
                live.update(roll.draw(console.width, console.height), refresh=True)
        except (EOFError, OSError):
            return


def _take(roll: Roll, told: Told, console: object) -> None:
    match told:
        case ("note", voice, pitch, velocity):
            roll.note(voice, pitch, velocity)
        case ("line", text):
            console.print(text, markup=False, highlight=False)  # type: ignore[attr-defined]
        case Status():
            roll.status = told
        case _:
            pass
