"""What moves a control and how far: messages in, gestures out."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.control_map import (
    CONTROLS,
    DEFAULT_BINDINGS,
    FITS,
    HOLDS,
    PRESSES,
    VALUES,
    Binding,
    ControlMap,
    Source,
    Value,
    is_shared,
    sort_of,
)
from bridge.events import ChannelMessage, ControlChange, NoteOff, NoteOn, ProgramChange
from bridge.gestures import (
    ChoosePreset,
    Freeze,
    Gesture,
    HandOver,
    Mutate,
    Panic,
    SetValue,
    StepPreset,
)
from bridge.presets import Preset

FIRST, LAST = 0, 119  # the controllers that can be bound


def cc(control: int, value: int, channel: int = 0) -> ControlChange:
    return ControlChange(0.0, channel, control, value)


def program(number: int, channel: int = 0) -> ProgramChange:
    return ProgramChange(0.0, channel, number)


def strike(pitch: int, channel: int = 0) -> list[ChannelMessage]:
    return [NoteOn(0.0, channel, pitch, 80), NoteOff(0.0, channel, pitch)]


def gestures(
    binding: Binding | tuple[Binding, ...], *messages: ChannelMessage, channel: int | None = None
) -> list[Gesture]:
    control_map = ControlMap(binding if isinstance(binding, tuple) else (binding,))
    return [gesture for message in messages for gesture in control_map.read(message, channel)]


# Presses.


def test_a_press_is_once_each_time_it_goes_down() -> None:
    button = Binding("mutate", Source("cc", 105))
    down_and_up = [cc(105, value) for value in (127, 100, 64, 63, 0, 64, 0)]
    assert gestures(button, *down_and_up) == [Mutate(), Mutate()]


def test_a_button_that_only_ever_goes_down_is_pressed_each_time_and_switches_what_lasts() -> None:
    down = [cc(105, 127)] * 3
    assert gestures(Binding("mutate", Source("cc", 105)), *down) == [Mutate()] * 3
    told = gestures(Binding("freeze", Source("cc", 105)), *down)
    assert told == [Freeze(True), Freeze(None), Freeze(None)]


def test_a_key_is_a_press_and_its_release_is_none() -> None:
    assert gestures(Binding("panic", Source("note", 36)), *strike(36)) == [Panic()]


def test_every_program_change_is_a_press() -> None:
    next_preset = Binding("next_preset", Source("program", 5))
    assert gestures(next_preset, program(5), program(4), program(5)) == [StepPreset(1)] * 2
    any_program = Binding("previous_preset", Source("program", None))
    assert gestures(any_program, program(5), program(4)) == [StepPreset(-1)] * 2


# Holds.


@pytest.mark.parametrize("source", [Source("cc", 66), Source("note", 36)])
def test_a_hold_lasts_while_it_is_down(source: Source) -> None:
    pedal: list[ChannelMessage] = [cc(66, 127), cc(66, 90), cc(66, 0), cc(66, 0)]
    messages = pedal if source.kind == "cc" else strike(36)
    assert gestures(Binding("hand_over", source), *messages) == [HandOver(True), HandOver(False)]


def test_a_toggle_lasts_until_it_goes_down_again() -> None:
    toggle = Binding("freeze", Source("note", 36), is_toggle=True)
    assert gestures(toggle, *strike(36)) == [Freeze(None)]
    assert gestures(toggle, *strike(36), *strike(36)) == [Freeze(None), Freeze(None)]
    by_program = Binding("freeze", Source("program", 3), is_toggle=True)
    assert gestures(by_program, program(3), program(3)) == [Freeze(None), Freeze(None)]


# Presets.


def test_a_preset_is_chosen_by_the_value_or_by_the_program() -> None:
    assert gestures(DEFAULT_BINDINGS, cc(20, 3)) == [ChoosePreset(3)]
    assert gestures(DEFAULT_BINDINGS, program(7)) == [ChoosePreset(7)]


# Values.


def value_of(value: Value, message: int) -> float:
    (gesture,) = gestures(Binding("temperature", Source("cc", 23), value), cc(23, message))
    assert isinstance(gesture, SetValue)
    assert not isinstance(gesture.value, str)
    return gesture.value


def test_a_line_turns_by_equal_steps_and_a_log_curve_by_equal_factors() -> None:
    linear, log = Value("temperature", 1, 2), Value("temperature", 0.25, 4, "log")
    assert [value_of(linear, n) for n in (0, 127)] == [1, 2]
    assert value_of(linear, 64) == pytest.approx(1 + 64 / 127)
    assert [value_of(log, n) for n in (0, 127)] == [0.25, 4]
    factors = {round(value_of(log, n + 1) / value_of(log, n), 9) for n in range(127)}
    assert len(factors) == 1


def test_with_low_above_high_it_turns_backwards() -> None:
    assert value_of(Value("temperature", 2, 1), 0) == 2
    assert value_of(Value("temperature", 2, 1), 127) == 1
    assert value_of(Value("temperature", 4, 0.25, "log"), 127) == 0.25


def test_words_share_the_way_in_equal_parts() -> None:
    mode = Binding("mode", Source("cc", 21), VALUES["mode"])
    turned = gestures(mode, *(cc(21, value) for value in (0, 31, 32, 63, 64, 95, 96, 127)))
    words = [gesture.value for gesture in turned if isinstance(gesture, SetValue)]
    assert words == [word for word in ("answer", "continue", "duet", "off") for _ in range(2)]


def test_a_pair_has_fourteen_bits_and_a_coarse_one_begins_anew() -> None:
    pair = Binding("temperature", Source("cc14", 16), Value("temperature", 0.001, 1))
    turned = gestures(pair, cc(16, 127), cc(48, 127), cc(16, 64), cc(48, 1), cc(16, 0))
    shares = [g.value for g in turned if isinstance(g, SetValue) and isinstance(g.value, float)]
    at = [0.001 + 0.999 * n / 16383 for n in (127 * 128, 16383, 64 * 128, 64 * 128 + 1, 0)]
    assert shares == pytest.approx(at)


@given(
    control=st.sampled_from(sorted(VALUES)),
    number=st.integers(0, 31),
    coarse=st.integers(0, 127),
    fine=st.integers(0, 127),
)
def test_every_value_a_control_can_make_is_one_that_a_preset_takes(
    control: str, number: int, coarse: int, fine: int
) -> None:
    messages = (cc(number, coarse), cc(number + 32, fine))
    for kind in FITS["value"]:
        source = Source(kind, number)
        for gesture in gestures(Binding(control, source, VALUES[control]), *messages):
            assert isinstance(gesture, SetValue)
            preset = Preset.model_validate({"name": "x", "number": 0, gesture.field: gesture.value})
            assert getattr(preset, gesture.field) == gesture.value


@given(
    low=st.floats(0.001, 4), high=st.floats(0.001, 4), share=st.floats(0, 1), is_log=st.booleans()
)
@example(low=1.23, high=0.41, share=1.0, is_log=False)  # whose sum is a rounding beyond the end
def test_no_value_lies_beyond_the_ends(low: float, high: float, share: float, is_log: bool) -> None:
    value = Value("temperature", low, high, "log" if is_log else "linear")
    assert min(low, high) <= value.at(share) <= max(low, high)
    assert value.at(0.0) == pytest.approx(low)
    assert value.at(1.0) == pytest.approx(high)


# Channels.


def test_a_control_hears_its_channel_any_or_the_one_that_is_heard() -> None:
    tenth = Binding("panic", Source("note", 36, channel=9))
    assert gestures(tenth, *strike(36)) == []
    assert gestures(tenth, *strike(36, channel=9), channel=1) == [Panic()]
    anywhere = Binding("panic", Source("note", 36))
    assert gestures(anywhere, *strike(36, channel=4)) == [Panic()]
    assert gestures(anywhere, *strike(36, channel=4), channel=1) == []
    assert gestures(anywhere, *strike(36, channel=4), channel=5) == [Panic()]


def test_what_belongs_to_a_control_is_no_music_down_or_up() -> None:
    control_map = ControlMap((Binding("panic", Source("note", 36, channel=9)),))
    assert all(control_map.hears(message) for message in strike(36, channel=9))
    assert not any(control_map.hears(message) for message in strike(36))
    assert not any(control_map.hears(message) for message in strike(37, channel=9))


# All of it.


def test_the_defaults_are_undefined_controllers_and_share_nothing() -> None:
    numbers = {b.source.number for b in DEFAULT_BINDINGS if b.source.kind == "cc"}
    assert numbers <= {*range(20, 32), *range(102, 120)}
    for index, one in enumerate(DEFAULT_BINDINGS):
        assert not any(is_shared(one.source, two.source) for two in DEFAULT_BINDINGS[:index])
    assert {binding.control for binding in DEFAULT_BINDINGS} <= set(CONTROLS)


def test_every_control_is_of_one_sort_and_fits_what_moves_it_by_default() -> None:
    assert {control for control in CONTROLS if sort_of(control) == "press"} == set(PRESSES)
    assert {control for control in CONTROLS if sort_of(control) == "hold"} == set(HOLDS)
    assert {control for control in CONTROLS if sort_of(control) == "value"} == set(VALUES)
    assert all(b.source.kind in FITS[sort_of(b.control)] for b in DEFAULT_BINDINGS)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Source("cc", 20), Source("cc", 20), True),
        (Source("cc", 20), Source("cc", 21), False),
        (Source("cc", 20), Source("note", 20), False),
        (Source("cc", 20, 0), Source("cc", 20, 1), False),
        (Source("cc", 20, 0), Source("cc", 20), True),
        (Source("cc14", 16), Source("cc", 48), True),
        (Source("cc14", 16), Source("cc", 47), False),
        (Source("program", None), Source("program", 3), True),
        (Source("program", None, 2), Source("program", 3, 1), False),
    ],
)
def test_two_sources_share_what_both_hear(one: Source, other: Source, expected: bool) -> None:
    assert is_shared(one, other) is expected
    assert is_shared(other, one) is expected


MESSAGES = st.one_of(
    st.builds(cc, st.integers(FIRST, 127), st.integers(0, 127), st.integers(0, 15)),
    st.builds(program, st.integers(0, 127), st.integers(0, 15)),
    st.builds(lambda p, c: NoteOn(0.0, c, p, 80), st.integers(0, 127), st.integers(0, 15)),
    st.builds(lambda p, c: NoteOff(0.0, c, p), st.integers(0, 127), st.integers(0, 15)),
)
SOURCES = st.one_of(
    st.builds(Source, st.just("cc"), st.integers(FIRST, LAST), st.none() | st.integers(0, 15)),
    st.builds(Source, st.just("cc14"), st.integers(0, 31), st.none() | st.integers(0, 15)),
    st.builds(Source, st.just("note"), st.integers(0, 127), st.none() | st.integers(0, 15)),
    st.builds(Source, st.just("program"), st.none() | st.integers(0, 127), st.none()),
)


@given(one=SOURCES, other=SOURCES, message=MESSAGES)
def test_what_two_controls_hear_is_shared(
    one: Source, other: Source, message: ChannelMessage
) -> None:
    hear = [ControlMap((Binding("panic", source),)).hears(message) for source in (one, other)]
    assert not all(hear) or is_shared(one, other)


@given(sources=st.lists(SOURCES, max_size=4), messages=st.lists(MESSAGES, max_size=40))
def test_what_is_held_is_released_before_it_is_held_again(
    sources: list[Source], messages: list[ChannelMessage]
) -> None:
    for source in sources:
        if source.kind == "program":
            continue
        told = gestures(Binding("hand_over", source), *messages)
        held = [gesture.is_on for gesture in told if isinstance(gesture, HandOver)]
        assert held == [index % 2 == 0 for index in range(len(held))]
