"""Small melody networks for tests, and the voices that play them."""

from __future__ import annotations

import torch

from pianogen.families.melody import Melody
from pianogen.families.melody_models import MODELS
from pianogen.families.melody_player import MelodyPlayer, load
from pianogen.families.symbols import MelodyConfig, Model
from pianogen.families.voice import Voice
from pianogen.grid import Measure
from pianogen.sampling import Sampling
from tests.music import weights_of

SIZES: dict[Model, MelodyConfig] = {
    "gru": MelodyConfig("gru", embedding=12, hidden=16, layers=2),
    "lstm_attention": MelodyConfig(
        "lstm_attention", embedding=12, hidden=16, layers=2, window=20, heads=4
    ),
    "vae": MelodyConfig("vae", embedding=12, hidden=16, latent=4),
}
EVERY = tuple(SIZES)
COLD = Sampling(temperature=0.01, rhythm_temperature=0.01, velocity_temperature=0.01)
FREE = Sampling(temperature=1.0, rhythm_temperature=1.0)
ALONE = Sampling(temperature=1.0, rhythm_temperature=1.0, max_polyphony=1)
SCALE = "60 _ 62 _ 64 _ 65 _ 67 _ _ 69 71 _ 72 _ _"


def network(model: Model, seed: int = 0) -> Melody:
    """A small untrained network in evaluation mode."""
    torch.manual_seed(seed)
    made = Melody(SIZES[model]).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return made


def voice_of(made: Melody) -> Voice:
    """A network as the voice that plays it."""
    return load(vars(made.config), weights_of(made), "cpu")


def player_of(made: Melody) -> MelodyPlayer:
    """The same without the contract about it."""
    model = MODELS[made.config.model](made.config, weights_of(made))
    return MelodyPlayer(model, model.noises)


def heard(model: Model, measures: list[Measure]) -> Voice:
    """A voice that has listened to some measures."""
    voice = voice_of(network(model))
    voice.reset(measures[0].meter)
    for measure in measures:
        voice.listen(measure)
    return voice
