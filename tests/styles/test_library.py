"""Styles by name: the shipped ones and the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.styles import tiny_style
from vidstyle.errors import StyleError
from vidstyle.styles import library
from vidstyle.styles.load import load_style


def test_an_own_style_is_found_by_its_name() -> None:
    """What stands in the user's folder is listed after the shipped styles and loads by name."""
    tiny_style(library.own_folder(), "alice")
    names = [facts.name for facts in library.list_styles()]
    assert names[-1] == "alice" and "vlogger" in names
    assert load_style("alice").name == "alice"
    with pytest.raises(StyleError, match="Did you mean alice"):
        load_style("alise")


def test_a_shipped_name_stays_the_shipped_style() -> None:
    """A shipped name stays the shipped style."""
    tiny_style(library.own_folder(), "vlogger")
    assert library.style_path("vlogger").parent == library.STYLE_FOLDER


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the folders of Linux")
def test_the_folder_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_DATA_HOME, or ~/.local/share where it is not set or relative, as its specification says."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert library.own_folder() == tmp_path / "vidstyle" / "styles"
    for useless in ("", "relative/place"):
        monkeypatch.setenv("XDG_DATA_HOME", useless)
        assert library.own_folder() == Path.home() / ".local" / "share" / "vidstyle" / "styles"


def test_a_style_of_another_version_is_told_as_such(tmp_path: Path) -> None:
    """Not called damaged: a newer vidstyle can read it."""
    from tests.helpers.styles import rewritten_style

    path = rewritten_style(tiny_style(tmp_path))
    path.write_bytes(path.read_bytes().replace(b"vidstyle-style-1", b"vidstyle-style-2"))
    with pytest.raises(StyleError, match=r"another version of vidstyle.*Update vidstyle"):
        load_style(path)
