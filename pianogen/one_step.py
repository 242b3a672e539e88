"""True music read one step ahead by all who are asked, and the tables of what they made of it:
nats a note and the published figures, of everything, by corpus and by meter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pianogen.baselines import Hold, Repeat, Unigram
from pianogen.by_piece import Figures, Origin, Tally, origins
from pianogen.dataset import Batch
from pianogen.elements import by_repeat, by_unigram, element_sums, published, silent
from pianogen.families.hybrid import Hybrid
from pianogen.nats import nats_a_note
from pianogen.report import Breakdown, Figure, Part, Table
from pianogen.shards import Shard
from pianogen.teacher_forcing import read
from pianogen.windowed import Windowed

MODEL = "model"
ALL = "all parts"
NATS = {ALL: ALL, "pitch and timing": "pitch, timing", "velocity, weighted": "velocity",
        "duration": "duration"}  # fmt: skip
ELEMENTS = {"note accuracy": "note acc.", "rhythm alignment": "rhythm",
            "velocity MAE, notes": "velocity MAE", "onset F1": "onset F1"}  # fmt: skip
IMPOSSIBLE = (ALL, "pitch and timing", "  timing")  # to silence

NATS_NOTES = (
    "Negative log-likelihood of true music one step ahead; lower is better. Timing is whether an",
    "onset comes at each step, pitch which notes begin there and that no more do. Velocity counts",
    "each piece as training does, then those where it was recorded or edited by hand, then those",
    "where it follows printed dynamics; all parts have it weighted. Hold: as loud and as long as",
    "the note before. Silence holds every note to be impossible, and has no opinion on how it",
    "would sound. With 95 % intervals by bootstrap over pieces.",
)
ELEMENT_NOTES = (
    "One step ahead of true music. An onset is predicted where its chance is over 0.5, then the",
    "likeliest notes until the likeliest is to stop; what was struck before sounds on for its true",
    "length (silence: nothing sounds; hold: nothing begins). Accuracy and the first velocity error",
    "are over all elements of the (steps x 128) roll of what sounds: nearly all are silent, so all",
    "do well. Rhythm alignment: the likeliest number of steps to the next onset is the true one.",
    "Velocity errors are of 1, the full range. A velocity is predicted as its median.",
    "With 95 % intervals by bootstrap over pieces.",
)
PART_NOTES = ("In brackets: pieces. As above, with 95 % intervals by bootstrap over pieces.",)


@dataclass(frozen=True, slots=True)
class Baselines:
    """What knows nothing and what only repeats, fitted to the training split."""

    unigram: Unigram
    repeat: Repeat
    hold: Hold

    @classmethod
    def fit(cls, batches: Iterable[Batch]) -> Baselines:
        """Each under which the music is likeliest."""
        music = [Windowed.of(batch) for batch in batches]
        unigram = Unigram.fit(music)
        return cls(unigram, Repeat.fit(unigram, music), Hold.fit(unigram, music))


class Reading:
    """What has been made of the music so far: sums window by window, for each who was asked."""

    def __init__(self, network: Hybrid, shard: Shard, baselines: Baselines) -> None:
        self.network, self.shard, self.baselines = network, shard, baselines
        self.nats: dict[str, Tally] = {}
        self.elements: dict[str, Tally] = {}
        self.batches = 0

    def read(self, batch: Batch) -> None:
        """Ask all of one more batch."""
        music, unigram = Windowed.of(batch), self.baselines.unigram
        from_where = origins(self.shard, batch)
        sums, expected = read(self.network, batch.to(self.network.onset.weight.device), music)
        believed = {
            MODEL: sums,
            "hold": self.baselines.hold.nats(music),
            "repeat": self.baselines.repeat.nats(music),
            "unigram": unigram.nats(music),
        }
        predicted = {
            MODEL: expected,
            "silence": silent(music, holds=False),
            "hold": silent(music, holds=True),
            "repeat": by_repeat(music, unigram),
            "unigram": by_unigram(music, unigram),
        }
        for who, part in believed.items():
            self.nats.setdefault(who, Tally()).add(from_where, part)
        for who, prediction in predicted.items():
            part = element_sums(music, prediction)
            self.elements.setdefault(who, Tally()).add(from_where, part)
        self.batches += 1

    def counted(self) -> dict[str, int]:
        """Over how much the figures are."""
        tally = self.nats[MODEL]
        whole = tally.total()
        pieces = len({origin.group for origin in tally.origins})
        return {
            "batches": self.batches,
            "pieces": pieces,
            "steps": int(whole["steps"]),
            "notes": int(whole["notes"]),
        }

    def tables(self, seed: int) -> dict[str, Table | Breakdown]:
        """Everything that is to be said; the same seed gives the same intervals."""
        columns: dict[str, Mapping[str, Figure]] = {
            who: tally.estimates(nats_a_note, seed) for who, tally in self.nats.items()
        }
        columns["silence"] = {
            row: math.inf if row in IMPOSSIBLE else math.nan for row in columns[MODEL]
        }
        scores = {who: tally.estimates(published, seed) for who, tally in self.elements.items()}
        return {
            "nats": Table("Nats a note", columns, NATS_NOTES),
            "nats by corpus": self._by("corpus", seed),
            "nats by meter": self._by("meter", seed),
            "elements": Table("Element by element, as published", scores, ELEMENT_NOTES),
            "elements by corpus": self._elements_by_corpus(seed),
        }

    def _by(self, what: str, seed: int) -> Breakdown:
        parts = self._parts(what, self.nats, nats_a_note, seed)
        who = (MODEL, "repeat", "unigram")
        return Breakdown(f"Nats a note by {what}", parts, who, NATS, PART_NOTES)

    def _elements_by_corpus(self, seed: int) -> Breakdown:
        parts = self._parts("corpus", self.elements, published, seed)
        who = (MODEL, "hold", "repeat")
        return Breakdown("Element by element by corpus", parts, who, ELEMENTS, PART_NOTES)

    def _parts(
        self, what: str, tallies: Mapping[str, Tally], figures: Figures, seed: int
    ) -> dict[str, Part]:
        """Figures of each corpus, or meter."""

        def part(name: str, pieces: int) -> Part:
            def where(origin: Origin) -> bool:
                return bool(getattr(origin, what) == name)

            by = {who: tally.estimates(figures, seed, where) for who, tally in tallies.items()}
            return Part(pieces, by)

        return {name: part(name, pieces) for name, pieces in self._pieces(what).items()}

    def _pieces(self, what: str) -> dict[str, int]:
        """How many pieces there are of each corpus, or meter; most first."""
        pairs = {(getattr(o, what), o.group) for o in self.nats[MODEL].origins}
        counted = Counter(name for name, _ in pairs)
        return dict(sorted(counted.items(), key=lambda part: (-part[1], part[0])))
