"""A session log as a file: lines, compressed, in frames that are whole or count for nothing.

    pianogen-log 2\\n | length  crc32  bytes | length  crc32  bytes | ...

All frames together are one deflate stream, flushed at the end of each: what was written stays
readable whenever the writer is killed, and a frame cut off at the end is no error. Knows nothing of
what the lines say.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from bridge.errors import LogError

FORMAT = 2
SUFFIX = ".pianogen-log"

_MAGIC = re.compile(rb"pianogen-log (\d{1,9})\n")
_MAGIC_BYTES = 24  # the longest there can be
_FRAME = struct.Struct("<II")  # bytes that follow, their crc32
_MOST_FRAME = 1 << 26  # a frame that is said to be longer is damaged
_MOST_LINES = 1 << 28  # bytes of lines in one frame


class LogWriter:
    """A new log file; only its user may read it. Everything here raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file: BinaryIO = open(path, "xb", opener=_open_for_its_user)  # noqa: SIM115
        self._deflate = zlib.compressobj()
        self._put(b"pianogen-log %d\n" % FORMAT)

    def write(self, lines: Iterable[bytes]) -> None:
        """Write lines as one frame; when this returns, the system has it."""
        data = self._deflate.compress(b"".join(line + b"\n" for line in lines))
        data += self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._put(_FRAME.pack(len(data), zlib.crc32(data)) + data)

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        self.size += len(data)


def _open_for_its_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a log, as far as it goes; raises LogError for a file that is none or damaged."""
    try:
        with path.open("rb") as file:
            _read_magic(path, file)
            inflate = zlib.decompressobj()
            while (frame := _read_frame(path, file)) is not None:
                yield from _inflated(path, inflate, frame)
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error


def _read_magic(path: Path, file: BinaryIO) -> None:
    found = _MAGIC.match(file.read(_MAGIC_BYTES))
    if found is None:
        raise LogError(f"{path}: is no session log of pianogen-bridge")
    if int(found[1]) != FORMAT:
        raise LogError(
            f"{path}: is a session log of format {int(found[1])}, and this version reads "
            f"format {FORMAT}: use the version that wrote it"
        )
    file.seek(found.end())


def _read_frame(path: Path, file: BinaryIO) -> bytes | None:
    """The bytes of the next frame; None where no whole one is left."""
    header = file.read(_FRAME.size)
    if len(header) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(header)
    place = file.tell()
    data = file.read(length) if length <= _MOST_FRAME else b""
    if length > _MOST_FRAME or (len(data) == length and zlib.crc32(data) != checksum):
        raise LogError(f"{path}: is damaged at byte {place}")
    return data if len(data) == length else None


def _inflated(path: Path, inflate: zlib._Decompress, frame: bytes) -> list[bytes]:
    lines = b""
    with contextlib.suppress(zlib.error):
        lines = inflate.decompress(frame, _MOST_LINES)
    if not lines.endswith(b"\n") or inflate.unconsumed_tail:
        raise LogError(f"{path}: is damaged: its lines cannot be unpacked")
    return lines[:-1].split(b"\n")
