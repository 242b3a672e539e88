"""Frozen values as plain lists, and back: what a log writes as JSON.

A dataclass is a list of its name and its fields in order, a tuple a list; a measure and bytes are
hexadecimal text, a preset its fields by name. Everything is read by the type that is expected, so
that only values of known shape are ever built. Knows nothing of what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from bridge.presets import Preset
from bridge.wire import pack_measure, unpack_measure
from pianogen.grid import Measure

Reader: TypeAlias = Callable[[Any], Any]

_AS_THEY_ARE = (float, int, str, bool, NoneType)
_WRITE: dict[type, Callable[[Any], Any]] = {
    Measure: lambda measure: pack_measure(measure).hex(),
    Preset: lambda preset: preset.model_dump(mode="json"),
    bytes: bytes.hex,
}


def plain(value: object) -> Any:
    """A value as JSON has it; floats stay what they are. Raises TypeError for an unknown kind."""
    kind: Any = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is tuple:
        return [plain(part) for part in value]  # type: ignore[attr-defined]
    if (write := _WRITE.get(kind)) is not None:
        return write(value)
    name, parts_of = _form(kind)
    return [name, *map(plain, parts_of(value))]


@cache
def _form(kind: Any) -> tuple[str, Callable[[object], tuple[object, ...]]]:
    """The name of a dataclass, and what takes one apart."""
    name = kind.__name__
    if not is_dataclass(kind):
        raise TypeError(f"a {name} cannot be written to a log")
    names = [field.name for field in fields(kind)]
    if not names:
        return name, lambda _: ()
    parts_of = attrgetter(*names)
    return name, parts_of if len(names) > 1 else lambda value: (parts_of(value),)


@cache
def reader(hint: Any) -> Reader:
    """What makes a value of a type from what `plain` made of it.

    It raises ValueError where that is something else. Raises TypeError for a type whose values
    cannot be written.
    """
    if hint in _AS_THEY_ARE:
        return _exactly(hint)
    if hint in _READ:
        return _READ[hint]
    if is_dataclass(hint):
        return _dataclass_reader(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _tuple_reader(parts)
    if origin is Literal:
        return _one_of(parts)
    if origin in (Union, UnionType):
        return _union_reader(parts)
    raise TypeError(f"values of type {hint} cannot be written to a log")


def _exactly(kind: Any) -> Reader:
    kinds = (float, int) if kind is float else (kind,)

    def read(data: Any) -> Any:
        if type(data) not in kinds:
            raise ValueError(f"{_short(data)} is not of type {kind.__name__}")
        return data

    return read


def _read_measure(data: Any) -> Measure:
    packed = _read_bytes(data)
    if len(packed) % 4 != 2:
        raise ValueError(f"{_short(data)} is no measure")
    return unpack_measure(packed)


def _read_bytes(data: Any) -> bytes:
    return bytes.fromhex(_exactly(str)(data))


_READ: dict[Any, Reader] = {
    Measure: _read_measure,
    Preset: Preset.model_validate,
    bytes: _read_bytes,
}


def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, those too that its file knows only to check types by."""
    return get_type_hints(kind, localns={"Preset": Preset})


def _dataclass_reader(kind: Any) -> Reader:
    hints, name = hints_of(kind), kind.__name__
    readers = [reader(hints[field.name]) for field in fields(kind)]

    def read(data: Any) -> Any:
        if type(data) is not list or len(data) != len(readers) + 1 or data[0] != name:
            raise ValueError(f"{_short(data)} is no {name} as this version has it")
        return kind(*[read_part(part) for read_part, part in zip(readers, data[1:], strict=True)])

    return read


def _tuple_reader(parts: tuple[Any, ...]) -> Reader:
    if len(parts) == 2 and parts[1] is ...:
        read_part = reader(parts[0])
        return lambda data: tuple(read_part(part) for part in _listed(data, None))
    readers = [reader(part) for part in parts]
    return lambda data: tuple(
        read_part(part) for read_part, part in zip(readers, _listed(data, len(parts)), strict=True)
    )


def _listed(data: Any, length: int | None) -> list[Any]:
    if type(data) is not list or length not in (None, len(data)):
        raise ValueError(f"{_short(data)} is no such list")
    return data


def _one_of(words: tuple[Any, ...]) -> Reader:
    def read(data: Any) -> Any:
        if data not in words:
            raise ValueError(f"{_short(data)} is none of {', '.join(map(str, words))}")
        return data

    return read


def _union_reader(parts: tuple[Any, ...]) -> Reader:
    """Each part is known by its name or, where it has none, by how it is written."""
    readers: dict[object, Reader] = {}
    for part in parts:
        for mark in _marks(part):
            if readers.setdefault(mark, reader(part)) is not reader(part):
                raise TypeError(f"what is written of {parts} cannot be told apart")

    def read(data: Any) -> Any:
        is_named = type(data) is list and data and type(data[0]) is str
        known = readers.get(data[0]) if is_named else None
        if known is None and (known := readers.get(type(data))) is None:
            raise ValueError(f"{_short(data)} is nothing that this version knows")
        return known(data)

    return read


def _marks(hint: Any) -> tuple[object, ...]:
    """What a value of a type is known by, once it is written."""
    if is_dataclass(hint) and hint is not Measure:
        return (getattr(hint, "__name__", None),)
    if hint in (Measure, bytes):
        return (str,)
    if hint is Preset:
        return (dict,)
    if get_origin(hint) is tuple:
        return (list,)
    if get_origin(hint) is Literal:
        return tuple({type(word) for word in get_args(hint)})
    return (float, int) if hint is float else (hint,)


def _short(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
