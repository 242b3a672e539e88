"""Playing in a storm of control changes, held against a simple model: `python -m tests.storm`.

Simulated time: a clock, phrases, another preset every measure, controllers turned many thousand
times a second. The model keeps, beside the session, which whole states (preset and values turned)
there have been; each note must come wholly from one of them, and from the preset that was last
chosen when its measure began. Nothing may be left sounding, and the same storm must bring the same
bytes again.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from bridge.control_map import AGAIN_S, DEFAULT_BINDINGS, VALUES, Value, Words
from bridge.events import (
    Ask,
    ControlChange,
    Event,
    ModelReady,
    NoteOff,
    NoteOn,
    Planned,
    ProgramChange,
    Quit,
    Send,
    Start,
    Tick,
    Wake,
)
from bridge.ledger import Ledger
from bridge.midi_bytes import encode
from bridge.presets import Preset
from bridge.replay import Replay
from bridge.session import Session, Settings
from bridge.session_log import LogPlace, kept_session
from bridge.transport import HALF_STEP
from pianogen.grid import PPQN, Measure, Meter, Note, bin_to_velocity

BPM = 120.0
TICK_S = 60 / BPM / PPQN
MEASURE_S = 240 / BPM
PLAYER = 0  # the channel of what is played, which thru passes on
BINS = (6, 12, 18, 24)  # of the machine's four notes
RARE = ("mode", "hand_over", "mutate", "repeat", "freeze", "panic", "next_preset")
FOLLOWING = ("velocity_follow", "scale")  # what it does depends on what was heard
MODES = ("answer", "continue", "duet", "off")
PRESETS = tuple(
    Preset(
        name=f"{mode} {policy}",
        number=4 * n + i,
        mode=mode,
        on_interruption=policy,
        rest_beats=0.5,
        listen_measures=2,
        channel=PLAYER + 2 + 4 * n + i,
        octave_shift=0,
        temperature=0.5 + 0.01 * (4 * n + i),
        velocity_scale=0.5 + 0.1 * i,
    )
    for n, mode in enumerate(MODES)
    for i, policy in enumerate(("yield", "finish", "overlap"))
)
BY_NUMBER = {preset.number: preset for preset in PRESETS}
CONTROLS = {
    binding.control: binding.source.number
    for binding in DEFAULT_BINDINGS
    if binding.source.kind == "cc" and binding.source.number is not None
}


@dataclass(frozen=True, slots=True)
class Storm:
    """How hard it blows: seconds, messages a second, and a seed."""

    seconds: float = 15.0
    a_second: int = 5000
    seed: int = 0
    mode: str | None = None  # only presets of this mode
    is_repeating: bool = True  # what was played is asked for again, too

    def events(self) -> Iterator[Event]:
        """In order of time, from 1.0 s on."""
        rng = random.Random(self.seed)
        streams = (self._clock(), self._phrases(rng), self._presets(), self._controls())
        yield from merge(*streams, key=lambda event: event.time)

    def _clock(self) -> Iterator[Event]:
        yield Start(1.0)
        for n in range(round(self.seconds / TICK_S)):
            yield Tick(1.0 + n * TICK_S)

    def _phrases(self, rng: random.Random) -> Iterator[Event]:
        """Two measures played, two of listening, with a key now and then."""
        for measure in range(int(self.seconds / MEASURE_S)):
            for step in range(0, 32, 4):
                if rng.random() < (0.8 if measure % 4 < 2 else 0.05):
                    time = 1.0 + (measure + step / 32) * MEASURE_S + rng.uniform(0, 0.02)
                    pitch = rng.randrange(48, 72)
                    yield NoteOn(time, 0, pitch, rng.randrange(1, 128))
                    yield NoteOff(time + 0.03, 0, pitch)

    def _presets(self) -> Iterator[Event]:
        rng = random.Random(self.seed + 1)
        numbers = [p.number for p in PRESETS if self.mode in (None, p.mode)]
        for measure in range(int(self.seconds / MEASURE_S)):
            time = 1.0 + (measure + rng.random()) * MEASURE_S
            yield ProgramChange(time, 0, rng.choice(numbers))

    def _controls(self) -> Iterator[Event]:
        rng = random.Random(self.seed + 2)
        usual = [name for name in VALUES if name in CONTROLS and name not in (*RARE, *FOLLOWING)]
        rare = [name for name in RARE if self.mode is None or name not in ("mode", "next_preset")]
        if not self.is_repeating:
            rare = [name for name in rare if name not in ("repeat", "freeze")]
        for n in range(int(self.seconds * self.a_second)):
            name = rng.choice(rare) if rng.random() < 2 / self.a_second else rng.choice(usual)
            if name == "panic" and rng.random() < 0.8:
                continue
            value = rng.choice((0, 127)) if name in RARE else rng.randrange(128)
            yield ControlChange(1.0 + n / self.a_second, 0, CONTROLS[name], value)


def answer(ask: Ask) -> Measure:
    """Four notes that tell which sampling they were drawn by: two numbers in pitch and length."""
    mark = hash_of(ask.sampling)
    notes = (Note(8 * i, 24 + (mark >> 6 * i & 63), bin_, 4) for i, bin_ in enumerate(BINS))
    return Measure(Meter(), tuple(notes))


def hash_of(sampling: Any) -> int:
    """24 bits of everything a model is asked with, but for what depends on what was played."""
    sampling = replace(sampling, usual_notes=0.0)
    return int.from_bytes(hashlib.blake2s(repr(sampling).encode(), digest_size=3).digest(), "big")


@dataclass(slots=True)
class Model:
    """What the session should be in, by a few lines that know nothing of it.

    states: (since when, the preset with what was turned); the newest last.
    """

    states: deque[tuple[float, Preset]] = field(
        default_factory=lambda: deque([(0.0, PRESETS[0])], maxlen=40_000)
    )
    sounded: list[Preset] = field(default_factory=list)  # states that notes came from
    is_down: bool = False  # the button for the next preset
    stepped_at: float = 0.0  # when it was moved last

    def hear(self, event: Event) -> None:
        """The player turns something."""
        _, now = self.states[-1]
        match event:
            case ProgramChange():
                self.states.append((event.time, BY_NUMBER[event.program]))
            case ControlChange():
                [name] = [n for n, control in CONTROLS.items() if control == event.control]
                if name == "next_preset":
                    self._step(event)
                elif (turned := _turned(now, name, event.value)) is not None:
                    self.states.append((event.time, turned))
            case _:
                pass

    def _step(self, event: ControlChange) -> None:
        is_again = self.is_down and event.time - self.stepped_at >= AGAIN_S
        if event.value >= 64 and (not self.is_down or is_again):
            numbers = sorted(BY_NUMBER)
            place = numbers.index(self.states[-1][1].number) + 1
            self.states.append((event.time, BY_NUMBER[numbers[place % len(numbers)]]))
        self.is_down, self.stepped_at = event.value >= 64, event.time

    def wrong_with(self, note: NoteOn, is_repeating: bool) -> str | None:
        """What is wrong with a note; None where it comes wholly from one state there was.

        Unless what was played is played again, that state is of the preset that was the newest
        when the measure began, or half a step later.
        """
        line = 1.0 + int((note.time - 1.0 + 1e-9) / MEASURE_S) * MEASURE_S
        index, number = round((note.time - line) / MEASURE_S * 4), None
        for since, state in reversed(self.states):
            if since > line + HALF_STEP * TICK_S + 1e-9:
                continue
            number = state.number if number is None else number
            if state.number != number and not is_repeating:
                break
            if self._comes_from(note, index, state):
                self.sounded += [] if state in self.sounded[-8:] else [state]
                return None
        if is_repeating and any(self._comes_from(note, index, state) for state in self.sounded):
            return None
        return f"{note} comes from no state there was"

    def _comes_from(self, note: NoteOn, index: int, state: Preset) -> bool:
        if note.channel != state.channel - 1:
            return False
        velocity = round(bin_to_velocity(BINS[index]) * state.velocity_scale)
        if note.velocity != min(max(velocity, 1), 127):
            return False
        sampling = state.sampling
        if state.mode == "duet":
            share = state.density / (1 + state.density)
            sampling = replace(sampling, density=max(0.25, share))
        return note.pitch == 24 + (hash_of(sampling) >> 6 * index & 63)


def _turned(preset: Preset, name: str, value: int) -> Preset | None:
    match VALUES.get(name):
        case Value() as control:
            to: float | str = control.at(value / 127)
        case Words() as control:
            to = control.at(value / 127)
        case None:
            return None
    update: dict[str, Any] = {control.field: to}
    if control.field == "low_pitch":
        update["high_pitch"] = max(preset.high_pitch, to)
    if control.field == "high_pitch":
        update["low_pitch"] = min(preset.low_pitch, to)
    return preset.model_copy(update=update)


@dataclass(slots=True)
class Aftermath:
    """What a storm left behind."""

    events: int = 0
    notes: int = 0
    wrong: list[str] = field(default_factory=list)
    sounding: int = 0
    digest: str = ""
    modes: set[str] = field(default_factory=set)


def weather(storm: Storm, *, is_checked: bool = True, session: Session | None = None) -> Aftermath:
    """The storm, on simulated time; the model of music answers at once.

    session: one of these presets, where it is not to be any.
    """
    session = session or Session(PRESETS, Settings())
    model, after = Model(), Aftermath()
    digest, ledger = hashlib.blake2s(), Ledger()
    pending: deque[Event] = deque([ModelReady(1.0)])

    def handle(event: Event) -> None:
        after.events += 1
        for action in session.handle(event):
            if isinstance(action, Ask):
                pending.append(Planned(event.time, action.plan_id, answer(action)))
            elif isinstance(action, Send):
                message = action.message
                digest.update(encode(message) + repr(message.time).encode())
                ledger.record(message, message.time)
                if isinstance(message, NoteOn) and message.channel != PLAYER:
                    after.notes += 1
                    after.modes.add(session.status().play_mode)
                    if is_checked and (
                        wrong := model.wrong_with(message, is_repeating=storm.is_repeating)
                    ):
                        after.wrong.append(wrong)
        while pending:
            handle(replace(pending.popleft(), time=event.time))

    for event in storm.events():
        while (due := session.next_deadline()) is not None and due <= event.time:
            handle(Wake(due))
        model.hear(event)
        handle(event)
    handle(Quit(event.time + 1.0))
    after.sounding, after.digest = len(ledger.releases(0.0)), digest.hexdigest()
    return after


def logged(storm: Storm) -> tuple[Aftermath, bool]:
    """The storm once more, and whether its log, played again, is the same to the byte."""
    with TemporaryDirectory() as folder:
        with kept_session(LogPlace(Path(folder), "storm"), PRESETS, Settings()) as session:
            after = weather(storm, is_checked=False, session=session)
        (path,) = Path(folder).iterdir()
        replay = Replay(path)
        for _ in replay:
            pass
        is_whole = replay.ended == "over" and replay.count == after.events
        return after, is_whole and replay.difference is None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--a-second", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    storm = Storm(60 * asked.minutes, asked.a_second, asked.seed)
    began = perf_counter()
    first = weather(storm)
    took_s = perf_counter() - began
    second, is_replayed = logged(storm)
    print(f"{asked.minutes:g} minutes at {asked.a_second} messages a second, seed {asked.seed}")
    print(f"{'events':20} {first.events} in {took_s:.0f} s")
    print(f"{'notes':20} {first.notes} in the modes {', '.join(sorted(first.modes))}")
    print(f"{'half-applied':20} {len(first.wrong)} {first.wrong[:1] or ''}")
    print(f"{'left sounding':20} {first.sounding}")
    print(f"{'again, the same':20} {first.digest == second.digest}")
    print(f"{'from its log, the same':20} {is_replayed}")


if __name__ == "__main__":
    main()
