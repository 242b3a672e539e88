"""The shape of the code: what may import what. Read from the source, nothing is run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from pianogen.presets import CONTROLS_FILE

ROOT = Path(__file__).parent.parent
PURE = ("arrivals", "asking", "candidates", "clock", "context", "control_map", "controls",
        "controls_text", "ears", "echo", "events", "gestures", "jack_frames", "learn",
        "loads", "log_records", "loudness", "measure", "parts", "pedal", "pedalling", "phrase",
        "plain", "plan_figures", "plans", "playing", "recall", "roles", "scheduler", "session",
        "simulation", "slowness", "sounding", "stages", "state_out", "status", "thru", "timeline",
        "transport", "voice", "what_moved")  # fmt: skip
OUTSIDE = {"torch", "numpy", "mido", "rtmidi", "pretty_midi", "threading", "multiprocessing"}


def imported(path: Path) -> set[str]:
    """The top-level names a file imports anywhere, save under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_pianogen_never_imports_bridge() -> None:
    assert [path.name for path in sources("pianogen") if "bridge" in imported(path)] == []


@pytest.mark.parametrize("name", PURE)
def test_the_core_knows_no_port_thread_or_network(name: str) -> None:
    assert imported(ROOT / "bridge" / f"{name}.py") & OUTSIDE == set()


def test_only_the_ports_know_the_driver() -> None:
    drivers = {"rtmidi", "jack", "mido"}
    users = {path.name for path in sources("bridge") if imported(path) & drivers}
    assert users == {"rtmidi_ports.py", "jack_client.py"}


def test_only_midi_file_knows_midi_files() -> None:
    users = {path.name for path in sources("pianogen") if imported(path) & {"mido", "pretty_midi"}}
    assert users == {"midi_file.py"}


@pytest.mark.parametrize("module", ["bridge", "pianogen", "bridge.cli", "pianogen.cli"])
def test_importing_is_light(module: str) -> None:
    heavy = "{'torch', 'numpy', 'mido', 'rtmidi', 'rich'} & set(sys.modules)"
    code = f"import sys, {module}; sys.exit(', '.join({heavy}) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_readme_gives_the_command_that_ci_runs() -> None:
    command = (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert f"\n{command}\n" in (ROOT / "README.md").read_text()


def test_the_readme_names_every_file_of_the_packages() -> None:
    readme = (ROOT / "README.md").read_text()
    files = [*sources("bridge"), *sources("pianogen")]
    missing = [p.name for p in files if p.name != "__init__.py" and f" {p.name} " not in readme]
    assert missing == []


def test_every_preset_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "presets").glob("*.yaml"):
        if path.name == CONTROLS_FILE:
            continue
        assert f"`{path.stem}`" in readme
