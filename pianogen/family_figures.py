"""What a family's own network makes of true music one step ahead: every term that its training
counts, on held-out music and on as much of what it was trained on.

Terms are what the family says they are (`families.trained.Trained`): nats, errors, shares that
were right, and what a trivial rule scores on the same notes. Each is a mean over a split, with an
interval over pieces.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pianogen.by_piece import Tally, mean_of, origins
from pianogen.comparison import Context
from pianogen.dataset import Batch
from pianogen.families.trained import Trained
from pianogen.family import part
from pianogen.nats import Sums, ratio
from pianogen.report import WIDTH, Figure, Table
from pianogen.shards import Shard
from pianogen.windowed import Floats

# A family whose notes are brought into something coarser -> what is left of them, as shares.
ROUND_TRIPS = {"chords": "pianogen.families.chord_frames:round_trip"}
OF = " of"  # after a term's name: over how many things it is
TERM_NOTES = (
    "True music one step ahead: the terms that training counts, each a mean over what it is of; "
    "loss is {loss}. In training: as many batches, unvaried, of the music it has learned from. "
    "With 95 % intervals by bootstrap over pieces."
)
ROUND_TRIP_NOTES = (
    "Shares of the notes of the contexts and what really follows that are still there once they",
    "were brought into the family's form and back, with 95 % intervals by bootstrap over pieces.",
)


class FamilyReading:
    """What a network has made of some music so far, piece by piece."""

    def __init__(self, network: Trained, shard: Shard) -> None:
        self.network, self.shard = network, shard
        self.tally, self.batches, self.steps, self.notes = Tally(), 0, 0, 0

    @torch.inference_mode()
    def read(self, batch: Batch) -> None:
        """Read one more batch of windows, those of each piece by themselves."""
        from_where = origins(self.shard, batch)
        groups = np.array([origin.group for origin in from_where])
        device = next(self.network.parameters()).device
        for group in dict.fromkeys(groups.tolist()):
            mine = batch.chosen(torch.from_numpy(groups == group)).to(device)
            if not len(mine.notes.key):
                continue  # windows of nothing at all, which no batch of training is
            losses = self.network.losses(mine.notes, mine.velocity_weight)
            sums = {}
            for name in self.network.FIGURES:
                sums[name] = np.array([float(losses[name].total)])
                sums[name + OF] = np.array([float(losses[name].count)])
            self.tally.add([from_where[groups.tolist().index(group)]], sums)
        self.batches += 1
        self.steps += batch.notes.windows * batch.notes.length
        self.notes += len(batch.notes.key)

    def read_all(self, batches: Iterable[Batch]) -> FamilyReading:
        """Read some batches; the same afterwards."""
        torch.manual_seed(0)  # for networks that draw
        for batch in batches:
            self.read(batch)
        return self

    def counted(self) -> dict[str, int]:
        """Over how much the figures are."""
        pieces = len({origin.group for origin in self.tally.origins})
        return {"batches": self.batches, "pieces": pieces, "steps": self.steps, "notes": self.notes}

    def figures(self, seed: int) -> Mapping[str, Figure]:
        """The loss, its terms and what is derived from them, by name."""
        return self.tally.estimates(lambda sums: _figures(self.network, sums), seed)


def _figures(network: Trained, sums: Sums) -> dict[str, Floats]:
    terms = {name: ratio(sums[name], sums[name + OF]) for name in network.FIGURES}
    loss = sum(weight * terms[name] for name, weight in network.WEIGHTS.items())
    whole = {"loss": np.asarray(loss), **terms}
    derived = _each(network.derived, whole)
    return {name.replace("_", " "): values for name, values in (whole | derived).items()}


def _each(
    derive: Callable[[Mapping[str, float]], Mapping[str, float]], figures: Mapping[str, Floats]
) -> dict[str, Floats]:
    """What is derived from figures, entry by entry."""
    shape = next(iter(figures.values())).shape
    entries = zip(*(values.ravel().tolist() for values in figures.values()), strict=True)
    made = [derive(dict(zip(figures, entry, strict=True))) for entry in entries]
    return {
        name: np.array([one[name] for one in made]).reshape(shape) for name in (made or [{}])[0]
    }


def one_step_ahead(held_out: FamilyReading, training: FamilyReading, seed: int) -> Table:
    """Both splits' figures side by side."""
    weights = held_out.network.WEIGHTS
    loss = " + ".join(f"{weight:g} {name.replace('_', ' ')}" for name, weight in weights.items())
    notes = textwrap.wrap(TERM_NOTES.format(loss=loss), WIDTH - 16)
    columns = {"held out": held_out.figures(seed), "in training": training.figures(seed)}
    return Table("One step ahead", columns, notes)


def round_trip(
    family: str, config: Mapping[str, Any], places: Sequence[Context], seed: int
) -> dict[str, Table]:
    """What is left of the music where a family plays something coarser than notes; else nothing."""
    if family not in ROUND_TRIPS:
        return {}
    shares = part(ROUND_TRIPS[family])
    rows = [shares((*place.heard, *place.real), config["frame"]) for place in places]
    groups = [place.piece.group for place in places]
    column = {name: mean_of([row[name] for row in rows], groups, seed) for name in rows[0]}
    return {"round trip": Table("Round trip", {"real music": column}, ROUND_TRIP_NOTES)}
