"""The check: what it plays, what its recordings come to, and what it makes of them in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.check_figures import (
    Cost,
    Figures,
    Taken,
    arrivals,
    cost_figures,
    figures,
)
from bridge.check_music import LEAD_IN, Piece, in_turns
from bridge.check_table import Report, Setting, table
from bridge.check_verdict import verdict
from bridge.cli import main
from bridge.errors import PortError
from bridge.events import Ask, NoteOff, NoteOn, Start, Stop, Tick
from bridge.presets import Preset, load_presets
from bridge.session import Session
from bridge.simulation import Simulation
from bridge.status import Settings
from bridge.vitals import Usage
from pianogen.grid import PPQN, TICKS_PER_STEP, Measure, Meter, Note
from tests.stage import FOUR

ORIGIN = 100.0
PRESETS = load_presets()


def piece(rounds: int = 2, **values: Any) -> Piece:
    fields = {"call_measures": 2, "answer_measures": 2, "rest_beats": 1.5, **values}
    return Piece(120.0, Meter(), rounds, **fields)


# What is played.


@given(
    st.sampled_from(PRESETS),
    st.sampled_from([Meter(), Meter(3, 4), Meter(6, 8), Meter(5, 4)]),
    st.floats(20, 400),
    st.floats(0, 20),
)
def test_everything_is_sent_in_order_and_every_tick_once(
    preset: Preset, meter: Meter, bpm: float, jitter_ms: float
) -> None:
    played = replace(Piece.of(preset, meter, bpm, 12), jitter_ms=jitter_ms)
    events = list(played.events())
    ticks = [event for event in events if isinstance(event, Tick)]
    assert isinstance(events[0], Start)
    assert isinstance(events[-1], Stop)
    assert all(one.time <= other.time for one, other in pairwise(events))
    assert len(ticks) == played.ticks
    ons = [event.pitch for event in events if isinstance(event, NoteOn)]
    assert sorted(ons) == sorted(e.pitch for e in events if isinstance(e, NoteOff))


def test_without_jitter_the_grid_is_exact() -> None:
    ticks = [event.time for event in piece().events() if isinstance(event, Tick)]
    assert ticks == pytest.approx([n * 60 / (120 * PPQN) for n in range(len(ticks))], abs=1e-9)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("meter", [Meter(), Meter(3, 4)], ids=str)
def test_every_call_is_answered_where_the_piece_says(preset: Preset, meter: Meter) -> None:
    played = Piece.of(preset, meter, 120.0, 12)
    session = Session([in_turns(preset)], Settings(meter=meter))
    answer = Measure(meter, FOUR.notes if meter == Meter() else (Note(0, 84, 20, 6),))

    def ask(_ask: Ask) -> Measure:
        return answer

    events = [replace(event, time=ORIGIN + event.time) for event in played.events()]
    simulation = Simulation(session, events, ask)
    simulation.run()
    status = session.status()
    assert status.measures_answered == played.rounds * played.answer_measures
    assert (status.measures_missed, status.measures_stale, status.notes_dropped) == (0, 0, 0)
    assert status.sounding == ()
    step_s = played.tick_s * TICKS_PER_STEP
    sent = [done.action for done in simulation.done if hasattr(done.action, "message")]
    steps = [
        round((action.message.time - ORIGIN) / step_s)
        for action in sent
        if isinstance(action.message, NoteOn)
    ]
    assert {played.round_at(step) for step in steps} == set(range(played.rounds))


def test_an_answer_lies_between_its_call_and_the_next() -> None:
    steps = Meter().steps
    where = [piece().round_at((LEAD_IN + measure) * steps) for measure in range(9)]
    assert where == [None, None, 0, 0, None, None, 1, 1, None]


# What the recordings come to.


def taken(
    *,
    arrivals: Sequence[float] | None = None,
    late_s: float = 0.0001,
    offset_s: float = 0.002,
    lose: int | None = None,
    missed: int = 0,
    stale: int = 0,
    late: int = 0,
    rounds: int = 2,
) -> Taken:
    """A piece that went well, but for what is asked for; one note begins each answer."""
    played = piece(rounds)
    ticks = [ORIGIN + offset_s + n * played.tick_s for n in range(played.ticks)]
    ticks = list(arrivals) if arrivals is not None else ticks
    if lose is not None:
        del ticks[lose]
    lines = [LEAD_IN + 2 + 4 * n for n in range(rounds)]
    due = [ORIGIN + offset_s + line * 96 * played.tick_s for line in lines]
    before = Session(PRESETS, Settings()).status(0.0)
    after = replace(
        before,
        measures_answered=2 * rounds - missed,
        measures_missed=missed,
        measures_stale=stale,
        late=late,
    )
    return Taken(
        piece=played,
        origin=ORIGIN,
        ticks=ticks,
        ticks_sent=played.ticks,
        source_late_ms=[0.01] * played.ticks,
        due=due,
        sent=[time + late_s for time in due],
        received=[time + late_s + 0.0005 for time in due],
        left_sounding=0,
        ahead_s=0.0,
        before=before,
        after=after,
        response_ms=[10.0, 20.0, 30.0],
        costs=[],
    )


def test_the_constant_part_of_the_way_is_told_apart_from_jitter() -> None:
    found = figures(taken(offset_s=0.004), is_heard_exactly=False)
    assert found["clock_offset_ms"] == pytest.approx(4.0)
    assert found["clock_sd_ms"] == pytest.approx(0.0, abs=1e-6)
    assert found["loop_sd_ms"] == pytest.approx(0.0, abs=1e-6)
    assert found["first_p50_ms"] == pytest.approx(0.1)


def test_jitter_is_told_as_it_comes_and_as_the_loop_leaves_it() -> None:
    draw = Random(1)
    played = piece(8)
    arrivals = [ORIGIN + n * played.tick_s + draw.gauss(0, 0.001) for n in range(played.ticks)]
    found = figures(taken(arrivals=arrivals, rounds=8), is_heard_exactly=False)
    assert found["clock_sd_ms"] == pytest.approx(1.0, rel=0.1)
    ratio, before, after = found["loop_ratio"], found["clock_sd_ms"], found["loop_sd_ms"]
    assert ratio is not None and before is not None and after is not None  # noqa: PT018
    assert ratio == pytest.approx(after / before)
    assert ratio < 0.3


def test_lateness_is_from_due_to_sent_and_the_first_note_from_the_line_to_sent() -> None:
    found = figures(taken(late_s=0.003), is_heard_exactly=False)
    assert found["late_p50_ms"] == found["late_max_ms"] == pytest.approx(3.0)
    assert (found["first_p50_ms"], found["firsts"]) == (pytest.approx(3.0), 2)
    assert found["received_p50_ms"] == pytest.approx(3.5)


def test_where_notes_go_out_by_frame_the_first_is_judged_where_it_is_received() -> None:
    found = figures(taken(late_s=0.003), is_heard_exactly=True)
    assert found["first_p50_ms"] == pytest.approx(3.5)


TICK_S = 60 / (120 * PPQN)


@given(st.sets(st.integers(1, 1999)), st.sets(st.integers(1, 1999)), st.integers(0, 5000))
def test_ticks_lost_and_doubled_move_no_other(
    lost: set[int], doubled: set[int], jitter_us: int
) -> None:
    draw = Random(jitter_us)
    there = set(range(2001)) - lost
    numbers = sorted([*there, *(there & doubled)])
    ticks = [ORIGIN + n * TICK_S + draw.uniform(0, jitter_us / 1e6) for n in numbers]
    found = arrivals(ticks, ORIGIN, TICK_S, 2001)
    if len(numbers) != 2001:  # else counting may do, where the first and the last are in place
        assert [arrival.number for arrival in found] == numbers


@given(st.lists(st.floats(0, 3 * TICK_S), min_size=96, max_size=200))
def test_where_no_tick_is_missing_they_are_counted_however_late_they_come(
    late_s: list[float],
) -> None:
    late_s = [*([0.0] * PPQN), *late_s, *([0.0] * PPQN)]
    ticks = [ORIGIN + n * TICK_S + late for n, late in enumerate(late_s)]
    found = arrivals(ticks, ORIGIN, TICK_S, len(ticks))
    assert [arrival.number for arrival in found] == list(range(len(ticks)))


def test_a_tick_lost_is_told_and_costs_the_loop_no_place() -> None:
    found = figures(taken(lose=500), is_heard_exactly=False)
    assert (found["ticks_lost"], found["ticks_doubled"], found["loop_slips"]) == (1, 0, 0)
    assert found["clock_p99_ms"] == pytest.approx(0.0, abs=1e-6)


def test_a_clock_that_ends_a_tick_off_is_told_from_one_that_is_late() -> None:
    whole = taken()
    early = [*whole.ticks[:300], whole.ticks[299], *whole.ticks[300:-1]]  # the last has not come
    found = figures(replace(whole, ticks=early), is_heard_exactly=False)
    assert (found["ticks_lost"], found["ticks_doubled"]) == (1, 1)


def test_satisfaction_is_of_all_steps_that_were_called_for() -> None:
    assert figures(taken(), is_heard_exactly=False)["satisfaction"] == 1.0
    assert figures(taken(missed=1), is_heard_exactly=False)["satisfaction"] == 0.75
    assert figures(taken(late=1), is_heard_exactly=False)["satisfaction"] == 1 - 1 / 128


def test_staleness_is_of_the_measures_answered() -> None:
    found = figures(taken(missed=1, stale=1), is_heard_exactly=False)
    assert found["staleness"] == pytest.approx(1 / 3)


def test_a_check_cut_short_is_judged_by_the_rounds_that_were_played() -> None:
    whole = taken(rounds=2)
    ticks = (LEAD_IN + 5) * 96  # one round, and a measure of the next
    cut = replace(
        whole,
        ticks=whole.ticks[:ticks],
        ticks_sent=ticks,
        due=whole.due[:1],
        sent=whole.sent[:1],
        received=whole.received[:1],
        after=replace(whole.after, measures_answered=2),
    )
    found = figures(cut, is_heard_exactly=False)
    assert (found["answers_wanted"], found["satisfaction"]) == (2, 1.0)


def test_of_nothing_recorded_nothing_is_told() -> None:
    empty = replace(
        taken(), ticks=[], ticks_sent=0, due=[], sent=[], received=[], source_late_ms=[]
    )
    found = figures(empty, is_heard_exactly=False)
    unknown = ("clock_sd_ms", "loop_sd_ms", "late_p99_ms", "first_p50_ms", "satisfaction")
    assert [found[name] for name in unknown] == [None] * len(unknown)


def test_costs_are_shares_of_the_time_between_two_looks() -> None:
    looks = [(10.0, 1.0, 5.0), (12.0, 1.02, 5.0), (20.0, 1.42, 6.6)]
    costs = [Cost(time, Usage(own, 50.0, 2.0), Usage(model)) for time, own, model in looks]
    found = cost_figures(costs)
    assert found["daemon_idle_percent"] == pytest.approx(1.0)
    assert found["daemon_percent"] == pytest.approx(5.0)
    assert found["model_percent"] == pytest.approx(20.0)
    assert (found["daemon_mb"], found["daemon_shared_mb"], found["model_mb"]) == (50.0, 2.0, None)


# What it makes of them.


def report(
    *changes: Figures,
    is_real_time: bool = True,
    is_exact: bool = False,
    ports_after_s: float | None = 0.3,
    label: str = "ports 'a' and 'b' (Jack)",
) -> Report:
    """A check of one tempo where all is well but for these figures; each is one more tempo."""
    well = figures(taken(), is_heard_exactly=False)
    columns = [
        (Setting(120.0 * (n + 1), is_real_time, is_exact), {**well, **change})
        for n, change in enumerate(changes or ({},))
    ]
    return Report(columns, label, "rtmidi", "default", "cpu", ports_after_s, 3.0, 0.5, 2)


def test_where_every_bar_is_met_it_is_on_time() -> None:
    assert report().is_fine
    assert verdict(report()) == [
        "On time here at 120 bpm: all 4 measures were answered, 99 of 100 notes went out within "
        "0.10 ms of their time."
    ]


@pytest.mark.parametrize(
    ("figure", "value", "words"),
    [
        ("ticks_lost", 3.0, "3 clocks were lost"),
        ("loop_sd_ms", 1.5, "pip install 'pianogen[jack]'"),
        ("late_p99_ms", 0.5, "close what keeps the processors busy"),
        ("first_p99_ms", 0.5, "answers begin up to 0.50 ms from the line"),
        ("satisfaction", 0.99, "--device cuda"),
        ("missed", 1.0, "measures were answered; the model"),
        ("staleness", 0.25, "25.0 % of the answers did not know what was played last"),
        ("dropped", 2.0, "2 notes were dropped"),
        ("unheard", 1.0, "1 notes were sent and never arrived"),
        ("left_sounding", 1.0, "must not be"),
    ],
)
def test_each_bar_not_met_is_named_with_what_to_change(
    figure: str, value: float, words: str
) -> None:
    found = report({figure: value})
    assert not found.is_fine
    first, *rest = verdict(found)
    assert first == "Not on time here at 120 bpm:"
    assert len(rest) == 1
    assert words in rest[0]


def test_without_real_time_priority_notes_may_be_later_and_the_advice_is_to_allow_it() -> None:
    assert report({"late_p99_ms": 0.5}, is_real_time=False).is_fine
    (_, advice) = verdict(report({"late_p99_ms": 1.5}, is_real_time=False))
    assert "rtprio" in advice


def test_where_notes_go_out_by_frame_they_may_be_handed_over_later_and_must_land_nearer() -> None:
    assert report({"late_p99_ms": 1.5}, is_exact=True).is_fine
    assert not report({"late_p99_ms": 2.5}, is_exact=True).is_fine
    assert not report({"first_p99_ms": 0.2}, is_exact=True).is_fine
    assert report({"first_p99_ms": 0.2}, is_exact=False).is_fine


def test_a_source_that_is_late_itself_comes_first() -> None:
    (_, first, _) = verdict(report({"source_p99_ms": 9.0, "late_p99_ms": 3.0}))
    assert "too busy" in first


def test_what_costs_too_much_is_told_and_is_on_time_all_the_same() -> None:
    found = report({"daemon_mb": 80.0, "daemon_idle_percent": 2.0}, ports_after_s=0.8)
    assert found.is_fine
    (_, ports, memory) = verdict(found)
    assert "ports were there after 0.80 s" in ports
    assert "memory, MB: 80.0" in memory


def test_nothing_answered_is_nothing_to_judge() -> None:
    found = report({"answered": 0.0})
    assert not found.is_fine
    assert verdict(found) == ["There is nothing to judge: no measure was answered."]


def test_one_tempo_that_fails_is_enough_and_is_marked_in_its_column() -> None:
    found = report({}, {"missed": 1.0, "satisfaction": 0.9})
    assert not found.is_fine
    assert verdict(found)[0] == "Not on time here at 240 bpm:"
    assert verdict(found)[-1].startswith("On time here at 120 bpm: all 4 measures")
    line = next(line for line in table(found).splitlines() if "input satisfaction" in line)
    assert line.split()[2:] == ["1.000", "ok", "0.900", "!!", "at", "least", "1"]


# The whole of it, through a pipe, as where there is no MIDI system.


def no_ports(*_: object) -> Any:
    raise PortError("there is no MIDI system")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("check") / "figures.json"
    arguments = ["--check", "--bpm", "300,400", "--measures", "4", "--json", str(path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.check.system_ports", no_ports)
        code = main([*arguments, "--model-factory", "tests.fakes:load_steady"])
    found: dict[str, Any] = json.loads(path.read_text())
    assert code == (0 if found["is_fine"] else 1)
    return found


def test_each_tempo_is_played_and_answered(checked: dict[str, Any]) -> None:
    assert [tempo["bpm"] for tempo in checked["tempi"]] == [300, 400]
    for tempo in checked["tempi"]:
        assert tempo["ticks"] == (LEAD_IN + 4 + 1) * 96
        assert tempo["answers_wanted"] == 2
        assert tempo["notes"] + tempo["dropped"] == 4 * tempo["answered"]
        assert (tempo["unheard"], tempo["left_sounding"], tempo["ticks_lost"]) == (0, 0, 0)


def test_everything_is_measured(checked: dict[str, Any]) -> None:
    for tempo in checked["tempi"]:
        unknown = {name for name, value in tempo.items() if value is None}
        assert unknown <= {"daemon_mb", "daemon_shared_mb", "model_mb", "model_percent", "xruns"}
        assert tempo["clock_sd_ms"] > 0
        assert tempo["response_p50_ms"] > 0


def test_the_tempi_of_a_check_are_read_from_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bpm", "60,120"]) == 2
    assert "--bpm with several tempi needs --check" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--check", "--bpm", "60,900"])


def test_a_check_takes_no_ports_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--in", "keys"]) == 2
    assert "--check has ports of its own" in capsys.readouterr().err
