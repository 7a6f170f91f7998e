"""apply() from Python in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.styles import tiny_style
from vidstyle import ApplyOptions, StyleError, apply, load_style


def test_a_name_and_options_by_name(tmp_path: Path, clip: Callable[..., Path]) -> None:
    """apply("a.mp4", "vlogger", "b.mp4", strength=0.5) is the long form, byte for byte."""
    style = tiny_style(tmp_path, "alice")
    source = str(clip("plain.mp4", frames=4))
    apply(source, str(style), str(tmp_path / "a.mp4"), strength=0.5, device="cpu")
    options = ApplyOptions(strength=0.5, device="cpu")
    apply(source, load_style(style, device="cpu"), tmp_path / "b.mp4", options)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    with pytest.raises(ValueError, match="strength must be"):
        apply(source, style, tmp_path / "c.mp4", strength=3)
    with pytest.raises(StyleError, match="no such style"):
        apply(source, "nothing", tmp_path / "c.mp4")
