"""What `--replay` and `--export` do: a log played again, told of, recorded, sent, written."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from bridge.events import Ask, ChannelMessage, NoteOn, Send
from bridge.export import Export
from bridge.ledger import percentile
from bridge.port_names import Wanted
from bridge.ports import Driver
from bridge.recording import Recording
from bridge.replay import Replay, Step

_ENDS = {
    "over": "",
    "full": "; there the log was as large as logs may be",
    "behind": "; there the disk no longer kept up",
}
_SHOWN = 300  # characters of a record that differs


def replay_or_export(options: argparse.Namespace, wanted: Wanted) -> int:
    """Do what the options say: 0 where the same comes of the log, else 1. Raises BridgeError.

    wanted: the ports it is played to, where that is asked for.
    """
    if options.export is not None:
        return _export(*options.export)
    replay = Replay(options.replay)
    hearing = _Hearing()
    began = perf_counter()
    for step in replay:
        hearing.take(step)
    took_s = perf_counter() - began
    for line in [*_told(replay, hearing), *_verdict(replay, f" in {took_s:.1f} s")]:
        print(line)
    if options.record is not None:
        tempo = replay.session.status().tempo
        hearing.recording.write(options.record, tempo, replay.head.settings.meter)
        print(f"wrote {options.record}")
    if options.live:
        _play(wanted, options.midi, replay, hearing.sent)
    return 0 if replay.difference is None else 1


class _Hearing:
    """What there is to hear and to count in a replay."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.sent: list[ChannelMessage] = []
        self.heard = self.asked = 0
        self.span: tuple[float, float] | None = None

    def take(self, step: Step) -> None:
        """One event, and what came of it."""
        self.span = (self.span[0] if self.span else step.now, step.now)
        self.heard += isinstance(step.event, NoteOn)
        self.recording.heard(step.event)
        for action in step.actions or ():
            self.asked += isinstance(action, Ask)
            if isinstance(action, Send):
                self.sent.append(action.message)
                self.recording.sent(action.message, max(step.now, action.message.time))


def _export(path: Path, out: Path) -> int:
    replay = Replay(path)
    export = Export(replay)
    export.follow()
    export.write(out)
    if replay.difference is not None:
        print("\n".join([*_verdict(replay), "written is what it played then"]))
    print(f"wrote {out}")
    return 0


def _told(replay: Replay, hearing: _Hearing) -> Iterator[str]:
    head = replay.head
    seconds = hearing.span[1] - hearing.span[0] if hearing.span else 0.0
    played = sum(isinstance(message, NoteOn) for message in hearing.sent)
    end = "; there it is cut off" if replay.ended is None else _ENDS[replay.ended]
    yield f"ports {head.name!r}, begun {head.began}, pianogen {head.made_by}"
    yield (
        f"{replay.count} events in {seconds / 60:.1f} minutes: {hearing.heard} notes heard, "
        f"{hearing.asked} plans asked for, {played} notes played{end}"
    )


def _verdict(replay: Replay, took: str = "") -> Iterator[str]:
    step = replay.difference
    if step is None:
        yield f"played again{took}: the same, to the byte"
        return
    yield f"played again{took}: another outcome from event {step.number} on"
    yield f"  then: {_short(step.logged)}"
    yield f"  now:  {_short(step.replayed)}"


def _short(record: bytes) -> str:
    text = record.decode(errors="replace")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _play(wanted: Wanted, driver: Driver, replay: Replay, sent: list[ChannelMessage]) -> None:
    from bridge.playback import play_again
    from bridge.ports import system_ports

    ports = system_ports(wanted, driver)
    ledger = play_again(sent, ports, replay.session.status())
    late = list(ledger.lateness_ms)
    print(
        f"sent {ledger.notes} notes, late by p50 {percentile(late, 0.5):.2f}, "
        f"p99 {percentile(late, 0.99):.2f} ms; notes left sounding: {len(ledger.sounding)}"
    )
