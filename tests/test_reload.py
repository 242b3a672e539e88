"""Presets that change while the music plays: what is read when, what counts, what is played."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.controls import Controls
from bridge.events import Ask, ControlChange, Event, ModelLost, PresetsRead, Stop
from bridge.file_changes import Changes, Settled, Stamp
from bridge.performer import Performer
from bridge.preset_shelf import Shelf
from bridge.preset_watch import LOOKS_TO_RETRY, AllTold, FileGone, FileRead, FolderWatcher
from bridge.presets import Preset, PresetFile, read_preset_file
from bridge.reload import Reload, read_folder
from tests import stage
from tests.stage import BEGIN, measure, play, preset, seconds

# Which files have changed.

A, B, C = ((size, 0, 0) for size in (1, 2, 3))


def looks(known: dict[str, Stamp], *listings: dict[str, Stamp]) -> list[Settled]:
    changes = Changes(known)
    return [changes.look(listing) for listing in listings]


NOTHING = Settled((), ())


def test_what_stays_as_it_is_is_not_told() -> None:
    assert looks({"a": A}, {"a": A}, {"a": A}) == [NOTHING, NOTHING]


def test_a_change_is_told_once_when_the_next_look_shows_the_same() -> None:
    told = [NOTHING, Settled(("a",), ()), NOTHING]
    assert looks({"a": A}, {"a": B}, {"a": B}, {"a": B}) == told
    assert looks({}, {"a": B}, {"a": B}, {"a": B}) == told


def test_a_file_that_is_being_written_is_left_alone_and_holds_up_no_other() -> None:
    told = looks({"a": A}, {"a": B, "b": A}, {"a": C, "b": A}, {"a": C, "b": A})
    assert told == [NOTHING, Settled(("b",), ()), Settled(("a",), ())]


def test_a_file_is_gone_when_two_looks_miss_it() -> None:
    assert looks({"a": A}, {}, {}, {}) == [NOTHING, Settled((), ("a",)), NOTHING]
    assert looks({"a": A}, {}, {"a": A}, {}) == [NOTHING] * 3
    assert looks({"a": A}, {}, {"a": B}, {"a": B}) == [NOTHING, NOTHING, Settled(("a",), ())]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([A, B, C]))))
def test_whoever_keeps_what_is_told_has_what_was_seen_twice(
    listings: list[dict[str, Stamp]],
) -> None:
    changes, kept = Changes({}), dict[str, Stamp]()
    for listing in [*listings, *listings[-1:] * 2]:
        settled = changes.look(listing)
        assert not set(settled.changed) & set(settled.gone)
        for name in settled.gone:
            del kept[name]
        kept.update((name, listing[name]) for name in settled.changed)
    assert kept == (listings[-1] if listings else {})


# Which presets count.


def file(name: str, number: int, called: str = "", **values: Any) -> PresetFile:
    lines = {"name": 1, "number": 2}
    made = Preset(name=called or name, number=number, **values)
    return PresetFile(made, Path("presets") / f"{name}.yaml", lines)


def numbers(presets: Sequence[Preset]) -> list[tuple[int, str]]:
    return [(preset.number, preset.name) for preset in presets]


def everything(preset: Preset) -> bool:
    return True


def shelf_of(*files: PresetFile) -> Shelf:
    shelf = Shelf(files)
    shelf.settle(everything)
    return shelf


def test_a_changed_preset_takes_its_place_and_a_new_one_is_added() -> None:
    shelf = shelf_of(file("a", 1), file("b", 2))
    shelf.put(file("a", 1, temperature=2.0))
    shelf.put(file("c", 0))
    presets, refusals = shelf.settle(everything)
    assert numbers(presets) == [(0, "c"), (1, "a"), (2, "b")]
    assert presets[1].temperature == 2.0
    assert refusals == []


def test_two_may_change_their_numbers_for_each_other() -> None:
    shelf = shelf_of(file("a", 1), file("b", 2))
    shelf.put(file("a", 2))
    shelf.put(file("b", 1))
    assert numbers(shelf.settle(everything)[0]) == [(1, "b"), (2, "a")]


def test_whoever_comes_to_a_number_that_is_taken_is_refused_once_with_both_places() -> None:
    shelf = shelf_of(file("m", 1))
    shelf.put(file("a", 1))
    presets, refusals = shelf.settle(everything)
    assert numbers(presets) == [(1, "m")]
    assert refusals == [
        "preset 'a': number 1 is already that of 'm' in presets/m.yaml, line 2 "
        "(presets/a.yaml, line 2): left out"
    ]
    assert shelf.settle(everything) == (presets, [])
    shelf.put(file("a", 1))  # saved again
    assert shelf.settle(everything)[1] == refusals


def test_a_preset_moved_onto_anothers_number_stays_as_it_was() -> None:
    shelf = shelf_of(file("a", 1), file("b", 2))
    shelf.put(file("a", 2, temperature=2.0))
    shelf.put(file("c", 1))  # and so its number is not free
    presets, refusals = shelf.settle(everything)
    assert numbers(presets) == [(1, "a"), (2, "b")]
    assert presets[0].temperature != 2.0
    assert [line.rsplit(": ", 1)[1] for line in refusals] == ["it stays as it was", "left out"]


def test_a_number_that_becomes_free_is_taken_by_who_was_refused() -> None:
    shelf = shelf_of(file("a", 1), file("b", 2))
    shelf.put(file("c", 1))
    shelf.settle(everything)
    shelf.drop("a.yaml")
    assert numbers(shelf.settle(everything)[0]) == [(1, "c"), (2, "b")]


def test_a_preset_that_cannot_play_yet_stays_as_it_was_until_it_can() -> None:
    shelf = shelf_of(file("a", 1))
    shelf.put(file("a", 1, checkpoint="other"))
    shelf.put(file("b", 2, checkpoint="other"))
    assert {preset.checkpoint for preset in shelf.read} == {"other"}
    presets, refusals = shelf.settle(lambda preset: preset.checkpoint == "default")
    assert (numbers(presets), refusals) == ([(1, "a")], [])
    assert numbers(shelf.settle(everything)[0]) == [(1, "a"), (2, "b")]


def test_a_fault_tells_what_becomes_of_the_preset() -> None:
    shelf = shelf_of(file("a", 1))
    assert shelf.refusal("a.yaml", ["oh"]) == ["oh: it stays as it was"]
    assert shelf.refusal("b.yaml", ["oh"]) == ["oh: left out"]


shelved = st.builds(
    file,
    st.sampled_from("abcd"),
    st.integers(0, 3),
    st.sampled_from("wxyz"),
    checkpoint=st.sampled_from(["default", "other"]),
)


@given(st.lists(st.tuples(st.lists(shelved, max_size=4), st.sets(st.sampled_from("abcd")))))
def test_whatever_is_written_numbers_and_names_differ_and_what_counts_can_play(
    saves: list[tuple[list[PresetFile], set[str]]],
) -> None:
    shelf = Shelf([file("a", 0, "w")])
    for number, (files, gone) in enumerate(saves):
        for saved in files:
            shelf.put(saved)
        for name in gone:
            shelf.drop(f"{name}.yaml")
        allowed = {"default"} if number % 2 else {"default", "other"}
        presets, _ = shelf.settle(lambda preset, allowed=allowed: preset.checkpoint in allowed)
        assert len({preset.number for preset in presets}) == len(presets)
        assert len({preset.name for preset in presets}) == len(presets)
        assert {preset.checkpoint for preset in presets} <= allowed
        assert [p.number for p in presets] == sorted(p.number for p in presets)


# What is chosen from, where one plays and another comes.


def test_the_preset_that_comes_is_renewed_only_where_it_has_changed() -> None:
    controls = Controls([preset(0), preset(1)])
    controls.set_value("temperature", 2.0)
    controls.replace([preset(0), preset(1, temperature=3.0), preset(2)])
    assert controls.coming.temperature == 2.0
    assert not controls.choose(3)
    assert [p.number for p in controls.presets] == [0, 1, 2]
    controls.replace([preset(0, min_p=0.1), preset(1)])
    assert (controls.coming.temperature, controls.coming.min_p) == (0.8, 0.1)


def test_a_preset_that_is_gone_plays_until_another_is_chosen() -> None:
    controls = Controls([preset(0), preset(1), preset(2)], 1)
    controls.replace([preset(0), preset(2)])
    controls.switch()
    assert controls.preset.number == 1
    controls.step(1)
    assert controls.coming.number == 2


ONE = "| c4 d4 - - |"
TEMPERATURE = 23


def clock(beats: float) -> list[Event]:
    return stage.clock(beats - 0.25, stops=True)


def perform(events: list[Event], **settings: Any) -> stage.Performance:
    last = max(event.time for event in events if isinstance(event, Stop))
    return stage.perform((e for e in events if e.time <= last), **settings)


def at(beat: float) -> float:
    return BEGIN + seconds(beat)


def read(beat: float, *presets: Preset) -> Event:
    return PresetsRead(at(beat), presets)


def by_temperature(ask: Ask) -> Any:
    return measure(*[round(10 * ask.sampling.temperature)] * 4)


def pitches(events: list[Event], **settings: Any) -> dict[float, set[int]]:
    """What was played in each measure, by the beat of its line."""
    p = perform(events, ask=by_temperature, **settings)
    p.assert_whole()
    found: dict[float, set[int]] = {}
    for beat, pitch in p.notes():
        found.setdefault(beat // 4 * 4, set()).add(pitch)
    return found


DUET = {"presets": [preset(mode="duet", temperature=3.0)]}
AFTER = preset(mode="duet", temperature=4.0)
DUETTING = clock(24) + play("| c4 d4 e4 f4 " * 6 + "|")


@pytest.mark.parametrize("beat", [8.2, 9.0, 11.0, 11.9])
def test_a_changed_preset_is_played_from_the_next_measure_line(beat: float) -> None:
    played = pitches([*DUETTING, read(beat, AFTER)], **DUET)
    assert played == {4: {30}, 8: {30}, 12: {40}, 16: {40}, 20: {40}}


def test_changed_too_late_for_a_plan_it_takes_over_within_the_measure() -> None:
    played = pitches([*DUETTING, read(11.9, AFTER)], delay=0.15, **DUET)
    assert played == {4: {30}, 8: {30}, 12: {30, 40}, 16: {40}, 20: {40}}


def test_changed_in_a_phrase_it_is_what_answers() -> None:
    answer = preset(temperature=4.0, answer_measures=1)
    assert pitches([*clock(16), *play(ONE), read(1.0, answer)]) == {4: {40}}


def test_while_nothing_rolls_it_is_in_force_at_once() -> None:
    p = perform([read(-1, preset(temperature=4.0)), *clock(8), *play(ONE)], ask=by_temperature)
    assert {pitch for _, pitch in p.notes()} == {40}


def test_a_value_turned_by_hand_stays_unless_that_preset_changed() -> None:
    turned = ControlChange(at(5), 0, TEMPERATURE, 127)
    other = preset(1)
    stays = pitches([*DUETTING, turned, read(9, *DUET["presets"], other)], **DUET)
    assert stays[12] == stays[8] != {30}
    gone = pitches([*DUETTING, turned, read(9, AFTER, other)], **DUET)
    assert gone[8] == stays[8]
    assert gone[12] == {40}


def test_a_preset_that_is_gone_plays_on_and_a_new_one_can_be_chosen() -> None:
    new = preset(5, mode="duet", temperature=3.5)
    chosen = ControlChange(at(14), 0, 20, 5)
    played = pitches([*DUETTING, read(9, new), chosen], **DUET)
    assert played == {4: {30}, 8: {30}, 12: {30}, 16: {35}, 20: {35}}


def test_the_same_presets_read_again_ask_for_nothing() -> None:
    plain = perform(list(DUETTING), **DUET)
    again = perform([*DUETTING, read(9, *DUET["presets"]), read(11.95, *DUET["presets"])], **DUET)
    assert again.messages == plain.messages
    assert len(again.asks) == len(plain.asks)


# A real folder, and the process that watches it.

GOOD = "name: {0}\nnumber: {1}\ntemperature: {2}\n"


def write(folder: Path, name: str, number: int, temperature: float = 1.0, more: str = "") -> None:
    text = GOOD.format(name, number, temperature) + more
    (folder / f"{name}.yaml").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate("ab"):
        write(tmp_path, name, number)
    return tmp_path


class TestFolderWatcher:
    def watcher(self, folder: Path) -> FolderWatcher:
        return FolderWatcher(folder, read_folder(folder).known)

    def told(self, watcher: FolderWatcher) -> list[tuple[str, object]]:
        """What two looks find: (file, what is in it)."""
        found = [*watcher.look(), *watcher.look()]
        assert found == [] or isinstance(found[-1], AllTold)
        return [(finding.name, what_of(finding)) for finding in found[:-1]]

    def test_only_what_has_changed_is_read(self, folder: Path) -> None:
        watcher = self.watcher(folder)
        assert self.told(watcher) == []
        write(folder, "a", 0, 2.0)
        write(folder, "c", 2, 3.0)
        (folder / "b.yaml").unlink()
        assert self.told(watcher) == [("a.yaml", 2.0), ("c.yaml", 3.0), ("b.yaml", "gone")]
        assert self.told(watcher) == []

    def test_a_file_put_in_the_place_of_another_counts_as_changed(self, folder: Path) -> None:
        watcher, before = self.watcher(folder), (folder / "a.yaml").stat()
        write(folder, "a2", 0, 2.0)
        os.utime(folder / "a2.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
        (folder / "a2.yaml").rename(folder / "a.yaml")
        assert self.told(watcher) == [("a.yaml", 2.0)]

    @pytest.mark.parametrize("name", ["controls.yaml", ".a.yaml", "a.yaml~", "a.yaml.swp", "a.txt"])
    def test_what_is_no_preset_is_not_read(self, folder: Path, name: str) -> None:
        watcher = self.watcher(folder)
        (folder / name).write_text("name: [")
        (folder / "sub.yaml").mkdir()
        assert self.told(watcher) == []

    def test_a_file_written_to_while_it_is_read_is_read_again(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read_cut_short(path: Path) -> tuple[PresetFile | None, list[str]]:
            path.write_text("")
            found = read_preset_file(path)
            write(folder, "a", 0, 3.0)
            monkeypatch.undo()
            return found

        watcher = self.watcher(folder)
        write(folder, "a", 0, 2.0, "\n")
        monkeypatch.setattr("bridge.preset_watch.read_preset_file", read_cut_short)
        assert self.told(watcher) == []
        assert self.told(watcher) == [("a.yaml", 3.0)]

    def test_a_folder_that_cannot_be_seen_loses_nothing(self, folder: Path) -> None:
        watcher = self.watcher(folder)
        folder.rename(folder.parent / "elsewhere")
        assert self.told(watcher) == []
        (folder.parent / "elsewhere").rename(folder)
        assert self.told(watcher) == []

    def test_faults_are_told_with_their_line_once_for_each_time_it_is_saved(
        self, folder: Path
    ) -> None:
        watcher = self.watcher(folder)
        write(folder, "a", 0, -1)
        ((_, faults),) = self.told(watcher)
        assert "temperature must be greater than 0, is -1 " in str(faults)
        assert "a.yaml, line 3" in str(faults)
        for _ in range(2 * LOOKS_TO_RETRY):
            assert watcher.look() == []
        write(folder, "a", 0, -1, "\n")
        assert [name for name, _ in self.told(watcher)] == ["a.yaml"]

    def test_a_fault_that_mends_itself_is_noticed(self, folder: Path) -> None:
        watcher = self.watcher(folder)
        write(folder, "a", 0, 2.0, "checkpoint: late.safetensors\n")
        ((_, faults),) = self.told(watcher)
        assert "there is no checkpoint" in str(faults)
        (folder / "late.safetensors").touch()
        found = [finding for _ in range(LOOKS_TO_RETRY) for finding in watcher.look()]
        assert [what_of(finding) for finding in found[:1]] == [2.0]


def what_of(finding: object) -> object:
    match finding:
        case FileRead(file=PresetFile() as file):
            return file.preset.temperature
        case FileRead():
            return finding.faults
        case FileGone():
            return "gone"
        case _:
            return finding


@contextmanager
def reloading(folder: Path) -> Iterator[tuple[Callable[[], PresetsRead], list[Event]]]:
    """What is read from a folder on its way to the session, and the events beside it."""
    queue: SimpleQueue[Event] = SimpleQueue()
    performer = Performer([("default", None)], queue, factory="tests.fakes:load_but")
    reload = Reload(read_folder(folder), performer, queue)
    others: list[Event] = []

    def next_read() -> PresetsRead:
        for _ in range(1500):
            reload.poll()
            while not queue.empty():
                event = queue.get()
                if isinstance(event, PresetsRead):
                    return event
                others.append(event)
            sleep(0.02)
        pytest.fail("no presets were read")

    performer.start()
    reload.start()
    try:
        yield next_read, others
    finally:
        reload.close()
        performer.close()


def test_what_is_written_arrives_and_what_is_wrong_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with reloading(folder) as (next_read, _):
        write(folder, "a", 0, -1)
        write(folder, "c", 2, 3.0)
        assert numbers(next_read().presets) == [(0, "a"), (1, "b"), (2, "c")]
        (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert warning.startswith("preset 'a': temperature must be greater than 0")
        assert warning.endswith("a.yaml, line 3): it stays as it was")
        (folder / "b.yaml").unlink()
        assert numbers(next_read().presets) == [(0, "a"), (2, "c")]


def test_a_preset_is_there_when_its_checkpoint_is_loaded(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("broken", "steady"):
        (folder / f"{name}.safetensors").touch()
    with reloading(folder) as (next_read, others):
        write(folder, "a", 0, 2.0, "checkpoint: broken.safetensors\n")
        write(folder, "c", 2, 3.0, "checkpoint: steady.safetensors\n")
        presets = next_read().presets
        assert [(p.number, p.temperature) for p in presets] == [(0, 1.0), (1, 1.0), (2, 3.0)]
        assert presets[2].checkpoint.endswith("steady.safetensors")
        write(folder, "a", 0, 2.0, "\n")
        assert next_read().presets[0].temperature == 2.0
        assert caplog.text.count("broken.safetensors: cannot be read") == 1
        assert not any(isinstance(event, ModelLost) for event in others)
