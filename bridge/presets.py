"""Presets: what a player switches while playing, read from YAML and checked as a whole.

Knows nothing of who switches them, nor of the models their checkpoints hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from bridge.errors import PresetError
from bridge.yaml_lines import Entry, Plain, UnreadableError, place, read_table, short, shown
from pianogen.errors import ConfigError
from pianogen.keys import ALL_CLASSES, CHROMATIC, parse_scale
from pianogen.presets import (
    AUTO,
    HEARD,
    MOST_CANDIDATES,
    UNHURRIED_CANDIDATES,
    beside,
    find_presets,
    is_preset_file,
)
from pianogen.sampling import DENSEST, MOST_PENALTY, SPARSEST, Decoding, Sampling
from pianogen.shipped import DEFAULT, is_word, names, shipped_name

PlayMode: TypeAlias = Literal["answer", "continue", "duet", "off"]
Interruption: TypeAlias = Literal["yield", "finish", "overlap"]
Through: TypeAlias = Literal["off", "listening", "on"]
Pedalling: TypeAlias = Literal["none", "played"]

_MOST = {"most": MOST_CANDIDATES}


class Preset(BaseModel):
    """One way of answering. Frozen; every field has a range, unknown fields are errors.

    checkpoint is one in the package by its name (`default`, `chords`), or a .safetensors file,
    whose path is relative to the preset's.
    number is what the preset CC's value or the program change must be to choose it.
    Lengths in measures and beats (quarter notes); channel 1..16 as players count.
    density: how many notes, as a multiple of what the performer played lately.
    scale: the only one it plays in, such as `c minor`, or `heard`; `chromatic` for all notes.
    candidates: how many drafts of a measure are drawn at most, the best of which is played;
    `auto` is as many as are done in time.
    decoding: `sample` (drawn by the temperatures), `max` (always the likeliest), or `beam` (the
    likeliest of as many lines as there are candidates, where a family has lines: chords, melody).
    repetition_penalty: what a figure that was played before is the less likely by (the same two).
    mode: `answer` (call and response), `continue` (carries on from a hand-over until released),
    `duet` (plays along, each measure from what both played), `off` (only listens).
    on_interruption: what it does when the performer plays into its turn: `yield` (listens at
    once), `finish` (at the next measure line), `overlap` (plays to its end).
    thru: whether what the performer plays is sent on: `off`, `on`, `listening` (while no answer).
    pedal: `played` (the sustain pedal under notes that overlap) or `none`.
    velocity_follow: how far the answer's loudness is moved to the performer's, 0..1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    description: str = ""
    number: int = Field(ge=0, le=127)
    checkpoint: str = DEFAULT
    sha256: str | None = None

    temperature: float = Field(0.8, gt=0, le=4)
    velocity_temperature: float = Field(0.3, gt=0, le=4)
    rhythm_temperature: float = Field(0.5, gt=0, le=4)
    duration_temperature: float = Field(0.6, gt=0, le=4)
    min_p: float = Field(0.0, ge=0, lt=1)
    max_polyphony: int = Field(6, ge=1, le=32)
    low_pitch: int = Field(21, ge=0, le=127)
    high_pitch: int = Field(108, ge=0, le=127)
    density: float = Field(1.0, ge=SPARSEST, le=DENSEST)
    scale: str = CHROMATIC
    candidates: int | Literal["auto"] = AUTO
    decoding: Decoding = "sample"
    repetition_penalty: float = Field(1.0, ge=1, le=MOST_PENALTY)

    mode: PlayMode = "answer"
    on_interruption: Interruption = "yield"
    listen_measures: int = Field(4, ge=1, le=32)
    rest_beats: float = Field(1.5, gt=0, le=64)
    answer_measures: int | None = Field(None, ge=1, le=64)

    channel: int = Field(1, ge=1, le=16)
    octave_shift: int = Field(0, ge=-4, le=4)
    velocity_scale: float = Field(1.0, gt=0, le=4)
    velocity_follow: float = Field(0.0, ge=0, le=1)
    pedal: Pedalling = "none"
    thru: Through = "off"
    latency_ms: float = Field(0.0, ge=-200, le=500)
    late_limit_ms: float = Field(30.0, ge=1, le=1000)

    @field_validator("candidates", mode="before")
    @classmethod
    def _candidates_in_range(cls, value: object) -> object:
        if value == AUTO or (isinstance(value, int) and 1 <= value <= MOST_CANDIDATES):
            return value
        raise PydanticCustomError("candidates", "must be auto or 1 to {most}", _MOST)

    @field_validator("mode", "pedal", "thru", mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        """YAML reads `on` and `off` as truth values."""
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("scale")
    @classmethod
    def _scale_there_is(cls, value: str) -> str:
        try:
            if value != HEARD:
                parse_scale(value)
        except ConfigError as error:
            raise PydanticCustomError("scale", "{why}", {"why": str(error)}) from None
        return value

    @property
    def unhurried(self) -> Preset:
        """The preset where there is all the time in the world: `auto` is a fixed number."""
        if self.candidates != AUTO:
            return self
        return self.model_copy(update={"candidates": UNHURRIED_CANDIDATES})

    @property
    def sampling(self) -> Sampling:
        """The part of the preset that the model is asked with, as it stands: candidates: at most;
        in the scale that is heard: all pitch classes."""
        return Sampling(
            temperature=self.temperature,
            velocity_temperature=self.velocity_temperature,
            rhythm_temperature=self.rhythm_temperature,
            duration_temperature=self.duration_temperature,
            min_p=self.min_p,
            max_polyphony=self.max_polyphony,
            low_pitch=self.low_pitch,
            high_pitch=self.high_pitch,
            density=self.density,
            pitch_classes=ALL_CLASSES if self.scale == HEARD else parse_scale(self.scale),
            candidates=MOST_CANDIDATES if self.candidates == "auto" else self.candidates,
            decoding=self.decoding,
            repetition_penalty=self.repetition_penalty,
        )


@dataclass(frozen=True, slots=True)
class PresetFile:
    """A preset and where its fields were written (lines from 1)."""

    preset: Preset
    path: Path
    lines: dict[str, int]


def load_presets(folder: Path | None = None) -> tuple[Preset, ...]:
    """Every preset of a folder's YAML files, by number; raises PresetError with every fault."""
    return tuple(file.preset for file in load_preset_files(folder))


def load_preset_files(folder: Path | None = None) -> tuple[PresetFile, ...]:
    """As `load_presets`, each with the file it was read from."""
    files, faults = read_presets(folder)
    if faults:
        raise PresetError("\n".join(faults))
    return files


def read_presets(folder: Path | None = None) -> tuple[tuple[PresetFile, ...], list[str]]:
    """The presets of a folder's YAML files that can be used, by number, and every fault.

    The folder's map of controls is no preset. Raises PresetError where there are no files.
    """
    folder = find_presets() if folder is None else folder
    files = sorted(path for path in folder.glob("*.y*ml") if is_preset_file(path.name))
    if not files:
        raise PresetError(f"no presets in {shown(folder)}: put *.yaml files there")
    read = [read_preset_file(path) for path in files]
    faults = [fault for _, found in read for fault in found]
    kept = [file for file, _ in read if file is not None]
    faults += [fault for _, fault in clashes(kept)]
    return tuple(sorted(kept, key=lambda file: file.preset.number)), faults


def choose_preset(presets: tuple[Preset, ...], wanted: str) -> Preset:
    """The preset with this name or number; raises PresetError naming those there are."""
    for preset in presets:
        if wanted == preset.name or (wanted.isdecimal() and int(wanted) == preset.number):
            return preset
    known = ", ".join(f"{preset.number} {preset.name}" for preset in presets)
    raise PresetError(f"there is no preset {wanted!r}; there are: {known}")


def fault_of(field: str, value: object) -> str | None:
    """What is wrong with a value for a field of a preset, in words; None where nothing is."""
    try:
        Preset.model_validate({"name": "any", "number": 0, field: value})
    except ValidationError as error:
        return _in_words(field, error.errors(include_url=False)[0])
    return None


@dataclass(slots=True)
class _Fields:
    """The scalar fields of one file, as written, and the faults of their writing."""

    path: Path
    values: dict[str, Any]
    lines: dict[str, int]
    faults: list[str]

    def say(self, what: str, field: str | None = None) -> str:
        """One line: whose fault, what it is, in which file and line."""
        name = self.values.get("name")
        who = f"preset {name!r}" if isinstance(name, str) and name else "preset"
        return f"{who}: {what} ({place(self.path, self.lines.get(field or '', 1))})"


def read_preset_file(path: Path) -> tuple[PresetFile | None, list[str]]:
    """One file: its preset, or None and a line for every fault."""
    try:
        table = read_table(path, "a preset is a list of lines such as `temperature: 0.8`")
    except UnreadableError as error:
        return None, [str(error)]
    fields = _Fields(path, {}, {}, [])
    for again, first in table.twice():
        where = place(path, again.line)
        fields.faults.append(f"{again.key} is given twice, first in line {first.line} ({where})")
    for entry in table.entries:
        _take_field(fields, entry)
    return _validate(fields)


def _take_field(fields: _Fields, entry: Entry) -> None:
    if entry.key in fields.lines:
        return
    fields.lines[entry.key] = entry.line
    if isinstance(entry.value, Plain):
        fields.values[entry.key] = entry.value.value
    else:
        where = place(fields.path, entry.line)
        fields.faults.append(f"{entry.key} must be a single value ({where})")


def _validate(fields: _Fields) -> tuple[PresetFile | None, list[str]]:
    faults = list(fields.faults)
    unreadable = fields.lines.keys() - fields.values.keys()
    try:
        preset = Preset(**fields.values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            field = str(detail["loc"][0]) if detail["loc"] else ""
            if field not in unreadable:
                faults.append(fields.say(_in_words(field, detail), field))
        return None, faults + list(_cross_faults(fields))
    faults += _cross_faults(fields)
    if faults:
        return None, faults
    return PresetFile(_with_checkpoint(preset, fields.path), fields.path, fields.lines), []


def _in_words(field: str, detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx") or {}
    given = f"is {short(detail['input'])}"
    if detail["input"] != detail["input"]:
        return f"{field} must be a number, {given}"
    match detail["type"]:
        case "missing":
            return f"{field} is missing"
        case "extra_forbidden":
            near = get_close_matches(field, Preset.model_fields, n=1, cutoff=0.5)
            return f"there is no field {field!r}" + (f", did you mean {near[0]}?" if near else "")
        case "greater_than":
            return f"{field} must be greater than {context['gt']:g}, {given}"
        case "greater_than_equal":
            return f"{field} must be at least {context['ge']:g}, {given}"
        case "less_than_equal":
            return f"{field} must be at most {context['le']:g}, {given}"
        case "candidates":
            return f"{field} {detail['msg']}, {given}"
        case "literal_error":
            return f"{field} must be {context['expected'].replace(chr(39), '')}, {given}"
        case "scale":
            return f"{detail['msg']}; or '{HEARD}'"
        case "string_too_short":
            return f"{field} must not be empty"
        case kind if kind.startswith("int"):
            return f"{field} must be a whole number, {given}"
        case kind if kind.startswith("float"):
            return f"{field} must be a number, {given}"
        case kind if kind.startswith("string"):
            return f"{field} must be text, {given}"
        case _:
            return f"{field}: {detail['msg']}"


def _cross_faults(fields: _Fields) -> Iterator[str]:
    """What no field alone can tell: the range, truth values for numbers, the checkpoint."""
    values = fields.values
    low = values.get("low_pitch", Preset.model_fields["low_pitch"].default)
    high = values.get("high_pitch", Preset.model_fields["high_pitch"].default)
    if isinstance(low, int) and isinstance(high, int) and low > high:
        field = "low_pitch" if "low_pitch" in fields.lines else "high_pitch"
        yield fields.say(f"low_pitch must not be above high_pitch, is {low} above {high}", field)
    for field, value in values.items():
        if isinstance(value, bool) and field in Preset.model_fields and field not in _WORDS:
            yield fields.say(f"{field} must be a number, is {str(value).lower()}", field)
    checkpoint = values.get("checkpoint", DEFAULT)
    if isinstance(checkpoint, str) and shipped_name(checkpoint) is None:
        found = beside(fields.path, checkpoint)
        if not found.is_file():
            known = f"; in the package there are: {names()}" if is_word(checkpoint) else ""
            yield fields.say(f"there is no checkpoint {shown(found)}{known}", "checkpoint")


_WORDS = (
    "name", "description", "checkpoint", "sha256", "scale", "decoding", "mode", "pedal", "thru",
)  # fmt: skip


def _with_checkpoint(preset: Preset, path: Path) -> Preset:
    """One in the package by its one name; a path is relative to the preset's file."""
    found = shipped_name(preset.checkpoint)
    if found is None:
        found = str(beside(path, preset.checkpoint).resolve())
    return preset.model_copy(update={"checkpoint": found})


def clashes(entries: Sequence[PresetFile]) -> Iterator[tuple[PresetFile, str]]:
    """Each that has the number or the name of one before it, and in a line what and where."""
    for field in ("number", "name"):
        first: dict[object, PresetFile] = {}
        for entry in entries:
            value = getattr(entry.preset, field)
            other = first.setdefault(value, entry)
            if other is not entry:
                where = place(entry.path, entry.lines[field])
                there = place(other.path, other.lines[field])
                yield (
                    entry,
                    f"preset {entry.preset.name!r}: {field} {value!r} "
                    f"is already that of {other.preset.name!r} in {there} ({where})",
                )
