"""The layers without torch do what torch's do."""

import numpy as np
import pytest
import torch
from torch import nn

from pianogen.families.cpu_layers import Gru, LayerNorm, Linear, Lstm, Named

IN, HIDDEN, ROWS, STEPS = 5, 8, 3, 7


def named(module: nn.Module) -> Named:
    return {f"it.{k}": v.detach().numpy() for k, v in module.state_dict().items()}


def given() -> torch.Tensor:
    return torch.randn(ROWS, STEPS, IN, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("theirs", "ours"), [(nn.LSTM, Lstm), (nn.GRU, Gru)])
def test_recurrent_layers_are_those_of_torch(
    theirs: type[nn.LSTM | nn.GRU], ours: type[Lstm | Gru], layers: int
) -> None:
    torch.manual_seed(0)
    layer = theirs(IN, HIDDEN, num_layers=layers, batch_first=True)
    mine = ours(named(layer), "it", layers)
    with torch.inference_mode():
        expected = layer(given())[0].numpy()
    whole, end = mine.over(given().numpy(), mine.start(ROWS))
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    _, half = mine.over(given().numpy()[:, :3], mine.start(ROWS))
    rest, again = mine.over(given().numpy()[:, 3:], half)
    np.testing.assert_array_equal(rest, whole[:, 3:])
    for one, other in zip(end, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_way_back_is_taken_by_its_suffix() -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(IN, HIDDEN, batch_first=True, bidirectional=True)
    back = Lstm(named(layer), "it", suffix="_reverse")
    with torch.inference_mode():
        expected = layer(given())[0].numpy()[:, ::-1, HIDDEN:]
    out, _ = back.over(given().numpy()[:, ::-1], back.start(ROWS))
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_linear_and_norm_are_those_of_torch() -> None:
    torch.manual_seed(0)
    rows = torch.randn(ROWS, IN)
    linear, norm = nn.Linear(IN, HIDDEN), nn.LayerNorm(IN)
    nn.init.normal_(norm.weight)
    np.testing.assert_allclose(
        Linear(named(linear), "it")(rows.numpy()), linear(rows).detach().numpy(), atol=1e-5
    )
    np.testing.assert_allclose(
        LayerNorm(named(norm), "it")(rows.numpy()), norm(rows).detach().numpy(), atol=1e-5
    )
