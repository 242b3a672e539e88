"""The MIDI ports as the daemon sees them, and whose they are: the system's, or JACK's by frame.

`auto` takes what reaches most: rtmidi, which is ALSA on Linux, and virtual ports elsewhere. Only
where JACK is all there is on Linux, and the extra `jack` is installed, JACK is spoken to directly.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from bridge.arrivals import Inbox
from bridge.events import ChannelMessage
from bridge.port_names import Wanted

Driver: TypeAlias = Literal["auto", "jack", "rtmidi"]
_ALSA_SEQUENCER = Path("/dev/snd/seq")


class Ports(Protocol):
    """A MIDI input and a MIDI output, as the daemon sees them."""

    def open(self, queue: Inbox) -> str:
        """Make the ports appear; events arrive on `queue`. Returns a line saying what is open."""

    def send(self, message: ChannelMessage) -> None:
        """Send one message now. Never raises: a lost port is `poll`'s business."""

    def poll(self) -> None:
        """Look whether the ports are still there, about once a second."""

    def close(self) -> None:
        """Make the ports go."""


def system_ports(wanted: Wanted, driver: Driver = "auto") -> Ports:
    """The ports to open; raises PortError where `driver` is "jack" and JACK cannot be had."""
    if _is_jack(driver):
        from bridge.jack_ports import JackPorts

        return JackPorts(wanted)
    from bridge.rtmidi_ports import RtMidiPorts

    return RtMidiPorts(wanted)


def list_ports(driver: Driver = "auto") -> tuple[list[str], list[str]]:
    """The names of the inputs and outputs there are; raises PortError without a MIDI system."""
    if _is_jack(driver):
        from bridge.jack_client import ports_there

        return ports_there()
    from bridge import rtmidi_ports

    return rtmidi_ports.list_ports()


def _is_jack(driver: Driver) -> bool:
    if driver != "auto":
        return driver == "jack"
    if sys.platform != "linux" or _ALSA_SEQUENCER.exists():
        return False
    from bridge.jack_client import is_installed

    return is_installed()
