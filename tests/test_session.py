"""Whole performances on fake time: who plays when, in which words, and how it ends.

The machine's answer is, unless told otherwise, four quarter notes: 84 86 88 89. Places are beats
from the beginning; a measure of 4/4 is four.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bridge.events import (
    Ask,
    Continue,
    ControlChange,
    Event,
    ModelLost,
    ModelReady,
    NoteOff,
    NoteOn,
    OutputDelay,
    OutputLost,
    Planned,
    ProgramChange,
    Quit,
    SongPosition,
    Start,
    Stop,
    Tick,
    Wake,
)
from bridge.lead import SAFETY
from bridge.plans import Plans
from bridge.session import Session, Settings
from bridge.stages import AFTER_LINE_S
from pianogen.grid import PPQN, Measure, Meter
from tests.stage import BEGIN, FOUR, clock, measure, perform, play, preset, seconds

ONE = "| c4 d4 e4 - |"  # a measure whose rest is too short to be heard before its end
TWO = "| c4 d4 e4 f4 | g4 a4 - - |"  # two measures, over at beat 6
QUICK = preset(rest_beats=1.0)


def at(beat: float) -> float:
    return BEGIN + seconds(beat)


def answers(*lines: float) -> list[tuple[float, int]]:
    """FOUR, beginning at these beats."""
    return [(line + n, pitch) for line in lines for n, pitch in enumerate((84, 86, 88, 89))]


def without(events: list[Event], begin: float, end: float) -> list[Event]:
    """The events without the ticks between two beats."""
    return [e for e in events if not (isinstance(e, Tick) and at(begin) < e.time < at(end))]


# Phrase and answer.


def test_two_measures_played_are_answered_by_two_on_the_next_line() -> None:
    p = perform(clock(24) + play(TWO))
    assert p.notes() == answers(8, 12)
    assert p.offs()[:4] == [(8.75, 84), (9.75, 86), (10.75, 88), (11.75, 89)]
    p.assert_whole()
    assert (p.status.measures_answered, p.status.measures_missed) == (2, 0)


def test_one_measure_is_answered_by_one() -> None:
    assert perform(clock(24) + play("| c4 d4 - - |")).notes() == answers(4)


def test_a_rest_complete_only_after_the_freeze_goes_to_the_following_line() -> None:
    assert perform(clock(24) + play(ONE)).notes() == answers(8)  # 1.5 beats end at 4.45


def test_a_rest_complete_just_before_the_freeze_is_answered_on_this_line() -> None:
    for late, line in ((-0.01, 4), (0.01, 8)):
        up = 4 - 1 / 16 - 1.5 + late  # the freeze is half a step, 1/16 beat, before the line
        events = [NoteOn(at(0), 0, 60, 80), NoteOff(at(up), 0, 60)]
        assert perform(clock(24) + events).notes() == answers(line)


def test_a_held_key_is_playing() -> None:
    held = [NoteOn(at(0), 0, 60, 80), NoteOff(at(9), 0, 60)]
    assert perform(clock(24) + held).notes() == answers(12)


@pytest.mark.parametrize("up", [64, 121])  # the pedal itself; all controllers reset
def test_the_pedal_holds_the_phrase_open(up: int) -> None:
    pedal = [ControlChange(at(0), 0, 64, 127), ControlChange(at(5), 0, up, 0)]
    assert perform(clock(24) + play("| c4 - - - |") + pedal).notes() == answers(8)


def test_a_phrase_that_does_not_end_is_answered_after_listen_measures() -> None:
    held = [NoteOn(at(0.5), 0, 60, 80)]
    p = perform(clock(24) + held, presets=[preset(listen_measures=2)])
    assert p.notes() == answers(8)


def test_a_performer_who_plays_over_the_line_keeps_playing_and_begins_a_new_phrase() -> None:
    held = [NoteOn(at(13), 0, 62, 80)]
    p = perform(clock(60) + play("| c4 d4 e4 f4 " * 3) + held, presets=[preset(listen_measures=2)])
    assert p.notes()[-8:] == answers(16, 20)  # full at 8, played over there; full again at 16
    p.assert_whole()


def test_answer_measures_says_how_long_the_answer_is() -> None:
    p = perform(clock(32) + play("| c4 d4 - - |"), presets=[preset(answer_measures=3)])
    assert p.notes() == answers(4, 8, 12)


def test_after_its_answer_the_machine_listens_again() -> None:
    text = "| c4 d4 - - | - | c4 d4 - - | - | - |"
    assert perform(clock(24) + play(text)).notes() == answers(4, 12)


def test_without_a_phrase_nothing_is_asked_and_nothing_played() -> None:
    p = perform(clock(24))
    assert (p.messages, p.asks) == ([], [])


@pytest.mark.parametrize("meter", ["3/4", "6/8", "5/4", "7/8"])
def test_in_other_meters_the_answer_is_on_their_line(meter: str) -> None:
    m = Meter.parse(meter)
    beats = m.ticks / PPQN
    p = perform(
        clock(beats * 5) + play("| c4 d4 - - - - |", meter=m),
        meter=m,
        ask=lambda ask: measure(84, meter=m),
    )
    assert p.notes() == [(beats, 84)]


@pytest.mark.parametrize("bpm", [20, 63, 120, 200, 400])
def test_at_every_tempo_the_answer_is_on_the_line(bpm: float) -> None:
    p = perform(clock(16, bpm=bpm) + play("| c4 d4 - - |", bpm=bpm))
    assert p.notes(bpm=bpm)[:2] == [(4, 84), (5, 86)]


def test_jitter_in_the_clock_moves_the_answer_by_a_fraction_of_it() -> None:
    draw = random.Random(3)
    ticks = [
        replace(e, time=e.time + draw.uniform(0, 0.005)) if isinstance(e, Tick) else e
        for e in clock(24)
    ]
    sent = [m for m in perform(ticks + play(TWO)).messages if isinstance(m, NoteOn)]
    errors = [m.time - at(8 + n) - 0.0025 for n, m in enumerate(sent)]
    assert len(errors) == 8
    assert max(map(abs, errors)) < 0.0015


def test_a_tempo_change_during_the_answer_moves_its_notes() -> None:
    slow = clock(24, bpm=60, begin=at(10))[1:]
    sent = perform(clock(10) + slow + play(TWO)).messages
    times = [m.time for m in sent if isinstance(m, NoteOn)]
    assert times[:3] == pytest.approx([at(8), at(9), at(10)], abs=1e-3)
    assert times[4:6] == pytest.approx([at(10) + 2, at(10) + 3], abs=0.02)


# What is asked.


def test_a_plan_is_asked_early_and_again_at_the_freeze_where_the_context_has_changed() -> None:
    staccato = [NoteOn(at(3.75), 0, 67, 80), NoteOff(at(3.8), 0, 67)]
    p = perform(clock(16) + play("| c4 d4 - - |") + staccato, presets=[preset(rest_beats=0.1)])
    freeze = at(4 - 1 / 16)
    assert [t for t, _ in p.asks[:2]] == pytest.approx([freeze - 0.75, freeze])
    assert [len(a.context[0].notes) for _, a in p.asks[:2]] == [2, 3]
    assert [a.deadline for _, a in p.asks[:2]] == pytest.approx([at(4)] * 2)
    assert [a.wanted_by for _, a in p.asks[:2]] == pytest.approx([freeze - 0.25, at(4)])


def test_a_first_plan_that_has_grown_old_is_renewed_in_time_for_the_line() -> None:
    staccato = [NoteOn(at(3), 0, 67, 80), NoteOff(at(3.1), 0, 67)]
    p = perform(clock(16) + play("| c4 d4 - - |") + staccato, presets=[preset(rest_beats=0.1)])
    freeze = at(4 - 1 / 16)
    assert [t for t, _ in p.asks[:2]] == pytest.approx([freeze - 0.75, freeze - 0.25])
    assert [len(a.context[0].notes) for _, a in p.asks[:2]] == [2, 3]
    assert [a.wanted_by for _, a in p.asks[:2]] == pytest.approx([freeze - 0.25, freeze])


def test_while_a_key_is_down_there_is_no_first_plan_before_its_last_time() -> None:
    p = perform(clock(16) + play("| c4 d4 _ - |"), presets=[preset(rest_beats=0.1)])
    assert p.asks[0][0] == pytest.approx(at(4 - 1 / 16) - 0.25)


def test_inside_an_answer_a_plan_is_wanted_by_the_time_of_a_first_plan() -> None:
    p = perform(clock(24) + play(TWO))
    time, second = p.asks[1]
    assert time == pytest.approx(at(8) + AFTER_LINE_S)
    assert second.wanted_by == pytest.approx(at(12 - 1 / 16) - 0.25)
    assert second.deadline == pytest.approx(at(12))


def test_a_preset_chosen_inside_an_answer_asks_by_the_next_stage() -> None:
    early, late = (ProgramChange(at(beat), 0, 1) for beat in (9.0, 11.5))
    for change, wanted_by in ((early, at(12 - 1 / 16) - 0.25), (late, at(12 - 1 / 16))):
        p = perform(
            [*clock(24), *play(TWO), change], presets=[preset(), preset(1, max_polyphony=2)]
        )
        (ask,) = (a for _, a in p.asks if a.sampling.max_polyphony == 2)
        assert ask.wanted_by == pytest.approx(wanted_by)


def test_an_unchanged_context_is_asked_once() -> None:
    assert len(perform(clock(16) + play("| c4 d4 - - |")).asks) == 1


def test_the_next_measure_is_asked_when_the_one_before_begins_and_hears_it() -> None:
    p = perform(clock(24) + play(TWO))
    (_, first), (time, second) = p.asks
    assert time == pytest.approx(at(8) + AFTER_LINE_S)
    assert (first.start, len(first.context), second.start, len(second.context)) == (0, 2, 0, 3)
    assert second.context[2] == FOUR
    assert first.seed != second.seed


def test_both_voices_are_one_context() -> None:
    held = [NoteOn(at(2), 0, 40, 80), NoteOff(at(9), 0, 40)]
    p = perform(clock(24) + held, presets=[preset(listen_measures=1, answer_measures=2)])
    heard = p.asks[-1][1].context
    assert [(n.onset, n.pitch) for n in heard[0].notes] == [(16, 40)]
    assert heard[1] == FOUR


def test_a_provisional_length_is_corrected_in_a_later_request() -> None:
    held = [NoteOn(at(3), 0, 40, 80), NoteOff(at(5), 0, 40)]
    p = perform(clock(24) + held, presets=[preset(listen_measures=1, answer_measures=2)])
    lengths = [a.context[0].notes[0].duration for _, a in p.asks]
    assert lengths[0] <= 8
    assert lengths[-1] == 16


def test_the_newest_sixteen_measures_travel_with_their_index() -> None:
    text = "| c4 d4 e4 f4 " * 20 + "| c4 - - - |"
    p = perform(clock(100) + play(text), presets=[preset(listen_measures=32)])
    ask = p.asks[0][1]
    assert (ask.start, len(ask.context)) == (21 - 16, 16)


def test_of_a_long_silence_one_measure_stays() -> None:
    p = perform(clock(64) + play("| c4 d4 - - | - | - | - | - | - | c4 d4 - - |"))
    first, second = p.asks[0][1], p.asks[1][1]
    assert (first.start, len(first.context)) == (0, 1)
    assert [m.is_silent for m in second.context] == [False, False, True, False]
    assert second.context[1] == FOUR


def test_the_same_performance_gives_the_same_answer() -> None:
    def drawn(ask: Ask) -> Measure:
        return measure(48 + ask.seed % 40, 60)

    first, again, other = (
        perform(clock(24) + play(TWO), ask=drawn, seed=seed).notes() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


# Plans that are late or missing.


def test_where_the_second_plan_is_late_the_first_plays() -> None:
    plans = iter([measure(60), measure(72), measure(74)])
    delays = iter([0.01, 5.0, 5.0])
    p = perform(
        clock(16) + play("| c4 d4 - - |") + [NoteOn(at(3.8), 0, 67, 80), NoteOff(at(3.81), 0, 67)],
        presets=[preset(rest_beats=0.05)],
        ask=lambda ask: next(plans),
        delay=lambda ask: next(delays),
    )
    assert p.notes() == [(4, 60)]
    assert p.status.plans_late == 1


def test_the_newest_plan_that_is_ready_plays() -> None:
    plans = iter([measure(60), measure(72)])
    p = perform(
        clock(16) + play("| c4 d4 - - |") + [NoteOn(at(3.8), 0, 67, 80), NoteOff(at(3.81), 0, 67)],
        presets=[preset(rest_beats=0.05)],
        ask=lambda ask: next(plans),
    )
    assert p.notes() == [(4, 72)]


def test_no_plan_in_time_is_a_rest_counted_and_told() -> None:
    p = perform(clock(24) + play(TWO), delay=1.0)
    assert p.notes() == answers(12)  # the second measure is asked a measure ahead
    assert (p.status.measures_missed, p.status.plans_late) == (1, 1)
    assert any("rest" in notice for notice in p.notices)


def test_a_slow_model_is_asked_earlier_the_next_time() -> None:
    p = perform(clock(48) + play("| c4 d4 - - | - | - | c4 d4 - - |"), delay=1.0)
    assert p.status.measures_missed == 1
    assert p.notes() == answers(16)


def test_what_more_drafts_took_makes_no_time_for_more() -> None:
    ((_, ask), *_) = perform(clock(16) + play("| c4 d4 - - |")).asks
    plans = Plans(Meter())
    plans.asked(1, ask, preset(), now=10.0)
    plans.receive(Planned(10.5, ask.plan_id, FOUR, candidates=20, spare_s=0.4), next_line=1)
    assert plans.candidates == 20
    assert plans.lead.one_s == pytest.approx(SAFETY * 0.1)


STACCATO = [NoteOn(at(3.75), 0, 67, 80), NoteOff(at(3.8), 0, 67)]  # in time for the freeze


@pytest.mark.parametrize(("response_s", "asks"), [(0.02, 2), (0.03, 1)])  # SAFETY * 0.025 fits
def test_at_the_freeze_a_plan_is_renewed_only_where_one_draft_is_done_by_the_line(
    response_s: float, asks: int
) -> None:
    p = perform(
        [ModelReady(at(0), response_s), *clock(8), *play("| c4 d4 - - |"), *STACCATO],
        presets=[preset(rest_beats=0.1)],
        is_ready=False,
    )
    assert len(p.asks) == asks
    assert p.notes()[0] == (4, 84)


def test_a_key_let_go_is_no_reason_to_renew_a_plan_at_the_freeze() -> None:
    held = [NoteOn(at(0), 0, 60, 80), NoteOff(at(3.9), 0, 60)]
    p = perform([*clock(8), *held], presets=[preset(listen_measures=1)])
    assert [t < at(3.9) for t, _ in p.asks] == [True]


def test_where_no_plan_is_under_way_the_freeze_asks_however_little_time_there_is() -> None:
    freeze = at(4 - 1 / 16)
    late = ModelReady(freeze - 0.01, 0.5)
    p = perform([late, *clock(8), *play("| c4 d4 - - |")], is_ready=False)
    assert p.asks[0][0] == pytest.approx(freeze)
    assert p.notes()[0] == (4, 84)


def test_the_lead_and_its_reason_are_told_once_and_again_when_the_tempo_changes() -> None:
    slow = [*clock(8), *play("| c4 d4 - - |")]
    fast = [
        *clock(12, bpm=240.0, begin=at(8)),
        *play("| c4 d4 - - |", bpm=240.0, begin=at(8)),
    ]
    p = perform([ModelReady(at(0), 0.02), *slow, *fast], is_ready=False)
    told = [notice for notice in p.notices if "before the freeze" in notice]
    assert ["120 bpm" in told[0], "renewed there" in told[0]] == [True, True]
    assert ["240 bpm" in told[1], "too late for another" in told[1]] == [True, True]
    assert len(told) == 2


def test_a_model_that_fails_gives_rests() -> None:
    p = perform(clock(24) + play(TWO), ask=lambda ask: None)
    assert p.notes() == []
    assert (p.status.measures_answered, p.status.measures_missed) == (0, 2)


def test_a_request_that_failed_is_made_again_while_there_is_time() -> None:
    answers_of = iter([None, FOUR])
    p = perform(clock(12) + play("| c4 d4 - - |"), ask=lambda ask: next(answers_of))
    assert p.notes() == answers(4)
    assert p.status.plans_failed == 1


def test_a_plan_in_another_meter_is_a_failure() -> None:
    p = perform(clock(16) + play("| c4 d4 - - |"), ask=lambda ask: Measure(Meter(3, 4)))
    assert (p.status.plans_failed > 0, p.messages) == (True, [])


def test_without_a_model_it_listens_and_says_so_once() -> None:
    p = perform(clock(40) + play("| c4 d4 - - | - | c4 d4 - - |"), is_ready=False)
    assert p.messages == []
    assert len([n for n in p.notices if "model" in n]) == 1


def test_a_lost_model_ends_its_answer_and_a_new_one_plays_again() -> None:
    events = [*clock(40), *play(TWO + "| - | - | c4 d4 - - |")]
    p = perform([*events, ModelLost(at(8.5)), ModelReady(at(10))])
    assert p.notes() == [(8, 84)] + answers(20)
    p.assert_whole()


def test_a_plan_of_an_answer_that_was_broken_off_is_never_played() -> None:
    delays = iter([0.0, 0.0, 9.0, 9.0, 9.0])
    again = [NoteOn(at(9.3), 0, 50, 80), NoteOff(at(9.5), 0, 50)]
    p = perform(clock(24) + play(TWO) + again, delay=lambda ask: next(delays), until=at(23))
    assert p.notes() == [(8, 84), (9, 86)]  # the plan for 12 was ready, but of another context
    assert p.status.measures_missed == 1


# Handing back.


def test_a_note_of_the_performer_hands_back_at_once_and_begins_the_next_phrase() -> None:
    again = [NoteOn(at(9.3), 0, 50, 80), NoteOff(at(9.5), 0, 50)]
    p = perform(clock(32) + play(TWO) + again)
    assert p.notes() == [(8, 84), (9, 86), *answers(12)]
    assert (9.3, 86) in p.offs()
    p.assert_whole()
    heard = p.asks[-1][1].context[2]  # both voices up to there, nothing that was not played
    assert [(n.onset, n.pitch) for n in heard.notes] == [(0, 84), (8, 86), (10, 50)]


def test_a_note_between_freeze_and_line_goes_on_with_the_phrase() -> None:
    more = [NoteOn(at(7.97), 0, 50, 80), NoteOff(at(8.5), 0, 50)]
    p = perform(clock(40) + play(TWO) + more)
    assert p.notes() == answers(12, 16, 20)  # three measures heard, the last by its first step


def test_the_mode_is_told() -> None:
    events = clock(24) + play(TWO)
    modes = {}
    for beat in (-1, 1, 7.97, 9, 17):
        modes[beat] = perform(events, until=at(beat)).status.mode
    assert list(modes.values()) == ["stopped", "listening", "thinking", "answering", "listening"]


def test_the_status_tells_where_we_are() -> None:
    status = perform(clock(24) + play(TWO), until=at(9.01)).status
    assert (status.measure, status.step, status.clock) == (3, 8, "midi")
    assert status.tempo == pytest.approx(120)
    assert status.sounding == (86,)
    assert (status.notes_heard, status.notes_sent) == (6, 2)


# The transport.


def test_stop_releases_at_once_and_forgets_the_phrase() -> None:
    p = perform([*clock(9.5), *play(TWO), Stop(at(9.5))])
    assert p.notes() == [(8, 84), (9, 86)]
    assert p.offs()[-1] == (9.5, 86)
    p.assert_whole()


def test_stop_and_continue_go_on_in_place_with_a_new_phrase() -> None:
    first = [*clock(5), Stop(at(5))]
    second = [Continue(at(20)), *clock(24, begin=at(20))[1:]]
    p = perform(first + second + play("| c4 d4 e4 f4 |") + play("| c4 - - - |", begin=at(20.0)))
    assert p.notes() == answers(23)  # stopped one beat into a measure, so its line is three on
    ask = p.asks[0][1]
    assert len(ask.context) == 2


def test_a_loop_by_song_position_while_rolling_begins_a_fresh_take() -> None:
    ticks = clock(32)
    jump: list[Event] = [SongPosition(at(9.5) - 0.001, 0)]
    p = perform(ticks + jump + play(TWO) + play("| c4 d4 - - |", begin=at(9.5)))
    assert p.notes() == [(8, 84), (9, 86), *answers(13.5)]
    p.assert_whole()
    assert p.asks[-1][1].context[0].notes  # what was heard before is still context


def test_a_loop_by_stop_and_start() -> None:
    again = clock(16, begin=at(9.52))
    p = perform(
        [*clock(9.5), Stop(at(9.5)), *again, *play(TWO), *play("| c4 - - - |", begin=at(9.52))]
    )
    assert p.notes() == [(8, 84), (9, 86), *[(round(b + 9.52, 3), n) for b, n in answers(4)]]
    p.assert_whole()


def test_a_loop_without_a_word_changes_nothing() -> None:
    assert perform(clock(200) + play(TWO, begin=at(160))).notes() == answers(168, 172)


def test_reapers_burst_at_play_is_harmless() -> None:
    burst = [ControlChange(at(-0.01), c, n, 0) for c in range(16) for n in (120, 123)]
    p = perform([*burst, *clock(24), *play(TWO)])
    assert p.notes() == answers(8, 12)
    assert all(isinstance(m, NoteOn | NoteOff) for m in p.messages)


def test_the_burst_in_the_middle_of_a_phrase_leaves_the_phrase() -> None:
    burst = [ControlChange(at(2.97), c, n, 0) for c in range(16) for n in (120, 123)]
    p = perform([*clock(24), *burst, *play(TWO)])
    assert p.notes() == answers(8, 12)


def test_a_note_written_on_the_first_beat_may_come_just_before_start() -> None:
    early = [replace(e, time=e.time - 0.004) for e in play("| c4 d4 - - |")]
    p = perform(clock(24) + early)
    assert [n.onset for n in p.asks[0][1].context[0].notes] == [0, 8]
    assert p.notes() == answers(4)


def test_a_song_position_too_large_is_mended_by_a_shift() -> None:
    begin: list[Event] = [SongPosition(at(0), 24), Continue(at(0))]  # Ardour 7.3, at its beat 1
    events = [*begin, *clock(24)[1:], *play("| c4 d4 - - |")]
    assert perform(events).notes() == answers(6)
    assert perform(events, shift_beats=-2).notes() == answers(4)


def test_ticks_without_start_are_no_reason_to_play() -> None:
    p = perform(clock(24)[1:] + play(TWO))
    assert (p.messages, p.status.mode) == ([], "stopped")


def test_a_lost_clock_rolls_on_for_a_beat_then_falls_silent() -> None:
    p = perform(without(clock(40), 9.3, 30) + play(TWO))
    assert p.notes() == [(8, 84), (9, 86), (10, 88)]
    assert p.offs()[-1] == (10.292, 88)  # the last tick was at 9.292
    p.assert_whole()
    assert any("lost" in n for n in p.notices)


def test_a_clock_found_again_carries_on_in_place() -> None:
    events = without(clock(60), 9.3, 30) + play(TWO) + play("| c4 d4 - - |", begin=at(32))
    assert perform(events).notes()[3:] == answers(36)


def test_a_short_gap_in_the_clock_is_bridged() -> None:
    assert perform(without(clock(24), 9.2, 9.6) + play(TWO)).notes() == answers(8, 12)


# The internal clock.


def test_without_a_clock_the_first_note_is_on_the_line() -> None:
    p = perform(play(TWO, begin=33.3))
    assert p.notes(begin=33.3) == answers(8, 12)
    assert p.status.clock == "internal"
    assert sum("no MIDI clock" in n for n in p.notices) == 1
    p.assert_whole()


def test_the_internal_clock_has_its_own_tempo() -> None:
    p = perform(play(TWO, bpm=90, begin=5.0), bpm=90)
    assert p.notes(bpm=90, begin=5.0) == answers(8, 12)


def test_after_a_long_rest_the_internal_clock_begins_anew_with_the_next_note() -> None:
    p = perform(play("| c4 d4 - - |") + play("| c4 d4 - - |", begin=at(33.3)))
    assert p.notes() == answers(4) + [(round(b + 33.3, 3), n) for b, n in answers(4)]


def test_a_real_clock_takes_over_at_once() -> None:
    begin = at(9.5)
    p = perform(play(TWO) + clock(16, begin=begin) + play("| c4 d4 - - |", begin=begin))
    assert p.notes() == [(8, 84), (9, 86), *answers(13.5)]
    assert (9.5, 86) in p.offs()
    p.assert_whole()


def test_a_clock_that_waits_at_the_end_of_a_song_is_waited_for() -> None:
    late = play("| c4 d4 - - |", begin=at(9))
    assert perform(clock(8, stops=True) + late).messages == []
    late = play("| c4 d4 - - |", begin=at(20))
    assert perform(clock(8, stops=True) + late).notes() == answers(24)


# Presets and controls.

A = preset(0, channel=1)
B = preset(5, channel=2, octave_shift=-1, temperature=1.5, velocity_scale=0.5)


@pytest.mark.parametrize("change", [ControlChange(at(9.3), 0, 20, 5), ProgramChange(at(9.3), 0, 5)])
def test_a_preset_takes_effect_at_the_next_line_without_a_gap(change: Event) -> None:
    p = perform([*clock(24), *play(TWO), change], presets=[A, B])
    assert p.notes() == answers(8) + [(b, n - 12) for b, n in answers(12)]
    assert [m.channel for m in p.messages if isinstance(m, NoteOn)] == [0] * 4 + [1] * 4
    assert p.asks[-1][1].sampling == B.sampling
    p.assert_whole()


def test_a_preset_changes_at_once_while_nothing_rolls() -> None:
    p = perform([ControlChange(1.0, 0, 20, 5)], presets=[A, B])
    assert p.status.preset == "preset 5"


def test_a_preset_changed_while_nobody_plays_waits_for_the_line() -> None:
    events = [*clock(24), ControlChange(at(9.3), 0, 20, 5)]
    assert perform(events, presets=[A, B], until=at(11.9)).status.preset == "preset 0"
    assert perform(events, presets=[A, B], until=at(12.1)).status.preset == "preset 5"


def test_an_unknown_number_changes_nothing_and_is_told() -> None:
    p = perform([*clock(24), *play(TWO), ControlChange(at(9), 0, 20, 99)], presets=[A, B])
    assert p.notes() == answers(8, 12)
    assert any("99" in notice for notice in p.notices)


def test_the_preset_to_begin_with_is_chosen_by_number() -> None:
    assert perform([], presets=[A, B], preset=5).status.preset == "preset 5"


@pytest.mark.parametrize("latency", [20.0, 150.0, -40.0])
def test_latency_sends_earlier(latency: float) -> None:
    p = perform(clock(24) + play(TWO), presets=[preset(latency_ms=latency)])
    assert p.notes() == [(round(b - latency / 500, 3), n) for b, n in answers(8, 12)]
    over = perform(clock(24) + play(TWO), presets=[preset()], latency_ms=latency)
    assert over.notes() == p.notes()


def test_what_the_port_delays_is_sent_as_much_earlier() -> None:
    early = perform([OutputDelay(at(0), 0.006), *clock(24), *play(TWO)])
    on_time = perform([*clock(24), *play(TWO)], latency_ms=6.0)
    assert early.messages == on_time.messages
    assert early.messages[0].time == pytest.approx(at(8) - 0.006)


def test_only_the_chosen_channel_is_heard() -> None:
    for channel, expected in ((1, answers(8, 12)), (2, []), (None, answers(8, 12))):
        assert perform(clock(24) + play(TWO), channel=channel).notes() == expected


def test_other_messages_are_ignored() -> None:
    other = [ControlChange(at(3), 0, n, 64) for n in (1, 7, 11, 121)]
    assert perform([*clock(24), *play(TWO), *other]).notes() == answers(8, 12)


# Ways out.


@pytest.mark.parametrize("control", [120, 123])
def test_panic_releases_and_ends_the_answer(control: int) -> None:
    p = perform([*clock(24), *play(TWO), ControlChange(at(9.3), 7, control, 0)])
    assert p.notes() == [(8, 84), (9, 86)]
    assert p.offs()[-1] == (9.3, 86)
    p.assert_whole()


def test_a_lost_output_leaves_nothing_sounding_or_booked() -> None:
    p = perform([*clock(24), *play(TWO), OutputLost(at(9.3))])
    assert p.notes() == [(8, 84), (9, 86)]
    p.assert_whole()


def test_quit_releases_everything_and_is_the_end() -> None:
    p = perform([*clock(24), *play(TWO), Quit(at(9.3))])
    assert p.notes() == [(8, 84), (9, 86)]
    assert [m.control for m in p.messages if isinstance(m, ControlChange)] == [64, 120, 123]
    assert p.session.next_deadline() is None
    assert p.session.handle(Start(at(20))) == []
    p.assert_whole()


def test_a_stalled_machine_drops_what_is_too_late() -> None:
    session = Session([preset()], Settings())
    session.handle(ModelReady(at(-1)))
    for event in sorted(clock(8) + play("| c4 - - - |"), key=lambda e: e.time):
        while (due := session.next_deadline()) is not None and due < event.time:
            for action in session.handle(Wake(due)):
                if isinstance(action, Ask):
                    session.handle(Planned(due, action.plan_id, FOUR))
        if event.time > at(5.9):
            break
        session.handle(event)
    session.handle(Wake(at(6.2)))  # the note of beat 6 is 100 ms late
    assert (session.status().late, session.status().notes_dropped) == (1, 1)
    assert session.status().sounding == ()
