"""What the terminal shows: a line a measure, or the roll, from what the daemon tells."""

from __future__ import annotations

from bridge.display import Lines, Roll, pitch_name
from bridge.status import Status
from pianogen.grid import Meter


def status(measure: int | None) -> Status:
    return Status(
        mode="listening",
        clock="midi",
        is_rolling=measure is not None,
        tempo=120.0,
        meter=Meter(),
        measure=measure,
        step=0,
        preset="default",
        play_mode="answer",
        sounding=(),
        is_model_ready=True,
        notes_heard=0,
        notes_sent=0,
        notes_dropped=0,
        late=0,
        plans_asked=0,
        plans_answered=0,
        plans_failed=0,
        plans_late=0,
        plan_lead_ms=0.0,
        candidates=0,
        measures_answered=0,
        measures_missed=0,
        measures_stale=0,
        ticks_lost=0,
    )


def test_pitches_have_names() -> None:
    assert [pitch_name(pitch) for pitch in (21, 60, 61)] == ["A0", "C4", "C#4"]


def test_each_measure_is_a_line_and_a_note_just_before_the_news_is_in_the_next() -> None:
    now = 0.0
    lines = Lines(lambda: now)
    told = []
    for time, what in [
        (0.0, status(1)),
        (0.1, ("note", "performer", 60, 70)),
        (0.2, ("note", "performer", 60, 0)),
        (1.98, ("note", "pianogen", 64, 70)),
        (2.0, status(2)),
        (2.1, status(2)),
        (2.2, ("line", "a word")),
        (4.0, status(None)),
    ]:
        now = time
        told.append(lines.take(what))  # type: ignore[arg-type]
    assert [line for line in told if line is not None] == [
        "measure   1  performer: C4  pianogen: -",
        "a word",
        "measure   2  performer: -  pianogen: E4",
    ]


def test_the_roll_shows_who_plays_what_and_where_the_music_is() -> None:
    roll = Roll()
    roll.status = status(7)
    roll.note("performer", 60, 70)
    roll.note("pianogen", 64, 70)
    roll.step()
    roll.note("performer", 60, 0)
    roll.step()
    text = roll.draw(80, 40)
    assert text.plain.splitlines()[-1] == "listening | measure 7 | 120 bpm | preset default"
    styles = {str(span.style) for span in text.spans}
    assert {"cyan", "magenta"} <= styles


def test_a_note_shorter_than_a_column_is_seen() -> None:
    roll = Roll()
    roll.note("performer", 60, 70)
    roll.note("performer", 60, 0)
    roll.step()
    assert any(str(span.style) == "cyan" for span in roll.draw(80, 40).spans)
