"""Maps of controls: what is right is read, what is wrong is told in one line each, all at once."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cli import main
from bridge.control_map import (
    CONTROLS,
    DEFAULT_BINDINGS,
    FITS,
    HOLDS,
    VALUES,
    Binding,
    Kind,
    Source,
    Value,
    is_shared,
    sort_of,
)
from bridge.controls_file import ControlsFile, find_controls, read_controls
from bridge.controls_text import ABOUT, controls_text
from bridge.errors import ControlsError
from bridge.presets import fault_of, load_presets
from bridge.state_out import Light, StateOut
from pianogen.grid import Meter
from pianogen.midi_file import TimedNote, Track, write_midi

SHIPPED = Path(__file__).parent.parent / "presets" / "controls.yaml"
PRESET = "name: good\nnumber: 1\ndescription: Fine.\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "controls.yaml"


def read(file: Path, text: str) -> dict[str, list[Binding]]:
    """The bindings a text makes, by control."""
    file.write_text(text)
    found: dict[str, list[Binding]] = {}
    for binding in read_controls(file).bindings:
        found.setdefault(binding.control, []).append(binding)
    return found


def faults(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(ControlsError) as caught:
        read_controls(file)
    return str(caught.value).replace(f"{file.parent}/", "").splitlines()


# What is read.


def test_a_knob_has_a_range_and_a_curve(file: Path) -> None:
    found = read(file, "temperature: {cc: 70, range: [0.5, 1.5], curve: linear}")
    value = Value("temperature", 0.5, 1.5, "linear")
    assert found["temperature"] == [Binding("temperature", Source("cc", 70), value)]


def test_range_and_curve_are_the_usual_ones_unless_given(file: Path) -> None:
    found = read(file, "temperature: {cc: 70}\npolyphony: {cc14: 16, range: [8, 2]}")
    assert found["temperature"][0].value == VALUES["temperature"]
    polyphony = Binding(
        "polyphony", Source("cc14", 16), Value("max_polyphony", 8, 2, is_whole=True)
    )
    assert found["polyphony"] == [polyphony]


def test_channels_count_from_one_and_what_lasts_may_toggle(file: Path) -> None:
    found = read(file, "freeze: {note: 36, channel: 10, as: toggle}\nhand_over: {cc: 66, as: hold}")
    assert found["freeze"] == [Binding("freeze", Source("note", 36, 9), is_toggle=True)]
    assert found["hand_over"] == [Binding("hand_over", Source("cc", 66))]


def test_several_sources_are_a_list(file: Path) -> None:
    found = read(file, "preset:\n  - {cc: 19}\n  - {program: any, channel: 2}\n")
    sources = [binding.source for binding in found["preset"]]
    assert sources == [Source("cc", 19), Source("program", None, 1)]


def test_none_lets_go_and_what_is_not_named_keeps_its_default(file: Path) -> None:
    file.write_text("panic: none\nrepeat: []\n")
    rest = {b for b in DEFAULT_BINDINGS if b.control not in ("panic", "repeat")}
    assert set(read_controls(file).bindings) == rest


def test_what_one_lets_go_another_may_have(file: Path) -> None:
    found = read(file, "mode: none\ntemperature: {cc: 21}\n")
    assert found["temperature"][0].source == Source("cc", 21)
    assert "mode" not in found


def test_a_pedal_is_taken_where_its_channel_is_named(file: Path) -> None:
    found = read(file, "hand_over: {cc: 64, channel: 2}")
    assert found["hand_over"][0].source == Source("cc", 64, 1)


def test_the_map_that_is_shipped_says_the_defaults(file: Path) -> None:
    assert set(read_controls(SHIPPED).bindings) == set(DEFAULT_BINDINGS)
    assert SHIPPED.read_text() == controls_text(DEFAULT_BINDINGS)
    assert set(ABOUT) == set(CONTROLS)


# What is refused.


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("temprature: {cc: 1}", "temprature: there is no such control, did you mean temperature?"),
        ("panic: 3", "panic: must be what moves it, such as {cc: 23}, or none"),
        ("panic:", "panic: must be what moves it, such as {cc: 23}, or none"),
        ("panic: {}", "panic: needs one of cc, cc14, note or program, has none of them"),
        ("panic: {cc: 3, note: 4}", "panic: needs one of cc, cc14, note or program, has cc and no"),
        ("panic: {cc: 3, cc: 4}", "panic: cc is given twice"),
        ("panic: {cc: -1}", "panic: cc must be a whole number from 0 to 119, is -1"),
        ("panic: {cc: yes}", "panic: cc must be a whole number from 0 to 119, is True"),
        ("panic: {cc: [3]}", "panic: cc must be a whole number from 0 to 119, is no single value"),
        (
            "panic: {cc: 123}",
            "panic: cc must be a whole number from 0 to 119, is 123: from 120 on they are all "
            "notes off and the like, which DAWs send by themselves",
        ),
        ("temperature: {cc14: 32}", "temperature: cc14 must be a whole number from 0 to 31, is 32"),
        ("panic: {note: 128}", "panic: note must be a whole number from 0 to 127, is 128"),
        ("panic: {note: any}", "panic: note must be a whole number from 0 to 127, is 'any'"),
        ("preset: {program: 1.5}", "preset: program must be a whole number from 0 to 127, is 1.5"),
        ("panic: {cc: 3, channel: 0}", "panic: channel must be a whole number from 1 to 16, is 0"),
        ("panic: {cc: 3, chanel: 1}", "panic: there is no 'chanel' here, did you mean channel?"),
        (
            "hand_over: {cc: 64}",
            "hand_over: cc 64 is the sustain pedal of who plays: to take one all the same, "
            "name its channel",
        ),
        ("temperature: {note: 3}", "temperature: a key does not turn a value: say cc or cc14"),
        (
            "mode: {program: any}",
            "mode: a program change does not turn a value: say cc or cc14",
        ),
        ("preset: {note: 3}", "preset: a key does not tell which preset: say cc or program"),
        ("panic: {cc14: 3}", "panic: a 14-bit pair is for what turns a value: say cc"),
        (
            "temperature: {cc: 3, range: [0.5, 9]}",
            "temperature: range: temperature must be at most 4, is 9",
        ),
        (
            "temperature: {cc: 3, range: [0, 2]}",
            "temperature: range: temperature must be greater than 0, is 0",
        ),
        (
            "polyphony: {cc: 3, range: [1.5, 4]}",
            "polyphony: range: max_polyphony must be a whole number, is 1.5",
        ),
        (
            "temperature: {cc: 3, range: [.nan, 1]}",
            "temperature: range: temperature must be a number, is nan",
        ),
        (
            "temperature: {cc: 3, range: [1, 2, 3]}",
            "temperature: range must be two numbers, such as [0.3, 2.0]",
        ),
        (
            "temperature: {cc: 3, range: [low, yes]}",
            "temperature: range must be two numbers, such as [0.3, 2.0]",
        ),
        (
            "temperature: {cc: 3, range: 1}",
            "temperature: range must be two numbers, such as [0.3, 2.0]",
        ),
        (
            "temperature: {cc: 3, range: [1, 1]}",
            "temperature: range must go from one value to another, stays at 1",
        ),
        (
            "low_pitch: {cc: 3, curve: log}",
            "low_pitch: a log curve needs a range above 0, has [0, 127]: say `curve: linear`",
        ),
        ("low_pitch: {cc: 3, curve: s}", "low_pitch: curve must be linear or log, is 's'"),
        ("mode: {cc: 3, range: [1, 2]}", "mode: range is for what is turned in numbers"),
        ("panic: {cc: 3, curve: log}", "panic: curve is for what is turned in numbers"),
        ("panic: {cc: 3, as: toggle}", "panic: as is for what lasts (hand_over, freeze"),
        ("freeze: {cc: 3, as: togle}", "freeze: as must be hold or toggle, is 'togle'"),
        (
            "freeze: {program: 3}",
            "freeze: a program change has no release: say `as: toggle`",
        ),
        (
            "freeze: {program: 3, as: hold}",
            "freeze: a program change has no release: say `as: toggle`",
        ),
        (
            "temperature: {cc: 20}",
            "temperature: CC 20 moves preset by default: give preset another, or none",
        ),
        ("panic: [{cc: 3}, {cc: 3}]", "panic: CC 3 moves panic already, in line 2"),
    ],
)
def test_a_fault_says_which_control_what_and_where(file: Path, text: str, fault: str) -> None:
    (line,) = faults(file, f"# mine\n{text}\n")
    assert line.startswith(fault)
    assert line.endswith(" (controls.yaml, line 2)")


def test_what_two_controls_would_hear_is_told_with_both_lines(file: Path) -> None:
    text = "low_pitch: {cc14: 16}\npanic: {note: 36}\nmode:\n  {cc: 48, channel: 3}\n"
    assert faults(file, text) == [
        "mode: CC 48 on channel 3 moves low_pitch already, in line 1 (controls.yaml, line 4)"
    ]
    assert faults(file, "preset: {program: any}\npanic: {program: 7}\n") == [
        "panic: program 7 moves preset already, in line 1 (controls.yaml, line 2)"
    ]


def test_every_fault_is_told_in_the_order_of_the_lines(file: Path) -> None:
    told = faults(file, "panic: {cc: 3}\npanic: {cc: 4, as: hold}\nmode: {cc: 3, cc14: 5}\n")
    assert told == [
        "panic: as is for what lasts (" + ", ".join(HOLDS) + ") (controls.yaml, line 2)",
        "panic: is given twice, first in line 1 (controls.yaml, line 2)",
        "mode: needs one of cc, cc14, note or program, has cc and cc14 (controls.yaml, line 3)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "panic: [",
        "panic: !!python/object:os.system {}",
        "panic: {cc: !!python/object:os.system x}",
        "panic: &a [*a]",
        "panic: " + "[" * 5000,
        "\x00",
    ],
)
def test_what_is_no_map_is_at_most_a_line_each(file: Path, text: str) -> None:
    assert 1 <= len(faults(file, text)) <= 2


def test_a_few_lines_cannot_mean_more_than_they_are(file: Path) -> None:
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 6))
    (line,) = faults(file, "l0: &l0 [3]\n" + laughs)
    assert line == (
        "not valid YAML: a list or table is meant twice: write it out (controls.yaml, line 1)"
    )


def test_a_file_that_is_too_long_is_not_read(file: Path) -> None:
    (line,) = faults(file, "panic: none\n" + "#" * 70_000)
    assert "70012 bytes is too long" in line


def test_a_map_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(ControlsError, match="No such file"):
        read_controls(file)


# What is told to lights.


LIGHTS = "state: {mode: {cc: 112, channel: 16}, preset: {note: 36}, progress: none}\n"


def test_lights_are_told_what_the_file_says_and_nothing_without_it(file: Path) -> None:
    file.write_text("panic: none\n")
    assert read_controls(file).state_out == StateOut()
    file.write_text(LIGHTS)
    told = StateOut(mode=Light("cc", 112, 15), preset=Light("note", 36, 0))
    assert read_controls(file) == ControlsFile(DEFAULT_BINDINGS, told)
    file.write_text(controls_text(DEFAULT_BINDINGS, told))
    assert read_controls(file).state_out == told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state: 3", "must be what is told where"),
        ("state: {mood: {cc: 1}}", "there is no 'mood' here, did you mean mode?"),
        ("state: {mode: 112}", "mode must be where it is told"),
        ("state: {mode: {cc: 120}}", "cc must be a whole number from 0 to 119, is 120"),
        ("state: {mode: {cc: 64}}", "cc 64 is the sustain pedal"),
        ("state: {mode: {cc: 1, note: 2}}", "mode needs one of cc or note"),
        ("state: {mode: {channel: 2}}", "mode needs one of cc or note"),
        ("state: {mode: {cc: 1, canal: 2}}", "there is no 'canal' here, did you mean channel?"),
        ("state: {mode: {cc: 1, channel: 17}}", "channel must be a whole number from 1 to 16"),
        ("state: {mode: {cc: 1}, mode: {cc: 2}}", "mode is given twice, first in line 1"),
        ("state: {mode: {cc: 1}, preset: {cc: 1}}", "two of them are told in one place"),
        ("stat: {mode: {cc: 1}}", "there is no such control, did you mean state?"),
    ],
)
def test_what_cannot_be_told_to_lights_is_refused(file: Path, text: str, expected: str) -> None:
    (line, *_) = faults(file, f"{text}\n")
    assert expected in line
    assert line.endswith("(controls.yaml, line 1)")


@settings(max_examples=300)
@given(st.text(st.sampled_from("preset:panic{}[],cc1420 \n#&*!-none"), max_size=60) | st.text())
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "controls.yaml"
        path.write_text(text, encoding="utf-8", errors="replace")
        with contextlib.suppress(ControlsError):
            assert read_controls(path)


# There and back.


@st.composite
def maps(draw: st.DrawFn) -> tuple[Binding, ...]:
    """Any map of controls that there can be."""
    bindings: list[Binding] = []
    for control in CONTROLS:
        for _ in range(draw(st.integers(0, 2))):
            binding = draw(some_binding(control))
            if not any(is_shared(binding.source, b.source) for b in bindings):
                bindings.append(binding)
    return tuple(bindings)


@st.composite
def some_binding(draw: st.DrawFn, control: str) -> Binding:
    kind: Kind = draw(st.sampled_from(FITS[sort_of(control)]))
    numbers = {"cc": st.integers(65, 119), "cc14": st.integers(0, 31)}
    number = draw(numbers.get(kind, st.integers(0, 127)))
    source = Source(kind, number, draw(st.none() | st.integers(0, 15)))
    value = VALUES.get(control)
    if isinstance(value, Value):
        low = value.low
        if not value.is_whole:
            least = value.low if fault_of(value.field, 0.05) else 1e-9
            low = draw(st.floats(least, least + 0.04))  # below the other end
        low, high = draw(st.permutations([low, value.high]))
        value = Value(value.field, low, high, value.curve, value.is_whole)
    is_toggle = control in HOLDS and (kind == "program" or draw(st.booleans()))
    return Binding(control, source, value, is_toggle)


@settings(max_examples=50)
@given(maps())
def test_what_is_written_is_read_again(bindings: tuple[Binding, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "controls.yaml"
        path.write_text(controls_text(bindings))
        assert set(read_controls(path).bindings) == set(bindings)


# Where it is found, and --validate.


def test_a_map_is_found_by_name_or_beside_the_presets(tmp_path: Path) -> None:
    assert find_controls(tmp_path) is None
    assert find_controls(tmp_path, Path("mine.yaml")) == Path("mine.yaml")
    (tmp_path / "controls.yaml").touch()
    assert find_controls(tmp_path) == tmp_path / "controls.yaml"
    assert find_controls() == SHIPPED


def test_a_map_beside_presets_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(PRESET)
    (tmp_path / "controls.yaml").write_text("panic: none\n")
    assert [preset.name for preset in load_presets(tmp_path)] == ["good"]


def validated(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    code = main(["--validate", "--presets", str(folder), *more])
    told = capsys.readouterr()
    return code, told.out, told.err.replace(f"{folder}/", "")


def test_a_folder_that_can_be_used_is_told_a_line_a_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.yaml").write_text(PRESET)
    (tmp_path / "duo.yaml").write_text("name: duo\nnumber: 12\nmode: duet\n")
    assert validated(tmp_path, capsys) == (
        0,
        "  1  good  answer    Fine.\n 12  duo   duet\n",
        "",
    )
    (tmp_path / "controls.yaml").write_text("panic: none\nmode: {cc: 3}\n")
    code, out, err = validated(tmp_path, capsys)
    assert (code, err) == (0, "")
    of = f"{len(CONTROLS) - 1} of {len(CONTROLS)} controls, nothing moves panic"
    assert out.splitlines()[-1].endswith(f"controls.yaml: {of}")


def test_every_fault_of_presets_and_map_is_told_and_what_is_good_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.yaml").write_text(PRESET)
    (tmp_path / "bad.yaml").write_text("name: bad\nnumber: 2\ntemperature: 0\nchannel: 17\n")
    (tmp_path / "controls.yaml").write_text("panik: none\n")
    code, out, err = validated(tmp_path, capsys)
    assert (code, out) == (2, "  1  good  answer    Fine.\n")
    assert err.splitlines() == [
        "pianogen-bridge: error: preset 'bad': temperature must be greater than 0, is 0 "
        "(bad.yaml, line 3)",
        "pianogen-bridge: error: preset 'bad': channel must be at most 16, is 17 "
        "(bad.yaml, line 4)",
        "pianogen-bridge: error: panik: there is no such control, did you mean panic? "
        "(controls.yaml, line 1)",
    ]


def test_a_folder_without_presets_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = validated(tmp_path, capsys, "--controls", str(SHIPPED))
    assert (code, out.count("\n")) == (2, 1)
    assert "no presets in" in err


def test_what_ships_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--validate"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(load_presets()) + 1


def test_a_bad_map_keeps_the_command_from_playing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("panic: {cc: 200}\n")
    assert main(["--demo", "--controls", str(tmp_path / "mine.yaml")]) == 2
    assert "cc must be a whole number from 0 to 119, is 200" in capsys.readouterr().err


def test_the_map_reaches_who_plays(tmp_path: Path) -> None:
    keys = range(60, 66)
    notes = tuple(TimedNote((n % 60) * 0.6, (n % 60) * 0.6 + 0.5, n, 70) for n in keys)
    write_midi(tmp_path / "piece.mid", (Track("piano", notes),), 100.0, Meter())
    sources = ", ".join(f"{{note: {key}}}" for key in keys)
    (tmp_path / "mine.yaml").write_text(f"panic: [{sources}]\n")
    play = ["--perform", str(tmp_path / "piece.mid"), "--fast"]
    play += ["--model-factory", "tests.fakes:load"]
    assert main(play) == 0
    assert main([*play, "--controls", str(tmp_path / "mine.yaml")]) == 1  # no key was music


def test_the_map_in_the_readme_can_be_read(file: Path) -> None:
    readme = (SHIPPED.parent.parent / "README.md").read_text()
    text = readme.split("```yaml\n")[1].split("```")[0]
    found = read(file, text)
    assert "repeat" not in found
    assert found["freeze"] == [Binding("freeze", Source("note", 36, 9), is_toggle=True)]
