"""Logs of simulated performances, and values of any type that a log can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from bridge.events import Ask, Event
from bridge.log_file import SUFFIX
from bridge.plain import hints_of
from bridge.presets import Preset
from bridge.session_log import LogPlace, kept_session
from bridge.simulation import Simulation
from bridge.status import Settings
from pianogen.grid import Measure, Meter, Note
from pianogen.sampling import Decoding, Sampling
from tests.stage import FOUR, preset


def logged(
    events: Iterable[Event],
    folder: Path,
    *,
    ask: Callable[[Ask], Measure | None] = lambda ask: FOUR,
    presets: Sequence[Preset] = (preset(),),
    delay: float = 0.0,
    until: float = 1000.0,
    **settings: Any,
) -> Path:
    """The log of a simulated performance."""
    before = set(folder.glob(f"*{SUFFIX}"))
    with kept_session(LogPlace(folder, "duo"), presets, Settings(**settings)) as session:
        Simulation(session, events, ask, delay=delay).run(until)
    (path,) = set(folder.glob(f"*{SUFFIX}")) - before
    return path


meters = st.sampled_from([Meter(), Meter(3, 4), Meter(6, 8)])
notes = st.builds(
    Note, st.integers(0, 23), st.integers(0, 127), st.integers(0, 31), st.integers(1, 255)
)
_KNOWN: dict[Any, st.SearchStrategy[Any]] = {
    float: st.floats(allow_nan=False),
    int: st.integers(-(2**40), 2**40),
    str: st.text(max_size=20),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    NoneType: st.none(),
    Meter: meters,
    Measure: st.builds(Measure, meters, st.lists(notes, max_size=8).map(tuple)),
    Sampling: st.builds(
        Sampling,
        st.floats(0.001, 4),
        candidates=st.integers(1, 256),
        decoding=st.sampled_from(get_args(Decoding)),
        repetition_penalty=st.floats(1, 4),
    ),
    Preset: st.builds(preset, st.integers(0, 127), temperature=st.floats(0.001, 4)),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Anything of a type; a type that is not known here is an error."""
    if hint in _KNOWN:
        return _KNOWN[hint]
    if is_dataclass(hint):
        hints = hints_of(hint)
        return st.builds(hint, **{f.name: values_of(hints[f.name]) for f in fields(hint)})  # type: ignore[arg-type]
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, parts))
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is tuple and parts[1:] == (...,):
        return st.lists(values_of(parts[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, parts))
    raise TypeError(f"values of {hint} are not known here")
