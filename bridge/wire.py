"""What the daemon and the model process say to each other, small enough to send at any time.

A measure travels as bytes, two of meter and four a note, so that the main loop spends
microseconds on a request and the model process compares measures without building them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bridge.events import Ask
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Sampling

_NOTE_BYTES = 4


def pack_measure(measure: Measure) -> bytes:
    """Numerator, denominator, then onset, pitch, velocity bin and duration of every note."""
    values = [measure.meter.numerator, measure.meter.denominator]
    for note in measure.notes:
        values += (note.onset, note.pitch, note.velocity_bin, note.duration)
    return bytes(values)


def unpack_measure(data: bytes) -> Measure:
    """The measure that `pack_measure` made these bytes of."""
    notes = tuple(
        Note(*data[place : place + _NOTE_BYTES]) for place in range(2, len(data), _NOTE_BYTES)
    )
    return Measure(Meter(data[0], data[1]), notes)


@dataclass(frozen=True, slots=True)
class Request:
    """An Ask of a player's, packed. Times are seconds of the monotonic clock, which all processes
    share."""

    plan_id: int
    checkpoint: str
    meter: Meter
    start: int
    context: tuple[bytes, ...]
    sampling: Sampling
    seed: int
    deadline: float
    wanted_by: float
    player: int = 0

    @classmethod
    def of(cls, ask: Ask, player: int = 0) -> Request:
        """Pack what the session asks."""
        return cls(
            plan_id=ask.plan_id,
            checkpoint=ask.checkpoint,
            meter=ask.meter,
            start=ask.start,
            context=tuple(pack_measure(measure) for measure in ask.context),
            sampling=ask.sampling,
            seed=ask.seed,
            deadline=ask.deadline,
            wanted_by=ask.wanted_by,
            player=player,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """Load one more checkpoint, between requests; answered by a Loaded or a Refused."""

    name: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request: a packed measure, or None and the reason why not.

    candidates: how many drafts it was chosen from. spare_ms: how much sooner one alone would
    have come. is_tight: it was late or nearly so, so that there will be fewer.
    """

    plan_id: int
    measure: bytes | None
    listen_ms: float = 0.0
    answer_ms: float = 0.0
    listened: int = 0  # measures that had to be heard anew
    reason: str = ""
    candidates: int = 1
    spare_ms: float = 0.0
    is_tight: bool = False
    player: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """Every checkpoint that can be is loaded and has answered, from one draft and from many.

    device: cpu or cuda. measure_ms: name and what hearing and answering a busy measure from one
    draft takes, once warm, of each.
    """

    device: str
    load_s: float
    measure_ms: tuple[tuple[str, float], ...]

    @property
    def warm_ms(self) -> float:
        """Of the slowest."""
        return max((took_ms for _, took_ms in self.measure_ms), default=0.0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One more checkpoint can play.

    took_s: from being told to being warm, requests between included. measure_ms: as of Ready.
    """

    name: str
    sha256: str | None
    took_s: float
    measure_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """A checkpoint cannot be loaded, the others play on; `text` is one line for a person."""

    name: str
    sha256: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The process cannot serve and ends; `text` is one line for a person."""

    text: str


Wish: TypeAlias = Request | Load
Word: TypeAlias = Reply | Ready | Loaded | Refused | Failed
