"""The first measures of a checkpoint, unheard: so that its first real answer is as fast as others.

They tell what it costs, too, from one draft and from many. Knows no pipe and no process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from statistics import median
from time import perf_counter

from bridge.candidates import Costs
from pianogen.continuation import Continuation
from pianogen.grid import STEPS_PER_BEAT, Measure, Meter, Note
from pianogen.sampling import Sampling

WARM_UPS = {"cpu": (1, 8), "cuda": (1, 4, 16, 64, 256)}  # how many drafts, before any is asked
WARM_UP_ROUNDS = 4  # the first of which is not counted


def warming_up(
    model: Continuation,
    meter: Meter,
    costs: Costs,
    sizes: Sequence[int],
    now: Callable[[], float] = perf_counter,
) -> Generator[None, None, float]:
    """Play a little, a measure at a time.

    What so many drafts take is told to `costs`. Returns the seconds that a busy measure takes to
    be heard and answered from one draft: the median of all rounds but the first.
    """
    busy, ones = busy_measure(meter), list[float]()
    model.reset(meter)
    model.listen(busy)
    before = model.mark()
    for played in range(WARM_UP_ROUNDS):
        for candidates in sizes:
            model.rewind(before)
            began = now()
            model.listen(busy)
            heard = now()
            model.answer(Sampling(candidates=candidates), played)
            over = now()
            if played:
                costs.learn(candidates, over - heard)
                ones += [over - began] if candidates == 1 else []
            yield
    model.reset(meter)
    return median(ones)


def busy_measure(meter: Meter) -> Measure:
    """A made-up one: four voices, each with a note every eighth."""
    onsets = range(0, meter.steps, STEPS_PER_BEAT // 2)
    voices = (36, 52, 60, 72)
    notes = (Note(t, voice + t // 4 % 5, 16, 4) for t in onsets for voice in voices)
    return Measure(meter, tuple(notes))
