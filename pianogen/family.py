"""The model families by name, and where each one's parts are. Imports none of them until asked."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pianogen.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Family:
    """Where its parts are, as `module:name`.

    sizes: the configuration that rebuilds it. network: what is trained, a
    `families.trained.Trained`. voice: the function that makes a Continuation of (config, weights,
    device), without torch where the device is `cpu`.
    """

    sizes: str
    network: str
    voice: str


FAMILIES: Mapping[str, Family] = {
    "hybrid": Family(
        "pianogen.families.sizes:HybridConfig",
        "pianogen.families.hybrid:Hybrid",
        "pianogen.families.hybrid_player:load",
    ),
    "chords": Family(
        "pianogen.families.chord_frames:ChordsConfig",
        "pianogen.families.chords:Chords",
        "pianogen.families.chords_player:load",
    ),
    "melody": Family(
        "pianogen.families.symbols:MelodyConfig",
        "pianogen.families.melody:Melody",
        "pianogen.families.melody_player:load",
    ),
    "events": Family(
        "pianogen.families.note_by_note:EventsConfig",
        "pianogen.families.events:Events",
        "pianogen.families.cpu_streams:load_events",
    ),
    "notes": Family(
        "pianogen.families.note_by_note:NotesConfig",
        "pianogen.families.notes:NoteSequences",
        "pianogen.families.cpu_streams:load_notes",
    ),
}


def family(name: str) -> Family:
    """The family of this name; raises ConfigError, which lists them, where there is none."""
    if name not in FAMILIES:
        raise ConfigError(f"family {name!r} is not one of: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def part(place: str) -> Any:
    """What stands at a `module:name`."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
