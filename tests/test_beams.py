"""Beam search: what is followed, what is kept, and that one batch does for all beams."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pianogen.families.beams import likeliest


@dataclass
class Chain:
    """Symbols whose chances hang on the one before; lines are what was said so far, (N, t)."""

    first: NDArray[np.float32]  # (V,) log chances
    next: NDArray[np.float32]  # (V, V)
    asked: list[int] = field(default_factory=list)

    def scores(self, lines: NDArray[np.int64]) -> NDArray[np.float32]:
        self.asked.append(len(lines))
        if not lines.shape[1]:
            return np.repeat(self.first[None], len(lines), axis=0)
        return self.next[lines[:, -1]]

    def said(
        self, lines: NDArray[np.int64], rows: NDArray[np.int64], symbols: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        return np.concatenate([lines[rows], symbols[:, None]], axis=1)

    def score(self, line: tuple[int, ...]) -> float:
        return float(self.first[line[0]]) + sum(float(self.next[a, b]) for a, b in pairwise(line))


NOTHING = np.zeros((1, 0), np.int64)
GREEDY_TRAP = Chain(
    np.log(np.array([0.6, 0.4], np.float32)),
    np.log(np.array([[0.5, 0.5], [0.05, 0.95]], np.float32)),
)


def test_one_beam_takes_the_likeliest_each_time() -> None:
    assert likeliest(GREEDY_TRAP, NOTHING, length=3, width=1).symbols.tolist() == [0, 0, 0]


def test_two_beams_find_a_line_that_begins_less_likely() -> None:
    told = likeliest(GREEDY_TRAP, NOTHING, length=3, width=2)
    assert told.symbols.tolist() == [1, 1, 1]
    assert np.isclose(told.score, np.log(0.4 * 0.95 * 0.95))


def test_all_beams_are_asked_about_at_once() -> None:
    chain = Chain(GREEDY_TRAP.first, GREEDY_TRAP.next)
    likeliest(chain, NOTHING, length=4, width=3)
    assert chain.asked == [1, 2, 3, 3]


def test_what_cannot_come_is_not_followed() -> None:
    never = np.float32(-1e9)
    chain = Chain(np.array([never, 0], np.float32), np.array([[0, 0], [never, 0]], np.float32))
    told = likeliest(chain, NOTHING, length=3, width=4)
    assert told.symbols.tolist() == [1, 1, 1]
    assert len(told.lines) == 1


def chains(size: int) -> st.SearchStrategy[Chain]:
    chances = st.lists(
        st.floats(-5, 0, width=32), min_size=size * (size + 1), max_size=size * (size + 1)
    )
    tables = chances.map(lambda values: np.array(values, np.float32).reshape(size + 1, size))
    return tables.map(lambda table: Chain(table[0], table[1:]))


@settings(max_examples=30)
@given(chains(3), st.integers(1, 4))
def test_beams_enough_find_the_best_of_all_lines(chain: Chain, length: int) -> None:
    told = likeliest(chain, NOTHING, length=length, width=3**length)
    best = max(chain.score(line) for line in product(range(3), repeat=length))
    assert np.isclose(told.score, best, atol=1e-4)
    assert np.isclose(chain.score(tuple(told.symbols.tolist())), told.score, atol=1e-4)


@settings(max_examples=30)
@given(chains(3), st.integers(1, 4), st.integers(1, 6))
def test_the_best_line_is_the_first_of_those_carried(chain: Chain, length: int, width: int) -> None:
    told = likeliest(chain, NOTHING, length=length, width=width)
    assert told.lines[0].tolist() == told.symbols.tolist()
    assert len(told.lines) <= width
