"""The menu of `pianogen` without arguments: asks, builds the command line, shows it, and runs it.

What it offers are the commands, so that who has used it a while needs it no more. Knows nothing of
what they do.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TypeAlias

from pianogen.commands.playing import MODELS
from pianogen.errors import PianogenError
from pianogen.family import FAMILIES

Run: TypeAlias = Callable[[Sequence[str]], int]
Check: TypeAlias = Callable[[str], str | None]  # why an answer will not do

LEAVE = "q"


@dataclass(frozen=True, slots=True)
class Question:
    """One part of a command line.

    option: the word before the answer; none: it stands by itself. default: what Enter means, in
    words; none: there must be an answer. check: why an answer will not do. option_of:
    the option where that hangs on the answer.
    """

    text: str
    option: str = ""
    default: str | None = None
    check: Check = lambda _: None
    option_of: Callable[[str], str] | None = None

    def words(self, answer: str) -> list[str]:
        """What an answer adds to the command line."""
        if not answer:
            return []
        option = self.option_of(answer) if self.option_of is not None else self.option
        return [option, answer] if option else [answer]


@dataclass(frozen=True, slots=True)
class Command:
    """An offer that is a command: its first words, and what is asked for the others."""

    text: str
    words: tuple[str, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """An offer that leads to others."""

    text: str
    offers: tuple[Command | Choice, ...]


def _a_file(answer: str) -> str | None:
    return None if Path(answer).is_file() else f"there is no file {answer}"


def _a_folder(answer: str) -> str | None:
    return None if Path(answer).is_dir() else f"there is no folder {answer}"


def _a_run(answer: str) -> str | None:
    is_run = (Path(answer) / "config.json").is_file()
    return None if is_run else f"there is no run in {answer}"


def _a_place(answer: str) -> str | None:
    folder = Path(answer).parent
    return None if folder.is_dir() else f"there is no folder {folder}"


def _a_count(answer: str) -> str | None:
    return None if answer.isdecimal() and int(answer) else "a whole number, 1 or more"


def _a_length(answer: str) -> str | None:
    with contextlib.suppress(ValueError):
        if 0 < float(answer) < inf:
            return None
    return "a number above 0"


def _a_meter(answer: str) -> str | None:
    from pianogen.grid import Meter

    try:
        Meter.parse(answer)
    except PianogenError as error:
        return str(error)
    return None


def _a_melody(answer: str) -> str | None:
    from pianogen.families.symbols import read

    try:
        read(answer)
    except PianogenError as error:
        return str(error)
    return None


def _one_of(*words: str) -> Check:
    return lambda answer: None if answer in words else f"one of {', '.join(words)}"


def _a_player(answer: str) -> str | None:
    path = Path(answer)
    is_there = path.is_file() or (path / "best.safetensors").is_file()
    known = f"one of {', '.join(FAMILIES)}, the folder of a run, or a checkpoint's file"
    return None if answer in FAMILIES or is_there else known


def _player_option(answer: str) -> str:
    """A family by its name, whatever lies here; else what was trained."""
    return "--family" if answer in FAMILIES else "--checkpoint"


DATA = Question("folder of prepared music", "--data", check=_a_folder)
WHO = Question(
    f"who plays: {', '.join(FAMILIES)}, or the folder of a run",
    default="hybrid", check=_a_player, option_of=_player_option,
)  # fmt: skip
MEASURES = Question("how many measures", "--measures", "4", check=_a_count)
METER = Question("meter", "--meter", "4/4", check=_a_meter)
SPLIT = Question(
    "which pieces: validation, test", "--split", "validation", check=_one_of("validation", "test")
)
WRITTEN = Question("MIDI file to write", check=_a_place)

MENU = Choice("pianogen", (
    Command("train a new model", ("train",), (
        Question(f"which family: {', '.join(FAMILIES)}", "--family", "hybrid",
                 check=_one_of(*FAMILIES)),
        DATA,
        Question("folder for the run", "--out", check=_a_place),
        Question("updates in all", "--steps", "the recipe's", check=_a_count),
    )),
    Command("go on training one", ("train", "--resume"), (
        Question("folder of the run", "--out", check=_a_run),
        DATA,
        Question("updates in all", "--steps", "as before", check=_a_count),
    )),
    Choice("use one", (
        Command("carry a MIDI file on", ("continue",), (
            Question("MIDI file to carry on", check=_a_file), WRITTEN, MEASURES, WHO,
        )),
        Command("make music from nothing", ("generate",), (
            WRITTEN,
            Question("how many seconds", "--seconds", "30", check=_a_length),
            METER,
            WHO,
        )),
        Command("carry a typed melody on", ("melody",), (
            Question("melody in sixteenths, such as 60 _ 62 _ 64 _ _ _ (_ holds, r rests)",
                     check=_a_melody),
            WRITTEN,
            Question(f"which model: {', '.join(MODELS)}", "--model", "the preset's",
                     check=_one_of(*MODELS)),
            MEASURES,
            METER,
        )),
        Command("evaluate one", ("evaluate",), (DATA, SPLIT, WHO)),
        Command("compare all", ("compare",), (
            DATA,
            SPLIT,
            Question("picture of the table to write (PNG)", "--picture", "none", check=_a_place),
        )),
    )),
))  # fmt: skip

MORE = Question(
    "more options, as on the command line", default="none", check=lambda text: _unreadable(text)
)


def offer(run: Run) -> int:
    """Ask and run until told to end; returns the exit code. Ctrl-C and Ctrl-D end it, too."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (lines can be edited, and Tab completes files)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while (command := _choose(MENU)) is not None:
            words = _asked(command)
            print(f"the same as: pianogen {shlex.join(words)}", flush=True)
            with contextlib.suppress(SystemExit):  # an option there is not: it has been said
                run(words)
        return 0
    print()
    return 0


def _choose(menu: Choice) -> Command | None:
    """The command that is wanted; None: none at all. One step back leads to the menu before."""
    while True:
        print(f"\n{menu.text}")
        for number, one in enumerate(menu.offers, 1):
            print(f"  {number}  {one.text}")
        print(f"  {LEAVE}  {'quit' if menu is MENU else 'back'}")
        chosen = _pick(menu.offers)
        if chosen is None or isinstance(chosen, Command):
            return chosen
        if (command := _choose(chosen)) is not None:
            return command


def _pick(offers: Sequence[Command | Choice]) -> Command | Choice | None:
    keys = [str(number) for number, _ in enumerate(offers, 1)]
    check = _one_of(*keys, LEAVE)
    key = _answer(Question("which", check=check))
    return None if key == LEAVE else offers[keys.index(key)]


def _asked(command: Command) -> list[str]:
    """The whole command line, by what is answered."""
    words = list(command.words)
    for question in command.questions:
        words += question.words(_answer(question))
    return words + shlex.split(_answer(MORE))


def _answer(question: Question) -> str:
    """What is typed, asked again until it will do; empty where Enter is enough."""
    usual = "" if question.default is None else f" [{question.default}]"
    while True:
        answer = _expanded(input(f"{question.text}{usual}: ").strip())
        reason = _wrong(question, answer)
        if reason is None:
            return answer
        print(f"  {reason}")


def _expanded(answer: str) -> str:
    """A path from the home folder in full, as a shell would have it."""
    with contextlib.suppress(RuntimeError):  # the home folder of somebody there is not
        return str(Path(answer).expanduser()) if answer.startswith("~") else answer
    return answer


def _wrong(question: Question, answer: str) -> str | None:
    if answer:
        return question.check(answer)
    return "an answer is needed" if question.default is None else None


def _unreadable(text: str) -> str | None:
    try:
        shlex.split(text)
    except ValueError as error:
        return f"cannot be read: {error}"
    return None
