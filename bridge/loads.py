"""Which checkpoints the model process holds, which it is to load, and which it cannot. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

Checkpoint: TypeAlias = tuple[str, str | None]  # its name, and the sha256 asked for

MOST_DEATHS = 2  # of the process while it loads one: then it is that one's fault


class Loads:
    """held: name and the sha256 it was checked against, of all that were loaded at the start.

    beside: those that are asked for as soon as there is music; they count as there, until they are
    refused.
    """

    def __init__(self, held: Iterable[Checkpoint], beside: Iterable[Checkpoint] = ()) -> None:
        self.outcomes = 0  # grows with every change of what is held, lost or refused
        self._held = dict(held)
        self._coming = dict(beside)
        self._under_way: set[Checkpoint] = set()
        self._refused: set[Checkpoint] = set()
        self._deaths: dict[Checkpoint, int] = {}

    def has(self, checkpoint: Checkpoint) -> bool:
        """Whether it can play, of the sha256 asked for."""
        name, sha256 = checkpoint
        return name in self._held and sha256 in (None, self._held[name])

    def may_play(self, checkpoint: Checkpoint) -> bool:
        """Whether it can play, or will be able to before long, as far as is known."""
        name, sha256 = checkpoint
        is_coming = name in self._coming and sha256 in (None, self._coming[name])
        return self.has(checkpoint) or is_coming

    def ask_for(self, checkpoint: Checkpoint) -> bool:
        """Whether it is to be loaded now; from then on it is under way."""
        if self.has(checkpoint) or checkpoint in self._refused | self._under_way:
            return False
        self._under_way.add(checkpoint)
        return True

    def unsaid(self, checkpoint: Checkpoint) -> None:
        """It could not be asked for."""
        self._under_way.discard(checkpoint)

    def loaded(self, checkpoint: Checkpoint) -> None:
        """It can play from now on."""
        self._under_way.discard(checkpoint)
        name, sha256 = checkpoint
        self._coming.pop(name, None)
        self._held[name] = sha256 or self._held.get(name)
        self.outcomes += 1

    def refuse(self, checkpoint: Checkpoint) -> None:
        """It cannot be loaded; what was held under its name before is held still."""
        if checkpoint not in self._under_way:  # held before, and lost with the process
            self._held.pop(checkpoint[0], None)
        self._under_way.discard(checkpoint)
        self._coming.pop(checkpoint[0], None)
        self._refused.add(checkpoint)
        self.outcomes += 1

    def retry(self, name: str) -> None:
        """Its preset was written anew: it may be loadable by now."""
        self._refused = {refused for refused in self._refused if refused[0] != name}

    def lose(self) -> tuple[Checkpoint, ...]:
        """The process is gone; returns what it died of while loading, again: to be refused."""
        lost = tuple(self._under_way)
        for checkpoint in lost:
            self._deaths[checkpoint] = self._deaths.get(checkpoint, 0) + 1
        given_up = {checkpoint for checkpoint in lost if self._deaths[checkpoint] >= MOST_DEATHS}
        self._under_way.intersection_update(given_up)
        self.outcomes += 1
        return tuple(given_up)

    def keep(self, needed: Collection[str], played: Collection[str]) -> tuple[Checkpoint, ...]:
        """What a new process is to hold from its start: what is played of all that was held; the
        rest of what is needed comes beside the music. Where nothing is played, it is all."""
        held = {name: sha256 for name, sha256 in self._held.items() if name in needed}
        first = {name: sha256 for name, sha256 in held.items() if name in played} or held
        self._coming |= {name: sha256 for name, sha256 in held.items() if name not in first}
        self._held = first
        return tuple(first.items())
