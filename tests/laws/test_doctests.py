"""The examples in the docstrings of the public names are run as they stand."""

from __future__ import annotations

import doctest
import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest

import vidstyle
from tests.helpers.desk import readme_desk

PUBLIC = {name: getattr(vidstyle, name) for name in vidstyle.__all__ if name != "__version__"}
EXAMPLES = [
    example
    for name, thing in PUBLIC.items()
    for example in doctest.DocTestFinder(recurse=True).find(thing, name, module=False)
    if example.examples
]
# Classes of what a program is given; their makers have the examples.
GIVEN = {"Frame", "Frames", "Progress", "Reader", "Report", "ApplyOptions"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return readme_desk(tmp_path_factory.mktemp("desk"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs(
    example: doctest.DocTest, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the files that it names, with the results that it shows."""
    for name in ("in.mp4", "still.jpg"):
        shutil.copy(desk / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert result.attempted and not result.failed, "".join(said)


def test_every_public_name_has_an_example() -> None:
    """Functions and classes that a program calls itself; and what a style does beside being called."""
    shown = {example.name for example in EXAMPLES}

    def is_error(thing: Any) -> bool:
        return inspect.isclass(thing) and issubclass(thing, Exception)

    wanted = {name for name, thing in PUBLIC.items() if not is_error(thing)} - GIVEN
    assert wanted | {"Style.with_", "Style.lut"} <= shown
