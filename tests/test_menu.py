"""The menu: lines are typed, and commands come of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import pytest

from pianogen import cli
from pianogen.menu import offer

Typed = Callable[..., list[list[str]]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    """Types lines into a menu in a folder with some files; returns the commands that are run."""
    (tmp_path / "in.mid").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    (tmp_path / "run" / "best.safetensors").touch()
    monkeypatch.chdir(tmp_path)

    def type_(*lines: str, code: int = 0) -> list[list[str]]:
        ran: list[list[str]] = []

        def run(words: Sequence[str]) -> int:
            ran.append(list(words))
            return code

        left = iter(lines)
        monkeypatch.setattr("builtins.input", lambda _: _next(left))
        assert offer(run) == 0
        assert not list(left)
        return ran

    return type_


def _next(lines: Iterator[str]) -> str:
    """The next line; where there are no more, as Ctrl-D, or Ctrl-C for a line that says so."""
    line = next(lines, None)
    if line is None:
        raise EOFError
    if line == "^C":
        raise KeyboardInterrupt
    return line


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        (["1", "hybrid", "data", "new", "2000", ""],
         "train --family hybrid --data data --out new --steps 2000"),
        (["1", "", "data", "new", "", ""], "train --data data --out new"),
        (["2", "run", "data", "", ""], "train --resume --out run --data data"),
        (["3", "1", "in.mid", "out.mid", "8", "hybrid", ""],
         "continue in.mid out.mid --measures 8 --family hybrid"),
        (["3", "1", "in.mid", "out.mid", "", "", "--scale 'c minor' --density 0.5"],
         "continue in.mid out.mid --scale 'c minor' --density 0.5"),
        (["3", "1", "in.mid", "out.mid", "", "run", ""],
         "continue in.mid out.mid --checkpoint run"),
        (["3", "2", "out.mid", "7.5", "3/4", "", ""], "generate out.mid --seconds 7.5 --meter 3/4"),
        (["3", "3", "60 _ 62 _", "out.mid", "gru", "2", "", ""],
         "melody '60 _ 62 _' out.mid --model gru --measures 2"),
        (["3", "4", "data", "test", "hybrid", ""],
         "evaluate --data data --split test --family hybrid"),
        (["3", "5", "data", "", "table.png", ""], "compare --data data --picture table.png"),
    ],
)  # fmt: skip
def test_an_offer_is_a_command_and_is_told_before_it_is_run(
    typed: Typed, lines: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(*lines, "q") == [shlex.split(command)]
    assert f"the same as: pianogen {command}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (["0"], "one of 1, 2, 3, q"),
        (["use"], "one of 1, 2, 3, q"),
        ([""], "an answer is needed"),
        (["3", "1", "no.mid"], "there is no file no.mid"),
        (["3", "1", "in.mid", "nowhere/out.mid"], "there is no folder nowhere"),
        (["3", "1", "in.mid", "out.mid", "0"], "a whole number, 1 or more"),
        (["3", "1", "in.mid", "out.mid", "", "me"], "one of hybrid"),
        (["3", "1", "in.mid", "out.mid", "", "", "--scale 'c"], "cannot be read"),
        (["3", "2", "out.mid", "-1"], "a number above 0"),
        (["3", "2", "out.mid", "inf"], "a number above 0"),
        (["3", "1", "~nobody-is-called-so/in.mid"], "there is no file ~nobody"),
        (["3", "2", "out.mid", "", "4"], "meter"),
        (["3", "3", "60 _ x"], "'x'"),
        (["3", "4", "no"], "there is no folder no"),
        (["2", "data"], "there is no run in data"),
    ],
)
def test_what_will_not_do_is_told_in_a_line_and_asked_again(
    typed: Typed, lines: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(*lines) == []
    said = capsys.readouterr().out.splitlines()
    (line,) = [line for line in said if wrong in line]
    assert line.startswith("  ")


def test_every_command_that_is_offered_there_is(typed: Typed) -> None:
    lines = [
        ["1", "", "data", "new", "", ""],
        ["2", "run", "data", "", ""],
        ["3", "1", "in.mid", "out.mid", "", "", ""],
        ["3", "2", "out.mid", "", "", "", ""],
        ["3", "3", "60", "out.mid", "", "", "", ""],
        ["3", "4", "data", "", "", ""],
        ["3", "5", "data", "", "", ""],
    ]
    for words in typed(*chain(*lines), "q"):
        assert cli._parser().parse_args(words).command == words[0]


def test_after_a_command_it_is_there_again_whatever_became_of_it(typed: Typed) -> None:
    once = ["2", "run", "data", "", ""]
    assert len(typed(*once, *once, "q", code=2)) == 2


def test_an_option_that_there_is_not_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, typed: Typed, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["3", "1", "in.mid", "out.mid", "", "", "--louder", "q"])
    monkeypatch.setattr("builtins.input", lambda _: _next(lines))
    assert offer(cli._run) == 0
    assert "unrecognized arguments: --louder" in capsys.readouterr().err


@pytest.mark.parametrize("lines", [["q"], ["3", "q", "q"], ["3", "q", "1", "^C"], ["^C"], []])
def test_it_can_be_left_everywhere(typed: Typed, lines: list[str]) -> None:
    assert typed(*lines) == []


def test_a_path_from_the_home_folder_is_given_in_full(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ((*_, heard, _),) = typed("3", "1", "~/in.mid", "out.mid", "", "", "", "q")
    assert heard == str(tmp_path / "in.mid")


class Terminal:
    """Stands for stdin and stdout where somebody sits before them, or nobody."""

    def __init__(self, is_there: bool) -> None:
        self._is_there = is_there

    def isatty(self) -> bool:
        return self._is_there

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("is_there", [True, False])
def test_only_in_a_terminal_is_there_a_menu(
    is_there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or "q")
    monkeypatch.setattr(sys, "stdin", Terminal(is_there))
    monkeypatch.setattr(sys, "stdout", Terminal(is_there))
    assert cli.main([]) == (0 if is_there else cli.EXIT_ERROR)
    assert bool(asked) is is_there
    assert ("COMMAND" in capsys.readouterr().err) is not is_there
