"""A note that is to be as loud and as long as those heard takes after the nearest of them."""

from hypothesis import given
from hypothesis import strategies as st

from pianogen.families.manner import UNHEARD_BIN, UNHEARD_STEPS, Manner
from pianogen.grid import Measure, Meter, Note

HEARD = (
    Measure(notes=(Note(0, 40, 5, 16), Note(0, 72, 25, 4), Note(16, 74, 20, 2))),
    Measure(notes=(Note(0, 41, 6, 15), Note(0, 73, 26, 3))),
)
COLD = 0.01
shares = st.floats(0, 1)


def test_at_low_temperatures_it_is_the_nearest_note_of_the_newest_measure() -> None:
    manner = Manner.of(HEARD)
    assert manner.velocity_bin(0, 40, COLD, 0.5) == 6
    assert manner.duration(0, 41, COLD, 0.5) == 15
    assert manner.velocity_bin(0, 75, COLD, 0.5) == 26
    assert manner.duration(16, 74, COLD, 0.5) == 2  # the newest measure has nothing there


@given(onset=st.integers(0, 31), pitch=st.integers(0, 127), uniform=shares)
def test_nothing_is_played_that_was_not_heard(onset: int, pitch: int, uniform: float) -> None:
    manner = Manner.of(HEARD)
    notes = [note for measure in HEARD for note in measure.notes]
    assert manner.velocity_bin(onset, pitch, 1.0, uniform) in {n.velocity_bin for n in notes}
    assert manner.duration(onset, pitch, 1.0, uniform) in {n.duration for n in notes}


@given(uniform=shares)
def test_after_silence_it_is_neither_loud_nor_long(uniform: float) -> None:
    for heard in ((), (Measure(Meter(3, 4)),)):
        manner = Manner.of(heard)
        assert manner.velocity_bin(0, 60, 1.0, uniform) == UNHEARD_BIN
        assert manner.duration(0, 60, 1.0, uniform) == UNHEARD_STEPS


def test_silent_measures_do_not_push_out_what_was_heard_before_them() -> None:
    manner = Manner.of((*HEARD, *[Measure()] * 12))
    assert manner.velocity_bin(0, 40, COLD, 0.5) == 6
