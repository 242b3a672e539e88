"""What the tests of `events` and `notes` share: a tune to be learnt by heart, and how it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from pianogen.families.note_by_note import Before, NoteByNote, Past
from pianogen.families.note_stream import Rows
from pianogen.families.trained import Trained
from pianogen.families.voice import Voice
from pianogen.grid import Measure, Meter, Note
from pianogen.losses import minimised
from tests.music import as_window, random_measures

TUNE = (  # (onset, pitch, velocity bin, duration): two measures, each note always alike
    ((0, 72, 20, 8), (0, 48, 12, 16), (8, 76, 20, 8), (16, 79, 24, 4), (16, 55, 12, 16),
     (20, 77, 16, 4), (24, 76, 16, 8)),
    ((0, 74, 20, 8), (0, 65, 12, 4), (0, 50, 12, 16), (12, 71, 16, 4), (16, 72, 24, 16),
     (16, 52, 12, 16)),
)  # fmt: skip


def tune(count: int) -> list[Measure]:
    """The tune over and over, `count` measures."""
    return [Measure(Meter(), tuple(Note(*note) for note in TUNE[n % 2])) for n in range(count)]


def learn(network: Trained, updates: int, rate: float) -> dict[str, float]:
    """Train on the tune alone, and tell the last figures."""
    window, weight = as_window(tune(8)), torch.ones(1)
    optimisers = network.optimisers(0.0)
    network.train()
    for update in range(updates):
        losses = network.losses(window, weight)
        network.zero_grad(set_to_none=True)
        minimised(losses, network.WEIGHTS).backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, 2 * (updates - update) / updates)
            optimiser.step()
    network.eval()
    with torch.no_grad():
        return {name: float(term.mean) for name, term in network.losses(window, weight).items()}


def weights_of(network: Trained) -> dict[str, NDArray[Any]]:
    """As a checkpoint holds them."""
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


def untrained(network: Trained) -> Trained:
    """With weights far enough from 0 to matter, and having seen some outcomes."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
        network.losses(as_window(random_measures(8, seed=5)), torch.ones(1))
    return network.eval()


def heard(voice: Voice, measures: Sequence[Measure], meter: Meter | None = None) -> Voice:
    """The voice once it has heard these."""
    voice.reset(meter or Meter())
    for measure in measures:
        voice.listen(measure)
    return voice


def said_by_numpy(player: NoteByNote, rows: Rows, steps: int) -> list[tuple[list[float], ...]]:
    """What the voice's network says before each note of the first row, as (logits, wait, touch)."""
    network, said = player.network, []
    carried = network.start(steps)
    columns = (rows.key, rows.wait, rows.velocity, rows.length)
    place = 0
    for column in range(rows.key.shape[1]):
        key, wait, velocity, length = (int(x[0, column]) for x in columns)
        asked, within = network.awake(carried), wait == 0 and column > 0
        place = (place + wait) % steps
        logits = network.pitch(asked, place, is_within=within)
        said.append((logits.tolist(), [network.wait(asked)], [network.touch(asked)]))
        carried = network.read(carried, Before(key, wait, velocity, length, place))
    return said


def past_of(voice: Voice) -> Past:
    """The past a voice has."""
    past = voice.context.past
    assert isinstance(past, Past)
    return past
