"""Small music for tests: random but repeatable measures, and a tiny network to play them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from random import Random
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from pianogen.families.cpu_hybrid import CpuHybrid
from pianogen.families.flat_notes import Notes
from pianogen.families.hybrid import Hybrid
from pianogen.families.hybrid_player import HybridVoice
from pianogen.families.sizes import HybridConfig, key_of
from pianogen.families.torch_hybrid import TorchHybrid
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


def voice_of(network: Hybrid, engine: str = "numpy") -> HybridVoice:
    """A network as the voice that plays it on a CPU, or would by torch on CUDA."""
    if engine == "torch":
        return HybridVoice(TorchHybrid(network))
    return HybridVoice(CpuHybrid(vars(network.config), weights_of(network)))


def weights_of(network: nn.Module) -> dict[str, NDArray[Any]]:
    """A network's weights as a checkpoint holds them."""
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


def arrays(value: Any) -> list[Any]:
    """Every array and number in nested dataclasses and tuples, in a fixed order."""
    if isinstance(value, tuple):
        return [array for part in value for array in arrays(part)]
    if is_dataclass(value):
        return [array for f in fields(value) for array in arrays(getattr(value, f.name))]
    return [value]


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
