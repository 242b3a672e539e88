"""A running daemon's figures where another process can read them: one small file a port name.

The file is mapped into memory, so that publishing costs the daemon a copy and no more: no server,
nothing to wait for. It is written under a sequence counter (a seqlock), so that a reader never
takes half of one snapshot and half of the next:

    byte 0         8        12       16 ...
         sequence  length   crc32    JSON
         odd while it is written

It lies in a folder that only this user may open, and goes when the daemon ends. What a daemon that
died has left behind is told by its process and its heartbeat.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.parse import quote
from zlib import crc32

from bridge.errors import BridgeError

SILENT_S = 5.0  # a daemon whose figures are older has died, or hangs
_SIZE = 16_384
_SEQUENCE, _REST = struct.Struct("<Q"), struct.Struct("<II")
_BEGIN = _SEQUENCE.size + _REST.size
_TRIES, _BETWEEN_S = 50, 0.002  # a snapshot is written in microseconds


class NotRunningError(BridgeError):
    """No daemon of that name is running."""


class Publication:
    """The writing end, for the daemon.

    name: of its ports. Raises BridgeError where another daemon has it, or the folder is not ours.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._path = _path(name, runtime_folder() if folder is None else folder)
        self._sequence = 0
        self._map = _create(self._path, name)

    def write(self, figures: Mapping[str, Any]) -> None:
        """Publish a snapshot in place of the last; process and heartbeat are added."""
        whole = {**figures, "pid": os.getpid(), "heartbeat": perf_counter()}
        data = json.dumps(whole, allow_nan=False).encode()
        if len(data) > _SIZE - _BEGIN:
            raise ValueError(f"a snapshot of {len(data)} bytes is too large to publish")
        _SEQUENCE.pack_into(self._map, 0, self._sequence + 1)
        _REST.pack_into(self._map, _SEQUENCE.size, len(data), crc32(data))
        self._map[_BEGIN : _BEGIN + len(data)] = data
        self._sequence += 2
        _SEQUENCE.pack_into(self._map, 0, self._sequence)

    def close(self) -> None:
        """Take it away."""
        self._map.close()
        with contextlib.suppress(OSError):  # Windows keeps it while somebody reads; it counts for
            self._path.unlink(missing_ok=True)  # nothing, once this process is gone


def read(name: str, folder: Path | None = None) -> dict[str, Any]:
    """What the running daemon of that name says of itself; raises NotRunningError without one."""
    path = _path(name, runtime_folder() if folder is None else folder)
    figures = _read(path)
    if figures is None:
        raise NotRunningError(
            f"no daemon with the ports {name!r} is running: start pianogen-bridge, "
            "or name its ports with --port"
        )
    if not _is_live(figures):
        raise NotRunningError(
            f"the daemon with the ports {name!r} (process {figures['pid']}) has ended without a "
            "word, or hangs: start it anew"
        )
    return figures


def runtime_folder() -> Path:
    """Where this user's daemons publish; made where it is missing. Raises BridgeError."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir():
        folder = Path(given) / "pianogen"
    else:
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        folder = Path(tempfile.gettempdir()) / f"pianogen-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise BridgeError(f"{folder}: cannot be used ({error.strerror})") from error
    if hasattr(os, "getuid"):
        is_open = stat.S_IMODE(found.st_mode) & 0o077
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or is_open:
            raise BridgeError(f"{folder}: must be a folder of yours alone (chmod 700); remove it")
    return folder


def _path(name: str, folder: Path) -> Path:
    return folder / f"{quote(name, safe=' ')}.status"


def _create(path: Path, name: str) -> mmap.mmap:
    """The file of a name, mapped; what a dead daemon left is taken away first."""
    figures = _read(path)
    if figures is not None and _is_live(figures):
        raise BridgeError(
            f"another daemon (process {figures['pid']}) has the ports {name!r}: "
            "--status tells of that one; --port gives this one a name of its own"
        )
    try:
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BridgeError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        os.write(handle, bytes(_SIZE))
        return mmap.mmap(handle, _SIZE)
    finally:
        os.close(handle)


def _read(path: Path) -> dict[str, Any] | None:
    """A whole snapshot, or None where there is none (yet)."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), _SIZE, access=mmap.ACCESS_READ) as m:
            for _ in range(_TRIES):
                if (data := _consistent(m)) is not None:
                    found: dict[str, Any] = json.loads(data)
                    return found
                sleep(_BETWEEN_S)
    except (OSError, ValueError):
        return None
    return None


def _consistent(source: mmap.mmap) -> bytes | None:
    """One reading; None where the writer was at it meanwhile."""
    (before,) = _SEQUENCE.unpack_from(source, 0)
    length, checksum = _REST.unpack_from(source, _SEQUENCE.size)
    if before == 0 or before % 2 or length > _SIZE - _BEGIN:
        return None
    data = source[_BEGIN : _BEGIN + length]
    (after,) = _SEQUENCE.unpack_from(source, 0)
    return data if after == before and crc32(data) == checksum else None


def _is_live(figures: Mapping[str, Any]) -> bool:
    """Whether its process is there and was heard of; all processes share the monotonic clock."""
    if not 0 <= perf_counter() - figures["heartbeat"] < SILENT_S:
        return False
    if sys.platform == "win32":  # there a signal of 0 would end it
        return True
    try:
        os.kill(figures["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
