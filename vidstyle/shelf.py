"""Styles by name: those that came with vidstyle, then those of this user. Knows no pictures."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path

from vidstyle.errors import StyleError
from vidstyle.style import StyleFacts, read_facts

STYLE_FOLDER = Path(__file__).parent / "styles"
SUFFIX = ".safetensors"


def own_folder() -> Path:
    """Where the styles of this user stand: in the folder that the system keeps for data of programs."""
    home = Path.home()
    if sys.platform == "win32":
        data = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        named = os.environ.get("XDG_DATA_HOME", "")
        # The specification wants relative paths to be ignored.
        data = Path(named) if os.path.isabs(named) else home / ".local" / "share"
    return data / "vidstyle" / "styles"


def style_files() -> list[Path]:
    """The files of all styles that can be named: the shipped ones, then the user's, each by name.

    A name belongs to a shipped style first.
    """
    found: dict[str, Path] = {}
    for folder in (STYLE_FOLDER, own_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if not path.name.startswith("."):
                found.setdefault(path.stem, path)
    return list(found.values())


def list_styles() -> list[StyleFacts]:
    """Facts of the styles that can be named. StyleError when a file is damaged."""
    return [read_facts(path) for path in style_files()]


def style_path(name_or_path: str) -> Path:
    """Where a style lies that is named, or given by the path of its file. StyleError for an unknown name."""
    path = Path(name_or_path)
    if path.suffix == SUFFIX or os.sep in name_or_path:
        return path
    for file in style_files():
        if file.stem == name_or_path:
            return file
    raise StyleError(_unknown(name_or_path))


def _unknown(name: str) -> str:
    known = [path.stem for path in style_files()]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    return (
        f"{name}: there is no such style. {hint}"
        f"Known styles: {', '.join(known) or 'none'}; or give the path of a {SUFFIX} file."
    )
