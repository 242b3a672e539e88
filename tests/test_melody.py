"""The melody family: three networks, the voice that plays them, and melodies that are typed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pianogen.errors import ConfigError
from pianogen.families.flat_notes import Notes
from pianogen.families.melody import GruModel, LstmAttention, Melody, Vae, lines_of, windows_of
from pianogen.families.melody_drawing import Drawing, Line
from pianogen.families.melody_models import MODELS
from pianogen.families.melody_player import MelodyPlayer, load
from pianogen.families.steering import Push
from pianogen.families.symbols import (
    END,
    HOLD,
    REST,
    MelodyConfig,
    Model,
    cells_of,
    inputs_of,
    measures_of,
    read,
    symbols_of,
)
from pianogen.families.voice import Voice
from pianogen.generate import continuation
from pianogen.grid import KEYS, Measure, Meter, Note
from pianogen.losses import minimised
from pianogen.melodies import write_melody
from pianogen.midi_file import read_notes
from pianogen.sampling import Sampling
from tests.made import line
from tests.music import as_window, random_measures, weights_of

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


# --- the networks -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", EVERY)
def test_numpy_tells_each_symbol_as_torch_does(model: Model) -> None:
    made, music = network(model), random_measures(5, seed=4)
    _, inputs = lines_of(as_window(music))
    cells = cells_of(32)
    with torch.no_grad():
        match made.model:
            case GruModel():
                expected = made.model(inputs)[0, 4 * cells : 5 * cells]
            case LstmAttention():
                last = torch.arange(4 * cells, 5 * cells)
                expected = made.model(windows_of(inputs, torch.zeros_like(last), last, 20))
            case Vae():
                mean, _ = made.model.encoded(inputs[:, 1:], torch.tensor([4 * cells]))
                expected = made.model.decoded(inputs[:, :-1], mean)[0, 4 * cells :]
    player = player_of(made)
    numpy_model = player.model
    past = player.empty(Meter())
    for measure in music[:4]:
        past = player.heard(past, measure)
    state = numpy_model.ready(past.state, past.line, cells, np.zeros(player.noises, np.float32))
    for place in range(cells):
        given_with = inputs[0, 4 * cells + place].numpy()
        logits, state = numpy_model.next(state, given_with[None])
        np.testing.assert_allclose(logits[0], expected[place].numpy(), atol=2e-5)


@pytest.mark.parametrize("model", ["gru", "vae"])
def test_no_symbol_is_told_from_itself_or_what_follows(model: Model) -> None:
    made = network(model)
    _, one = lines_of(as_window(random_measures(3, seed=3)))
    _, other = lines_of(as_window(random_measures(3, seed=8)))
    place = 20
    mixed = torch.cat([one[:, : place + 1], other[:, place + 1 :]], dim=1)
    latent = torch.randn(1, 4)
    with torch.no_grad():
        told = [_of_all(made, x, latent) for x in (one, mixed)]
    assert torch.equal(told[0][:, : place + 1], told[1][:, : place + 1])
    assert not torch.equal(told[0], told[1])


def _of_all(made: Melody, inputs: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    match made.model:
        case GruModel():
            logits: torch.Tensor = made.model(inputs)
            return logits
        case Vae():
            return made.model.decoded(inputs, latent)
    raise AssertionError(made.model)


def test_a_window_ends_with_what_stands_before_the_symbol_told() -> None:
    _, inputs = lines_of(as_window(random_measures(2, seed=3)))
    windows = windows_of(inputs, torch.tensor([0, 0]), torch.tensor([2, 25]), 4)
    assert torch.equal(windows[0, 1:], inputs[0, :3])
    assert windows[0, 0].tolist() == [END, END, END, END, 0, 0]
    assert torch.equal(windows[1], inputs[0, 22:26])


def test_scores_are_divided_by_the_root_of_a_heads_size() -> None:
    made = network("lstm_attention").model
    assert isinstance(made, LstmAttention)
    states = torch.randn(1, 20, 32)
    reference = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([made.query.weight, made.keys.weight]))
        reference.in_proj_bias.copy_(torch.cat([made.query.bias, made.keys.bias]))
        reference.out_proj.weight.copy_(torch.eye(32))
        expected, _ = reference(states[:, -1:], states, states)
        found = made._attended(states[:, -1], states)
    torch.testing.assert_close(found, expected[:, 0], atol=1e-5, rtol=1e-5)


def test_the_latent_is_read_of_the_measures_before_the_cut_alone() -> None:
    made = network("vae").model
    assert isinstance(made, Vae)
    _, one = lines_of(as_window(random_measures(3, seed=3)))
    _, other = lines_of(as_window(random_measures(3, seed=8)))
    mixed = torch.cat([one[:, :17], other[:, 17:]], dim=1)
    read_of = torch.tensor([16])
    with torch.no_grad():
        mean, _ = made.encoded(one[:, 1:], read_of)
        again, _ = made.encoded(mixed[:, 1:], read_of)
        further, _ = made.encoded(mixed[:, 1:], read_of * 2)
    assert torch.equal(mean, again)
    assert not torch.equal(mean, further)


@pytest.mark.parametrize("model", EVERY)
def test_silence_and_every_term_can_be_told(model: Model) -> None:
    made, empty = network(model), torch.zeros(0, dtype=torch.long)
    silence = Notes(2, 2, 12, empty, empty, empty, empty, empty)
    losses = made.losses(silence, torch.ones(2))
    assert set(losses) == set(Melody.FIGURES)
    assert all(torch.isfinite(term.mean) for term in losses.values())


# --- it learns ----------------------------------------------------------------------------------

TUNE = (line((60, 62, 64, 65, 67, 67, 64, 62)), line((60, 64, 67, 72), every=8))


@pytest.mark.parametrize(("model", "updates"), [("gru", 60), ("lstm_attention", 60), ("vae", 80)])
def test_it_learns_a_tune_by_heart_and_carries_it_on(model: Model, updates: int) -> None:
    torch.manual_seed(1)
    sizes = replace(
        SIZES[model], embedding=32, hidden=32, layers=1, dropout=0.0, word_dropout=0.0,
        latent_weight=0.01,
    )  # fmt: skip
    made, notes = Melody(sizes), as_window([*TUNE, *TUNE])
    optimiser = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(updates):
        losses = made.losses(notes, torch.ones(1))
        made.zero_grad()
        minimised(losses, made.WEIGHTS).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert made.eval().losses(notes, torch.ones(1))["symbol"].mean < 0.03
    for sampling in (COLD, Sampling(decoding="max")):
        answer = continuation(voice_of(made), [*TUNE, *TUNE], 2, sampling, seed=3)
        played = [[(n.onset, n.pitch, n.duration) for n in m.notes] for m in answer]
        assert played == [[(n.onset, n.pitch, n.duration) for n in m.notes] for m in TUNE]


# --- the voice ----------------------------------------------------------------------------------

seeds = st.integers(0, 1000)
meters = st.sampled_from([Meter(4, 4), Meter(3, 4), Meter(7, 32), Meter(1, 32), Meter(4, 2)])


@settings(max_examples=30)
@given(st.sampled_from(EVERY), meters, seeds, st.integers(21, 100), st.sets(st.integers(0, 11)))
def test_a_melody_is_one_note_at_a_time_within_what_is_asked(
    model: Model, meter: Meter, seed: int, low: int, classes: set[int]
) -> None:
    sampling = replace(
        FREE, low_pitch=low, high_pitch=min(low + 14, 108), pitch_classes=tuple(classes or {0, 7})
    )
    voice = heard(model, random_measures(3, seed, meter))
    music = [voice.answer(sampling, seed + n) for n in range(3)]
    placed = [(n * meter.steps + x.onset, x) for n, m in enumerate(music) for x in m.notes]
    assert all(low <= note.pitch <= low + 14 for _, note in placed)
    assert all(note.pitch % 12 in sampling.pitch_classes for _, note in placed)
    ends = [time + note.duration for time, note in placed]
    assert all(end <= later for end, (later, _) in zip(ends, placed[1:], strict=False))


@pytest.mark.parametrize("model", EVERY)
def test_it_is_the_same_again_and_from_a_mark(model: Model) -> None:
    voice = heard(model, random_measures(4, 5))
    mark = voice.mark()
    first = [voice.answer(FREE, seed) for seed in (1, 2, 3)]
    voice.rewind(mark)
    assert [voice.answer(FREE, seed) for seed in (1, 2, 3)] == first
    other = voice.another()
    other.reset(Meter())
    for measure in random_measures(4, 5):
        other.listen(measure)
    assert [other.answer(FREE, seed) for seed in (1, 2, 3)] == first


@pytest.mark.parametrize("model", EVERY)
def test_it_plays_after_nothing_silence_and_much(model: Model) -> None:
    crowd = Measure(Meter(), tuple(Note(n % 32, n, 9, 255) for n in range(128)))
    for music in ([], [Measure()] * 3, [crowd] * 2, [crowd] * 20):
        voice = voice_of(network(model))
        for measure in music:
            voice.listen(measure)
        assert all(len(voice.answer(FREE, n).notes) <= 16 for n in range(3))


def test_only_the_top_line_counts() -> None:
    tune = [*TUNE]
    below = [
        Measure(
            m.meter, (*m.notes, *(Note(n.onset, n.pitch - 24, 16, n.duration) for n in m.notes))
        )
        for m in tune
    ]
    one, other = heard("gru", tune), heard("gru", below)
    assert np.array_equal(one.context.past.line, other.context.past.line)
    assert all(map(np.array_equal, one.context.past.state, other.context.past.state))


def ringing(steps: int) -> Line:
    """A line of one note held over the measure line by so many steps, nothing drawn yet."""
    voice = heard("gru", [Measure(notes=(Note(28, 60, 9, 4 + steps),))])
    past = voice.context.past
    return Line(past.line, 16, past.over, 39)


def test_a_note_that_rings_a_little_over_the_line_is_let_ring() -> None:
    drawing = Drawing.of(FREE, Push(), Meter())
    logits = np.where(np.arange(91) == 50, 9.0, 0.0).astype(np.float32)
    now = ringing(6)
    drawn = []
    for _ in range(4):
        drawn.append(drawing.symbol(logits, now, np.array([0.5, 0.5])))
        now = now.then(drawn[-1])
    assert drawn == [HOLD, HOLD, HOLD, 50]


def test_what_does_not_sound_cannot_be_held_and_a_rest_not_begin_twice() -> None:
    drawing = Drawing.of(FREE, Push(), Meter())
    flat = np.zeros(91, np.float32)
    over = ringing(0)
    kinds = drawing.weighed(flat, over)[0]
    assert np.isneginf(kinds).tolist() == [True, False, False]  # hold, rest, note
    kinds = drawing.weighed(flat, over.then(REST))[0]
    assert np.isneginf(kinds).tolist() == [False, True, False]
    kinds = drawing.weighed(flat, Line(np.zeros(0, np.int64), 16, 0, END))[0]
    assert np.isneginf(kinds).tolist() == [True, False, False]


@pytest.mark.parametrize("model", EVERY)
def test_density_brings_more_notes_or_fewer(model: Model) -> None:
    music = [line((60, 64, 67, 72), every=8)] * 4
    counts = []
    for density in (0.25, 1.0, 4.0):
        made = network(model)
        with torch.no_grad():
            made.get_parameter("model.out.bias")[HOLD] += 4.0  # as likely as a note
        asked = replace(FREE, density=density)
        answers = [continuation(voice_of(made), music, 1, asked, seed) for seed in range(6)]
        counts.append(sum(len(answer[0].notes) for answer in answers))
    assert counts[0] < counts[1] < counts[2]


# --- repetition ---------------------------------------------------------------------------------


def after(text: str) -> Line:
    """A melody so far, from a measure line on."""
    symbols = np.array(read(text), np.int64)
    return Line(symbols, 16, 16, 39)


def test_a_figure_is_known_by_its_pitches_and_times() -> None:
    known = after("60 _ 62 64 _ 65 r r 60 _ 62 64 _").known()
    assert [known[pitch - 21] for pitch in (65, 64, 60)] == [3, 0, 0]
    other_times = after("60 _ 62 64 _ 65 r r 60 62 _ 64 _").known()
    assert other_times[65 - 21] == 1  # the 64 before it alone
    assert after("60 _ 62 64 _ 65 r r 60 _ 62 64").known()[65 - 21] == 0  # too soon


@given(st.lists(st.sampled_from([60, 62, 64]), min_size=1, max_size=40))
def test_what_is_known_is_found_as_by_hand(keys: list[int]) -> None:
    counts = np.zeros(KEYS, int)
    for place in range(len(keys)):
        same = 0
        while same < min(place, 8) and keys[place - 1 - same] == keys[len(keys) - 1 - same]:
            same += 1
        counts[keys[place]] = max(counts[keys[place]], same)
    told = Line(np.array(keys, np.int64), 16, 16, 39).known()
    assert told.tolist() == counts.tolist()


def test_a_penalty_costs_by_the_length_of_what_would_come_again() -> None:
    logits, now = np.zeros(91, np.float32), after("60 _ 62 64 _ 65 r r 60 _ 62 64 _")
    keys = Drawing.of(replace(FREE, repetition_penalty=2.0), Push(), Meter()).weighed(logits, now)[
        1
    ]
    assert keys[65 - 21] == pytest.approx(-2 * np.log(2))
    assert np.count_nonzero(keys) == 1


def test_a_penalty_breaks_a_tune_that_goes_round(tmp_path: Path) -> None:
    plain = _share_again(Sampling(decoding="max"))
    held_back = _share_again(Sampling(decoding="max", repetition_penalty=4.0))
    assert plain > 0.9
    assert held_back < plain - 0.2


def _share_again(sampling: Sampling) -> float:
    """Of a tune learnt by heart that goes round for ever: how many of its notes come again."""
    notes = as_window([*TUNE, *TUNE])
    torch.manual_seed(1)
    made = Melody(replace(SIZES["gru"], embedding=16, hidden=32, layers=1, dropout=0.0))
    optimiser = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(40):
        made.zero_grad()
        loss = minimised(made.losses(notes, torch.ones(1)), made.WEIGHTS)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    music = [*TUNE, *TUNE]
    answer = continuation(voice_of(made.eval()), music, 4, sampling, seed=0)
    before = symbols_of(music).tolist()
    seen, again = set(), []
    keys = [s for s in [*before, *symbols_of(answer).tolist()] if s < KEYS]
    for place in range(3, len(keys)):
        figure = tuple(keys[place - 3 : place + 1])
        if place >= sum(s < KEYS for s in before):
            again.append(figure in seen)
        seen.add(figure)
    return sum(again) / len(again)


# --- typed melodies -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", EVERY)
def test_a_typed_melody_comes_back_carried_on_and_as_midi(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    text = write_melody(
        voice_of(network(model)), SCALE, out, measures=2, meter=Meter(), tempo_bpm=100.0,
        sampling=FREE, seed=4,
    )  # fmt: skip
    symbols = read(text)
    assert text.startswith(SCALE)
    assert len(symbols) == 4 * 16  # the begun measure and two more
    expected = [n.pitch for m in measures_of(symbols, Meter()) for n in m.notes]
    assert [note.pitch for note in read_notes(out)] == expected


def test_what_is_typed_is_heard_as_it_would_be_played() -> None:
    voice = heard("gru", list(measures_of(read(SCALE)[:16], Meter())))
    player = player_of(network("gru"))
    told = player.told(player.empty(Meter()), np.array(read(SCALE)[:16], np.int64))
    assert np.array_equal(told.line, voice.context.past.line)
    assert all(map(np.array_equal, told.state, voice.context.past.state))


def test_after_an_end_a_melody_begins_anew_on_the_measure_line(tmp_path: Path) -> None:
    def written(text: str) -> str:
        return write_melody(
            voice_of(network("gru")), text, tmp_path / "out.mid", measures=1, meter=Meter(),
            tempo_bpm=100.0, sampling=FREE, seed=4,
        )  # fmt: skip

    one, other = written("60 _ 62 _ /"), written("67 _ _ _ 72 _ /")
    assert one.split()[:5] == ["60", "_", "62", "_", "r"]
    assert len(one.split()) == 32
    assert one.split()[16:] == other.split()[16:]


def test_what_is_asked_of_a_typed_melody_is_checked(tmp_path: Path) -> None:
    voice = voice_of(network("gru"))
    for measures, tempo_bpm in ((0, 100.0), (1, 5.0)):
        with pytest.raises(ConfigError, match="--measures"):
            write_melody(
                voice, "60", tmp_path / "out.mid", measures=measures, meter=Meter(),
                tempo_bpm=tempo_bpm, sampling=FREE,
            )  # fmt: skip


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads"):
        MelodyConfig("lstm_attention", hidden=10, heads=8)
    with pytest.raises(ConfigError, match="shares"):
        MelodyConfig(dropout=1.0)
    with pytest.raises(ConfigError, match="model"):
        MelodyConfig("rnn")  # type: ignore[arg-type]
    assert inputs_of(np.zeros((1, 0), np.int64), 16).shape == (1, 1, 6)
