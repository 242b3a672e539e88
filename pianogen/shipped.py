"""The checkpoints that come with the package, by name.

A name is a word: without a folder before it and without a suffix. What ships under a word wins
over whatever lies where one stands, so that a preset means the same everywhere; a folder of that
name is reached as `./NAME`.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "checkpoints"
DEFAULT = "default"
ALSO_CALLED = {"hybrid": DEFAULT}  # the family whose checkpoint is the default


def shipped() -> dict[str, Path]:
    """The file of each checkpoint in the package, by its name; the default first."""
    files = sorted(FOLDER.glob("*.safetensors"), key=lambda file: (file.stem != DEFAULT, file.stem))
    return {file.stem: file for file in files}


def shipped_name(text: str) -> str | None:
    """The name by which `text` means a checkpoint of the package; None where it means none."""
    name = ALSO_CALLED.get(text, text)
    return name if name in shipped() else None


def is_word(text: str) -> bool:
    """Whether it looks like a name, rather than like the path of a file or a folder."""
    return "/" not in text and "\\" not in text and "." not in text and text not in ("", "~")


def names() -> str:
    """All there are, for an error's line."""
    return ", ".join(shipped())
