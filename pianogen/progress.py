"""How far something long is: a bar in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Progress:
    """A training run's, shown while it is open, by the first process alone."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if sys.stdout.isatty() and _is_first():
            from rich.progress import Progress as Bar

            self._bar = Bar()
            self._bar.start()
            self._task = self._bar.add_task("training", total=self.total, completed=self.done)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, row: Mapping[str, Any]) -> None:
        """Move the bar, or print a line."""
        text = f"loss {row['training']['loss']:.3f}, {row['steps_per_second']} steps/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=row["step"], description=text)
        elif row["step"] % 50 == 0:
            self.say(f"update {row['step']}/{self.total}: {text}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text)
        elif _is_first():
            print(text, flush=True)


def _is_first() -> bool:
    """Whether this is the first, or only, of the processes that train; those have torch already."""
    from pianogen import distributed

    return distributed.rank() == 0


def told(items: Iterable[T], count: int, what: str) -> Iterator[T]:
    """The same items, with a word on stderr now and then."""
    every = 1 if sys.stderr.isatty() else max(1, count // 4)
    for number, item in enumerate(items, 1):
        yield item
        if number % every == 0 or number == count:
            end = "\r" if sys.stderr.isatty() and number < count else "\n"
            print(f"{number}/{count} {what}", end=end, file=sys.stderr, flush=True)
