"""What holds whatever comes: random transport, notes, controllers, losses and slow plans."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.events import (
    Ask,
    Continue,
    ControlChange,
    Event,
    ModelLost,
    ModelReady,
    NoteOff,
    NoteOn,
    OutputLost,
    Planned,
    PresetsRead,
    ProgramChange,
    Quit,
    Send,
    SongPosition,
    Start,
    Stop,
    Tick,
    Wake,
)
from bridge.session import Session, Settings
from bridge.simulation import Simulation
from pianogen.grid import TICKS_PER_STEP, Measure, Meter, Note
from tests.stage import assert_whole, perform, play, preset

PRESETS = [
    preset(0, rest_beats=0.5, max_polyphony=3),
    preset(1, rest_beats=0.25, channel=2, octave_shift=-4, latency_ms=120, max_polyphony=2),
    preset(2, listen_measures=1, answer_measures=4, latency_ms=-100, octave_shift=4),
]
OTHERS = [
    preset(1, rest_beats=0.25, channel=3, on_interruption="finish", max_polyphony=4),
    preset(3, listen_measures=1, on_interruption="overlap", velocity_scale=0.5),
]
POLYPHONY = 6

pitches = st.integers(0, 127)
channels = st.integers(0, 2)
controls = st.sampled_from([1, 20, 64, 120, 121, 123])
happenings = st.one_of(
    st.builds(NoteOn, st.just(0.0), channels, st.integers(58, 66), st.integers(1, 127)),
    st.builds(NoteOff, st.just(0.0), channels, st.integers(58, 66)),
    st.builds(ControlChange, st.just(0.0), channels, controls, st.sampled_from([0, 1, 2, 127])),
    st.builds(ProgramChange, st.just(0.0), channels, st.integers(0, 4)),
    st.builds(SongPosition, st.just(0.0), st.integers(0, 64)),
    st.sampled_from([Start(0), Continue(0), Stop(0), Tick(0)]),
    st.sampled_from([ModelLost(0), ModelReady(0), OutputLost(0)]),
    st.sampled_from([PresetsRead(0, tuple(presets)) for presets in (PRESETS, OTHERS)]),
)


def at(event: Event, time: float) -> Any:
    values = {name: getattr(event, name) for name in event.__slots__}
    return type(event)(**{**values, "time": time})


mostly = st.integers(0, 4).map(bool)


@st.composite
def performances(draw: st.DrawFn) -> list[Event]:
    """Phrases over a clock, which may be missing or have a hole, and anything at all in between."""
    bpm = draw(st.sampled_from([120, 40, 333]))
    measures = draw(st.integers(4, 10))
    length = measures * 240 / bpm
    period = 2.5 / bpm
    gap = draw(st.floats(0, length)), 0.0 if draw(mostly) else draw(st.floats(0, 2))
    events: list[Event] = []
    if draw(mostly):
        events = [Start(0.0)] if draw(mostly) else []
        times = [n * period for n in range(measures * 96)]
        events += [Tick(time) for time in times if not gap[0] < time < sum(gap)]
    for begin in draw(st.lists(st.integers(0, measures * 8), min_size=1, max_size=3)):
        events += play("| c4 d4+e4 f4 - |", bpm=bpm, begin=begin * length / measures / 8)
    storm = st.tuples(happenings, st.floats(0, length))
    events += [at(event, time) for event, time in draw(st.lists(storm, max_size=12))]
    return sorted(events, key=lambda event: event.time)


notes = st.builds(Note, st.integers(0, 31), pitches, st.integers(0, 31), st.integers(1, 255))
plans = st.lists(notes, min_size=3, max_size=12).map(lambda drawn: Measure(Meter(), tuple(drawn)))
delays = st.sampled_from([0.0, 0.01, 0.3, 3.0])


@given(performances(), st.lists(plans, min_size=1, max_size=4), delays)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_note_on_has_its_note_off_and_nothing_is_left_sounding(
    events: list[Event], answers: list[Measure], delay: float
) -> None:
    def ask(request: Ask) -> Measure:
        assert len(request.context) <= 16
        assert request.start >= 0
        return answers[request.seed % len(answers)]

    p = perform(events, ask=ask, presets=PRESETS, delay=delay, until=1000.0)
    assert_whole(p.messages, polyphony=POLYPHONY)
    assert p.status.sounding == ()
    assert p.status.notes_sent == sum(isinstance(m, NoteOn) for m in p.messages)
    assert p.session.next_deadline() is None  # it comes to rest by itself


@given(performances(), st.lists(plans, min_size=1, max_size=4), st.floats(0, 20))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_quit_at_any_moment_leaves_nothing_sounding(
    events: list[Event], answers: list[Measure], moment: float
) -> None:
    p = perform(
        [*events, Quit(moment)], ask=lambda ask: answers[ask.seed % len(answers)], presets=PRESETS
    )
    assert_whole(p.messages, polyphony=POLYPHONY)


@given(performances(), st.lists(plans, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_sent_before_its_time_and_time_goes_one_way(
    events: list[Event], answers: list[Measure]
) -> None:
    session = Session(PRESETS, Settings())
    simulation = Simulation(session, events, lambda ask: answers[ask.seed % len(answers)])
    done = simulation.run(1000.0)
    assert [d.time for d in done] == sorted(d.time for d in done)
    for d in done:
        if isinstance(d.action, Send):
            assert d.action.message.time <= d.time


@given(
    st.lists(
        st.tuples(
            st.one_of(
                happenings,
                st.builds(Planned, st.just(0.0), st.integers(0, 5), st.none() | plans),
                st.sampled_from([Wake(0), Quit(0)]),
            ),
            st.floats(-1e4, 1e4),
        ),
        max_size=60,
    )
)
@settings(max_examples=150, deadline=None)
def test_nothing_raises_in_whatever_order_and_at_whatever_time(
    drawn: list[tuple[Event, float]],
) -> None:
    session = Session(PRESETS, Settings(channel=1))
    messages = []
    for event, time in drawn:
        actions = session.handle(at(event, time))
        messages += [a.message for a in actions if isinstance(a, Send)]
        session.next_deadline()
        session.status()
    end = session.handle(Quit(2e4))
    assert_whole([*messages, *(a.message for a in end if isinstance(a, Send))])


@given(performances())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_same_events_give_the_same_actions(events: list[Event]) -> None:
    def ask(request: Ask) -> Measure:
        return Measure(Meter(), (Note(0, 40 + request.seed % 48, 20, 8),))

    first, second = (perform(events, ask=ask, presets=PRESETS, until=1000.0) for _ in range(2))
    assert first.done == second.done


@given(st.integers(0, 31), st.sampled_from([60, 97, 120, 240]), st.floats(-100, 200))
@settings(max_examples=60, deadline=None)
def test_an_answered_note_is_on_its_step_whatever_tempo_and_latency(
    onset: int, bpm: int, latency_ms: float
) -> None:
    answer = Measure(Meter(), (Note(onset, 60, 20, 4),))
    begin = 7.0
    p = perform(
        play("| c4 - - - |", bpm=bpm, begin=begin),
        ask=lambda ask: answer,
        bpm=float(bpm),
        latency_ms=latency_ms,
    )
    (on,) = [m for m in p.messages if isinstance(m, NoteOn)]
    tick = 60 / bpm / 24
    expected = begin + (96 + onset * TICKS_PER_STEP) * tick - latency_ms / 1000
    assert abs(on.time - expected) < 1e-9
