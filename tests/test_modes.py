"""Who plays when, in every mode, and what a control changes: places are beats; 4 a measure.

The machine's measure is, unless told otherwise, four quarter notes: 84 86 88 89.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bridge.events import (
    Ask,
    ControlChange,
    Event,
    ModelLost,
    ModelReady,
    NoteOff,
    NoteOn,
    OutputLost,
    ProgramChange,
    Stop,
)
from pianogen.grid import TICKS_PER_STEP, Measure
from tests import stage
from tests.stage import BEGIN, Performance, measure, play, preset, seconds

HAND_OVER, MODE, MUTATE, REPEAT, FREEZE, PANIC, TEMPERATURE = 22, 21, 105, 106, 107, 109, 23
ANSWER, CONTINUE, DUET, OFF = 0, 40, 80, 127
ALL_ALONG = "| c4 d4 e4 f4 " * 6 + "|"
ONE = "| c4 d4 - - |"


def clock(beats: float, begin: float = BEGIN) -> list[Event]:
    """From Start to Stop, just before that beat."""
    return stage.clock(beats - 0.25, begin=begin, stops=True)


def perform(events: list[Event], **settings: Any) -> Performance:
    """Until the last clock: without one, a key struck begins the internal clock."""
    last = max(event.time for event in events if isinstance(event, Stop))
    return stage.perform((e for e in events if e.time <= last), **settings)


def at(beat: float) -> float:
    return BEGIN + seconds(beat)


def answers(*lines: float) -> list[tuple[float, int]]:
    """FOUR, beginning at these beats."""
    return [(line + n, pitch) for line in lines for n, pitch in enumerate((84, 86, 88, 89))]


def turn(control: int, value: int, beat: float) -> Event:
    return ControlChange(at(beat), 0, control, value)


def strike(beat: float, pitch: int = 60) -> list[Event]:
    return [NoteOn(at(beat), 0, pitch, 80), NoteOff(at(beat + 0.25), 0, pitch)]


def by_seed(ask: Ask) -> Measure:
    """Another answer to another seed."""
    return measure(*[84 + ask.seed % 12] * 4)


def by_temperature(ask: Ask) -> Measure:
    return measure(*[round(100 * ask.sampling.temperature) % 128] * 4)


# Duet.


def test_in_a_duet_the_machine_plays_along_from_the_line_after_the_first_note() -> None:
    p = perform(clock(24) + play(ALL_ALONG), presets=[preset(mode="duet")])
    assert p.notes() == answers(4, 8, 12, 16, 20)
    p.assert_whole()


def test_each_measure_of_a_duet_is_made_from_what_both_played() -> None:
    p = perform(clock(24) + play(ALL_ALONG), presets=[preset(mode="duet")])
    heard = p.asks[-1][1].context
    assert {note.pitch for note in heard[2].notes} == {60, 62, 64, 65, 84, 86, 88, 89}


def test_a_duet_goes_on_alone_for_as_long_as_answer_measures_says() -> None:
    one = clock(24) + play(ONE)
    assert len(perform(clock(100) + play(ONE), presets=[preset(mode="duet")]).notes()) == 4 * 16
    p = perform(one, presets=[preset(mode="duet", answer_measures=2)])
    assert p.notes() == answers(4, 8)  # the performer's last key came up at 1.95
    again = one + strike(14.5)
    p = perform(again, presets=[preset(mode="duet", answer_measures=2)])
    assert p.notes() == answers(4, 8, 16, 20)
    p.assert_whole()


# Continue.


def test_to_continue_waits_for_the_hand_over_and_ends_with_its_release() -> None:
    handed = [turn(HAND_OVER, 127, 6), turn(HAND_OVER, 0, 17)]
    p = perform(clock(28) + play(ONE) + handed, presets=[preset(mode="continue")])
    assert p.notes() == [*answers(8, 12), (16, 84), (17, 86)]  # the note on 17 was due before
    p.assert_whole()


def test_released_where_it_does_not_yield_it_plays_to_the_line() -> None:
    handed = [turn(HAND_OVER, 127, 6), turn(HAND_OVER, 0, 13)]
    for policy in ("finish", "overlap"):
        p = perform(
            clock(28) + play(ONE) + handed,
            presets=[preset(mode="continue", on_interruption=policy)],
        )
        assert p.notes() == answers(8, 12)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("yield", [*answers(8), (12, 84)]),
        ("finish", answers(8, 12)),
        ("overlap", answers(8, 12, 16, 20)),
    ],
)
def test_played_into_it_yields_finishes_the_measure_or_goes_on(
    policy: Any, expected: list[tuple[float, int]]
) -> None:
    played = [turn(HAND_OVER, 127, 6), *strike(12.5)]
    p = perform(
        clock(24) + play(ONE) + played, presets=[preset(mode="continue", on_interruption=policy)]
    )
    assert p.notes() == expected
    p.assert_whole()


def test_what_is_played_up_to_the_line_does_not_take_the_hand_over_back() -> None:
    late = [turn(HAND_OVER, 127, 6), *strike(7.98)]
    p = perform(clock(12) + play(ONE) + late, presets=[preset(mode="continue")])
    assert p.notes() == answers(8)


def test_of_the_silence_before_a_hand_over_one_measure_is_context() -> None:
    for mode in ("continue", "answer"):
        p = perform(
            clock(104) + play("| c4 d4 e4 f4 | - |") + [turn(HAND_OVER, 127, 98)],
            presets=[preset(mode=mode, rest_beats=64, listen_measures=32)],
        )
        [ask] = [ask for _, ask in p.asks if ask.deadline == pytest.approx(at(100))][-1:]
        assert [m.is_silent for m in ask.context][-2:] == [False, True]


def test_pressed_a_moment_after_the_line_it_plays_from_there() -> None:
    handed = [turn(HAND_OVER, 127, 8.02)]
    p = perform(
        clock(16) + play(ONE) + handed,
        ask=lambda ask: measure(*range(60, 68), step=4, length=2),
        presets=[preset(mode="continue")],
        delay=0.05,
    )
    assert p.notes()[:3] == [(8.5, 61), (9.0, 62), (9.5, 63)]
    p.assert_whole()


# Answer.


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("yield", [(4, 84), (5, 86), (6, 88)]),
        ("finish", answers(4)),
        ("overlap", answers(4, 8)),
    ],
)
def test_an_answer_played_into_yields_finishes_the_measure_or_goes_on(
    policy: Any, expected: list[tuple[float, int]]
) -> None:
    p = perform(
        clock(12) + play(ONE) + strike(6.8),
        presets=[preset(answer_measures=2, on_interruption=policy)],
    )
    assert p.notes() == expected
    p.assert_whole()


def test_what_was_played_over_an_answer_is_a_phrase_and_is_answered() -> None:
    p = perform(clock(20) + play(ONE) + strike(9), presets=[preset(on_interruption="overlap")])
    assert p.notes() == answers(4, 12)


def test_a_hand_over_answers_at_the_next_line_without_a_rest() -> None:
    p = perform(clock(12) + play("| c4 d4 e4 f4 | - |") + [turn(HAND_OVER, 127, 3.8)])
    assert p.notes() == answers(4)


def test_a_full_phrase_is_answered_over_an_early_downbeat_where_it_does_not_yield() -> None:
    early = [strike(4 * n - 0.03)[0] for n in range(1, 8)]
    events = clock(32) + play(ALL_ALONG) + early
    p = perform(events, presets=[preset(listen_measures=2, on_interruption="overlap")])
    assert p.notes()[:8] == answers(8, 12)


def test_off_only_listens() -> None:
    p = perform(clock(24) + play(ONE) + [turn(HAND_OVER, 127, 5)], presets=[preset(mode="off")])
    assert p.notes() == []
    assert p.asks == []


def test_the_mode_turns_at_the_next_line_without_a_gap() -> None:
    p = perform(clock(24) + play(ALL_ALONG) + [turn(MODE, DUET, 6), turn(MODE, OFF, 17.9)])
    assert p.notes() == answers(8, 12, 16)[:-1] + [(19, 89)]
    p.assert_whole()


def test_no_phrase_of_another_mode_is_answered_for_being_long() -> None:
    p = perform(clock(36) + play(ALL_ALONG) + [turn(MODE, OFF, 0), turn(MODE, ANSWER, 21)])
    assert p.notes()[0] == (28, 84)  # the rest after 24, not the measures before 21


# Once more.


def test_repeat_plays_the_last_answer_again_without_asking() -> None:
    p = perform(
        clock(24) + play(ONE) + [turn(REPEAT, 127, 13)],
        ask=by_seed,
        presets=[preset(answer_measures=2)],
    )
    first = [(beat + 12, pitch) for beat, pitch in p.notes() if beat < 12]
    assert len(first) == 8
    assert p.notes()[8:] == first
    assert all(ask.deadline < at(12) for _, ask in p.asks)


def test_mutate_answers_the_same_again_differently() -> None:
    p = perform(
        clock(24) + play(ONE) + [turn(MUTATE, 127, 13)],
        ask=by_seed,
        presets=[preset(answer_measures=2)],
    )
    assert [beat for beat, _ in p.notes()] == [*range(4, 12), *range(16, 24)]
    first, again = (dict(p.notes())[beat] for beat in (4, 16))
    assert first != again
    asks = {round(2 * (ask.deadline - BEGIN)): (ask.start, ask.context) for _, ask in p.asks}
    assert asks[16] == asks[4]
    assert asks[20][1][:-1] == asks[4][1]  # and what it has made of it since


def test_frozen_the_last_answer_goes_round_until_it_is_let_go() -> None:
    frozen = [turn(FREEZE, 127, 5), turn(FREEZE, 0, 18)]
    p = perform(clock(32) + play(ONE) + frozen + strike(13), ask=by_seed)
    assert len({pitch for beat, pitch in p.notes() if beat < 20}) == 1
    assert [beat for beat, _ in p.notes()] == [*range(4, 24)]  # at 20 what came on 13 is answered
    p.assert_whole()


def test_of_a_duet_the_newest_measures_go_round() -> None:
    events = clock(48) + play("| c4 d4 e4 f4 " * 12 + "|") + [turn(FREEZE, 127, 25)]
    p = perform(events, ask=by_seed, presets=[preset(mode="duet")])
    played = dict(p.notes())
    assert [played[beat] for beat in (28, 32, 36, 40, 44)] == [
        played[beat] for beat in (12, 16, 20, 24, 12)
    ]


def test_nothing_to_repeat_is_no_reason_to_play() -> None:
    for control in (REPEAT, MUTATE, FREEZE):
        assert perform(clock(12) + [turn(control, 127, 1)]).notes() == []


def test_a_loop_is_not_overwritten_by_a_plan_made_before_it() -> None:
    events = clock(24) + play(ALL_ALONG) + [turn(FREEZE, 127, 15.85)]
    p = perform(
        events,
        ask=by_seed,
        presets=[preset(mode="duet")],
        delay=lambda ask: 0.3 if ask.deadline > at(15.8) else 0.02,
    )
    played = dict(p.notes())
    assert [played[16 + n] for n in range(4)] == [played[n] for n in (4, 5, 6, 7)]


def test_of_an_endless_turn_the_newest_measures_are_answered_anew() -> None:
    events = clock(52) + play("| c4 d4 e4 f4 " * 12 + "|") + [turn(MUTATE, 127, 41)]
    asks = perform(events, ask=by_seed, presets=[preset(mode="duet")]).asks
    made = {round(2 * (ask.deadline - BEGIN)): (ask.start, ask.context) for _, ask in asks}
    assert made[44] == made[28]  # 28 to 43 sounded before
    assert made[48][1][:-1] == made[28][1]


def test_what_replaces_a_measure_is_not_made_from_it() -> None:
    events = clock(24) + play(ONE) + [turn(MUTATE, 127, 13), ProgramChange(at(20.05), 0, 1)]
    presets = [preset(n, answer_measures=2, temperature=0.5 + n) for n in range(2)]
    asks = [ask for _, ask in perform(events, ask=by_seed, presets=presets, delay=0.01).asks]
    [late] = [ask for ask in asks if ask.sampling.temperature == 1.5 and ask.deadline > at(20.5)][
        :1
    ]
    first = next(a for a in asks if a.deadline == pytest.approx(at(20)))
    assert late.context == first.context


def test_what_was_asked_for_in_vain_does_not_come_later() -> None:
    for early in (turn(REPEAT, 127, 1), turn(MUTATE, 127, 1)):
        assert perform(clock(24) + play("| - | c4 d4 - - |") + [early]).notes() == answers(8)
    off = [turn(MODE, OFF, 9), turn(REPEAT, 127, 12), turn(HAND_OVER, 127, 13)]
    off += [turn(HAND_OVER, 0, 14), turn(MODE, CONTINUE, 15)]
    assert perform(clock(36) + play(ONE) + off).notes() == answers(4)


def test_repeating_in_a_duet_goes_on_while_the_player_plays_and_the_duet_after_it() -> None:
    events = clock(24) + play(ALL_ALONG) + [turn(REPEAT, 127, 9)]
    p = perform(events, ask=by_seed, presets=[preset(mode="duet")])
    assert [beat for beat, _ in p.notes()] == [*range(4, 24)]
    events = clock(24) + play("| c4 d4 e4 f4 | - |") + [turn(FREEZE, 127, 5), turn(FREEZE, 0, 13)]
    p = perform(events, presets=[preset(mode="duet")])
    assert p.notes() == answers(4, 8, 12, 16, 20)


# Silence.


def test_off_chosen_on_the_line_is_silence_from_there() -> None:
    presets = [preset(0, mode="duet"), preset(1, mode="off", channel=2)]
    p = perform(clock(16) + play(ALL_ALONG) + [ProgramChange(at(8.05), 0, 1)], presets=presets)
    assert p.notes() == [*answers(4), (8, 84)]
    p.assert_whole()


def test_panic_while_listening_forgets_the_phrase() -> None:
    assert perform(clock(12) + play(ONE) + [turn(PANIC, 127, 3)]).notes() == []


def test_letting_the_hand_over_go_leaves_a_loop_alone() -> None:
    events = [turn(HAND_OVER, 127, 3), turn(FREEZE, 127, 9), turn(HAND_OVER, 0, 13.5)]
    p = perform(clock(20) + play(ONE) + events, presets=[preset(mode="continue")])
    assert p.notes() == answers(4, 8, 12, 16)


def test_a_loop_needs_no_model() -> None:
    events = [turn(FREEZE, 127, 5), ModelLost(at(9.5))]
    assert perform(clock(16) + play(ONE) + events).notes() == answers(4, 8, 12)


def test_where_it_does_not_yield_the_last_chord_rings_on() -> None:
    for policy, end in (("yield", 8.5), ("overlap", 12)):
        p = perform(
            clock(16) + play(ONE) + strike(8.5),
            ask=lambda ask: measure(84, length=64),
            presets=[preset(on_interruption=policy)],
        )
        assert p.offs()[0] == (end, 84)


def test_panic_is_silence_at_once_and_forgets_what_was_asked_for() -> None:
    for mode in ("continue", "duet"):
        events = clock(24) + play(ONE) + [turn(HAND_OVER, 127, 3), turn(PANIC, 127, 6.5)]
        p = perform(events, presets=[preset(mode=mode)])
        assert p.notes() == [(4, 84), (5, 86), (6, 88)]
        p.assert_whole()


def test_what_is_held_down_counts_again_when_the_transport_does_and_a_tap_does_not() -> None:
    again = clock(12, begin=at(10))
    held = [turn(HAND_OVER, 127, 3)]
    for mode, pressed, expected in (
        ("continue", held, answers(4, 14, 18)),
        ("continue", [*held, turn(HAND_OVER, 0, 9)], answers(4)),
        ("answer", [*held, turn(HAND_OVER, 0, 3.1)], answers(4)),
    ):
        p = perform(clock(8) + play(ONE) + pressed + again, presets=[preset(mode=mode)])
        assert p.notes() == expected


def test_what_is_held_down_outlives_what_daws_send_when_they_stop_and_begin() -> None:
    flood = [ControlChange(at(8.5), channel, 123, 0) for channel in range(16)]
    events = clock(8) + play(ONE) + [turn(HAND_OVER, 127, 3)] + flood + clock(8, begin=at(10))
    p = perform(events, presets=[preset(mode="continue")])
    assert p.notes() == answers(4, 14)


@pytest.mark.parametrize(
    "between",
    [
        [ModelLost(at(5.5)), ModelReady(at(9))],
        [OutputLost(at(5.5))],
        [turn(REPEAT, 127, 5.5)],
        [turn(FREEZE, 127, 5), turn(FREEZE, 0, 9)],
        [turn(MODE, ANSWER, 5), turn(MODE, CONTINUE, 9)],
    ],
)
def test_while_the_hand_over_is_down_it_goes_on_after_whatever_came_between(
    between: list[Event],
) -> None:
    events = clock(28) + play(ONE) + [turn(HAND_OVER, 127, 3)] + between
    p = perform(events, presets=[preset(mode="continue")])
    assert [beat for beat, _ in p.notes() if beat >= 16] == [*range(16, 28)]


def test_what_was_played_long_ago_is_not_answered_when_the_mode_allows_it() -> None:
    for mode in (OFF, CONTINUE):
        change = [turn(MODE, mode, 0), turn(MODE, ANSWER, 38)]
        assert perform(clock(48) + play(ONE) + change).notes() == []
    left = [preset(0, mode="duet", answer_measures=1), preset(1)]
    p = perform(clock(48) + play(ONE) + [ProgramChange(at(38), 0, 1)], presets=left)
    assert p.notes() == answers(4)


def test_a_mode_only_passed_over_leaves_the_phrase_as_long_as_it_is() -> None:
    passed = [turn(MODE, CONTINUE, 10.6), turn(MODE, ANSWER, 10.7)]
    p = perform(clock(28) + play("| c4 d4 e4 f4 " * 2 + "| c4 d4 - - |") + passed)
    assert p.notes() == answers(12, 16, 20)


# Values and presets.


def test_a_value_turned_while_a_measure_plays_counts_from_the_next_plan() -> None:
    low, high = preset(mode="duet", temperature=0.5), 2.0
    p = perform(
        clock(16) + play(ALL_ALONG) + [turn(TEMPERATURE, 127, 5)], ask=by_temperature, presets=[low]
    )
    assert {beat: pitch for beat, pitch in p.notes() if beat % 4 == 0} == {
        4: 50,
        8: round(100 * high) % 128,
        12: round(100 * high) % 128,
    }


def test_a_preset_wipes_what_was_turned_before_and_what_is_turned_after_it_counts() -> None:
    presets = [preset(0, mode="duet", temperature=0.5), preset(1, mode="duet", temperature=0.6)]
    before = [turn(TEMPERATURE, 127, 5), ProgramChange(at(6), 0, 1)]
    after = [ProgramChange(at(5), 0, 1), turn(TEMPERATURE, 127, 6)]
    for events, pitch in ((before, 60), (after, 200 % 128)):
        p = perform(clock(12) + play(ALL_ALONG) + events, ask=by_temperature, presets=presets)
        assert dict(p.notes())[8] == pitch


PAIR = [
    preset(0, mode="duet", temperature=0.5),
    preset(1, mode="duet", temperature=0.6, channel=2, octave_shift=1),
]


def switched(beat: float, delay: float | Callable[[Ask], float] = 0.0) -> list[tuple[float, int]]:
    """The notes, where the other preset was chosen at `beat`; its channel is in the hundreds."""
    p = perform(
        clock(16) + play(ALL_ALONG) + [ProgramChange(at(beat), 0, 1)],
        ask=by_temperature,
        presets=PAIR,
        delay=delay,
    )
    p.assert_whole()
    ons = [message for message in p.messages if isinstance(message, NoteOn)]
    return [
        (beat, pitch + 100 * message.channel)
        for (beat, pitch), message in zip(p.notes(), ons, strict=True)
    ]


OLD, NEW = 50, 172  # as drawn and as voiced, both


@pytest.mark.parametrize("beat", [4.5, 6, 7.5, 7.95, 7.999])
def test_another_preset_sounds_from_the_first_line_after_it(beat: float) -> None:
    assert switched(beat) == [(n, OLD if n < 8 else NEW) for n in range(4, 16)]


def test_values_turned_between_freeze_and_line_ask_for_nothing_more() -> None:
    turned = [turn(TEMPERATURE, n, 7.95 + n / 1000) for n in range(30)]
    few, many = (
        perform(clock(12) + play(ALL_ALONG) + t, presets=[preset(mode="duet")])
        for t in ([], turned)
    )
    assert len(many.asks) <= len(few.asks) + 1


def test_the_first_note_of_a_duet_just_before_the_line_waits_for_the_next() -> None:
    p = perform(clock(12) + strike(3.98), presets=[preset(mode="duet")])
    assert p.notes() == answers(8)


@pytest.mark.parametrize("latency_ms", [0, 60, 150, -50])
@pytest.mark.parametrize("late", range(0, 60, 3))
def test_taken_over_no_place_sounds_twice_whatever_the_latency(latency_ms: int, late: int) -> None:
    presets = [p.model_copy(update={"latency_ms": latency_ms}) for p in PAIR]
    p = perform(
        clock(16) + play(ALL_ALONG) + [ProgramChange(at(7.5 + late / 60), 0, 1)],
        ask=by_temperature,
        presets=presets,
        delay=0.08,
    )
    heard = [round(beat + latency_ms / 500, 3) for beat, _ in p.notes()]
    assert heard == [*range(4, 4 + len(heard))]
    assert len(heard) >= 11


@pytest.mark.parametrize("beat", [3.0, 3.98, 4.02])
def test_the_answer_is_as_long_as_the_preset_says_that_plays_it(beat: float) -> None:
    presets = [preset(0, answer_measures=1), preset(1, answer_measures=3)]
    p = perform(clock(24) + play(ONE) + [ProgramChange(at(beat), 0, 1)], presets=presets)
    assert p.notes() == answers(4, 8, 12)


def test_asked_to_play_after_the_line_it_plays_the_preset_that_is_then_in_force() -> None:
    presets = [preset(0, mode="continue", on_interruption="overlap"), preset(1, mode="continue")]
    chosen = [ProgramChange(at(8.01), 0, 1), turn(HAND_OVER, 127, 8.02), *strike(9.5)]
    p = perform(clock(16) + play(ONE) + chosen, presets=presets)
    assert p.notes() == [(9, 86)]


def test_how_loud_it_plays_changes_with_the_same_line_as_how_it_is_drawn() -> None:
    softer = [turn(31, 0, 5)]
    p = perform(clock(12) + play(ALL_ALONG) + softer, presets=[preset(mode="duet")])
    loud = [m.velocity for m in p.messages if isinstance(m, NoteOn)]
    assert len(set(loud[:4])) == len(set(loud[4:])) == 1
    assert loud[4] < loud[3]


@pytest.mark.parametrize("beat", [7.97, 8.0, 8.05])
def test_chosen_too_late_for_a_plan_it_takes_over_within_the_measure(beat: float) -> None:
    played = switched(beat, delay=0.1)  # seconds; a beat is half of one
    assert [pitch for _, pitch in played] == [OLD] * 5 + [NEW] * 7
    assert [n for n, _ in played] == [*range(4, 16)]


def test_chosen_after_half_a_step_it_waits_for_the_next_line() -> None:
    assert switched(8.1) == [(n, OLD if n < 12 else NEW) for n in range(4, 16)]


def test_no_note_is_half_of_one_preset_and_half_of_the_other() -> None:
    for late in range(0, 500, 7):
        played = switched(7.5 + late / 500, delay=0.08)
        assert {pitch for _, pitch in played} == {OLD, NEW}


def test_a_range_turned_through_itself_stays_a_range() -> None:
    low, high = 29, 30
    p = perform(clock(12) + play(ALL_ALONG) + [turn(low, 90, 1), turn(high, 50, 2)])
    assert p.status.preset == "preset 0"
    sampling = (
        perform(clock(12) + play(ONE) + [turn(low, 90, 1), turn(high, 50, 2)]).asks[-1][1].sampling
    )
    assert (sampling.low_pitch, sampling.high_pitch) == (50, 50)


def test_taken_over_the_context_is_what_was_played() -> None:
    p = perform(
        clock(16) + play(ALL_ALONG) + [ProgramChange(at(8.0), 0, 1)],
        ask=by_temperature,
        presets=PAIR,
        delay=0.1,
    )
    [heard] = [
        measure
        for _, ask in p.asks
        if ask.deadline == pytest.approx(at(16))
        for measure in ask.context[2:3]
    ][-1:]
    mine = [(n.onset * TICKS_PER_STEP / 24, n.pitch) for n in heard.notes if n.onset % 8 == 0]
    assert [pitch for _, pitch in mine if pitch < 60] == [50]


# What the model is asked with.


def test_in_a_duet_it_is_asked_for_its_share_of_what_both_would_play() -> None:
    for density, share in ((1.0, 0.5), (3.0, 0.75), (0.25, 0.25)):
        p = perform(clock(24) + play(ALL_ALONG), presets=[preset(mode="duet", density=density)])
        sampling = p.asks[-1][1].sampling
        assert sampling.density == share
        assert sampling.density * sampling.usual_notes == pytest.approx(4 * density)


def test_a_density_is_a_multiple_of_what_the_performer_played_lately() -> None:
    p = perform(clock(24) + play("| c4 d4 e4 f4 | c4 d4 - - |"), presets=[preset(density=2.0)])
    assert {(a.sampling.density, a.sampling.usual_notes) for _, a in p.asks} == {(2.0, 3.0)}
    p = perform(clock(8) + play(ONE))
    assert p.asks[-1][1].sampling.usual_notes == 0


def test_it_plays_in_the_scale_it_was_told_or_in_the_one_it_heard() -> None:
    text = "| c4 d4 e4 f4 g4 a4 b4 c5 | g4 e4 c4 - |"
    for scale, classes in (
        ("chromatic", tuple(range(12))),
        ("d minor pentatonic", (0, 2, 5, 7, 9)),
        ("heard", (0, 2, 4, 5, 7, 9, 11)),
    ):
        p = perform(clock(16) + play(text), presets=[preset(scale=scale)])
        assert p.asks[-1][1].sampling.pitch_classes == classes
