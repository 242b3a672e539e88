"""What comes in, what goes out: frozen values, stamped with monotonic seconds.

`time` is `time.perf_counter()` where the event happened (the driver's callback), never later.
Channels are 0..15; pitch, control, value and program 0..127; velocity of a note-on 1..127 (a
note-on of velocity 0 is a NoteOff before it becomes an event).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pianogen.grid import Measure, Meter
from pianogen.sampling import Sampling

if TYPE_CHECKING:
    from bridge.presets import Preset


@dataclass(frozen=True, slots=True)
class NoteOn:
    """A key goes down."""

    time: float
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class NoteOff:
    """A key comes up."""

    time: float
    channel: int
    pitch: int
    velocity: int = 0


@dataclass(frozen=True, slots=True)
class ControlChange:
    """A controller moves."""

    time: float
    channel: int
    control: int
    value: int


@dataclass(frozen=True, slots=True)
class ProgramChange:
    """A program is chosen."""

    time: float
    channel: int
    program: int


@dataclass(frozen=True, slots=True)
class Other:
    """A bend or aftertouch, which is passed on or not, and never understood.

    kind: 0xA0 (aftertouch of a key), 0xD0 (of a channel) or 0xE0 (pitch bend). data: the one or
    two bytes behind the status, each 0..127.
    """

    time: float
    channel: int
    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Tick:
    """A MIDI clock, 24 a quarter note (F8)."""

    time: float


@dataclass(frozen=True, slots=True)
class Start:
    """Roll from the beginning; the next Tick is position 0 (FA)."""

    time: float


@dataclass(frozen=True, slots=True)
class Continue:
    """Roll from where stopped or from the last song position, at the next Tick (FB)."""

    time: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop rolling at once (FC)."""

    time: float


@dataclass(frozen=True, slots=True)
class SongPosition:
    """Go to `sixteenths` (0..16383) sixteenth notes, 6 ticks each, from the beginning (F2)."""

    time: float
    sixteenths: int


Transport: TypeAlias = Tick | Start | Continue | Stop | SongPosition
ChannelMessage: TypeAlias = NoteOn | NoteOff | ControlChange | ProgramChange | Other
MidiEvent: TypeAlias = ChannelMessage | Transport


# What the daemon tells the session besides MIDI.


@dataclass(frozen=True, slots=True)
class Wake:
    """The time the session asked to be woken at (`Session.next_deadline`) has come."""

    time: float


@dataclass(frozen=True, slots=True)
class Planned:
    """The model process has answered a request; `measure` is None where it failed.

    candidates: how many drafts it was chosen from. spare_s: how much sooner one alone would
    have come, in seconds.
    """

    time: float
    plan_id: int
    measure: Measure | None
    candidates: int = 1
    spare_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelReady:
    """The model process is loaded and warm; requests are answered from now on.

    response_s: hearing and answering a measure once warm, from one draft; 0 where unknown.
    """

    time: float
    response_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelLost:
    """The model process has died; requests under way will never be answered."""

    time: float


@dataclass(frozen=True, slots=True)
class OutputLost:
    """The output port is gone: what sounds there is beyond reach, what is booked is dropped."""

    time: float


@dataclass(frozen=True, slots=True)
class OutputDelay:
    """From now on the output port lets each message out `delay_s` after it is given it, exactly:
    what is sent so much earlier is heard in time."""

    time: float
    delay_s: float


@dataclass(frozen=True, slots=True)
class PresetsRead:
    """From now on these are the presets to choose from, at least one, by number.

    Every one can play: its checkpoint is loaded.
    """

    time: float
    presets: tuple[Preset, ...]


@dataclass(frozen=True, slots=True)
class Quit:
    """The daemon is about to end: release everything that sounds."""

    time: float


Event: TypeAlias = (
    MidiEvent
    | Wake
    | Planned
    | ModelReady
    | ModelLost
    | OutputLost
    | OutputDelay
    | PresetsRead
    | Quit
)


# What the session wants done.


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` on the output port now; `message.time` is when it was due."""

    message: ChannelMessage


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model process for the measure that follows `context`.

    context: the newest measures heard, both voices, of which the first has index `start` among
    all that count as heard (those before it are as they were when last sent). Answered by a
    Planned with the same `plan_id`; useless after `deadline`, wanted by `wanted_by`, when the
    model may be asked again (both in seconds, monotonic): until then more drafts may be drawn,
    at most `sampling.candidates`.
    """

    plan_id: int
    checkpoint: str
    meter: Meter
    start: int
    context: tuple[Measure, ...]
    sampling: Sampling
    seed: int
    deadline: float
    wanted_by: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should read, for the log."""

    level: Literal["info", "warning"]
    text: str


Action: TypeAlias = Send | Ask | Notice
