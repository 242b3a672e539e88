"""Small music for tests: random but repeatable measures, and a tiny network to play them."""

from __future__ import annotations

from random import Random

import torch

from pianogen.families.hybrid import Hybrid, HybridConfig
from pianogen.families.notes import Notes, key_of
from pianogen.grid import Measure, Meter, Note

torch.set_num_threads(1)  # as live; two threads only wait for each other

TINY = HybridConfig(
    conv=16, onset_branch=8, hidden=32, heads=2, window=2, channels=8, width=13, touch=16
)


def tiny_hybrid(seed: int = 0) -> Hybrid:
    """A small untrained network in evaluation mode, its weights far enough from 0 to matter."""
    torch.manual_seed(seed)
    network = Hybrid(TINY).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return network


def random_measures(count: int, seed: int = 0, meter: Meter | None = None) -> list[Measure]:
    """Measures of up to three notes a step, none of which sounds into its own next onset."""
    meter = meter or Meter()
    random = Random(seed)
    sounding: dict[int, int] = {}  # pitch -> its end, in steps from the beginning
    measures = []
    for number in range(count):
        notes = []
        for step in range(meter.steps):
            now = number * meter.steps + step
            for _ in range(random.choice((0, 0, 0, 1, 2, 3))):
                pitch = random.randint(30, 100)
                if sounding.get(pitch, 0) <= now:
                    length = random.choice((1, 2, 4, 6, 16, 40))
                    sounding[pitch] = now + length
                    notes.append(Note(step, pitch, random.randint(0, 31), length))
        measures.append(Measure(meter, tuple(notes)))
    return measures


def as_window(measures: list[Measure]) -> Notes:
    """The measures as one training window."""
    steps = measures[0].meter.steps
    rows = [
        (number * steps + note.onset, key_of(note.pitch), note.velocity_bin, note.duration)
        for number, measure in enumerate(measures)
        for note in measure.notes
    ]
    columns = torch.tensor(rows, dtype=torch.long).reshape(-1, 4).T
    return Notes(1, len(measures), steps, torch.zeros_like(columns[0]), *columns)
