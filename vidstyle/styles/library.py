"""Styles by name: the built-in ones, then the user's own.

Modules that read weights are imported late: a list of names cannot wait for torch.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from vidstyle.errors import OutputError, StyleError
from vidstyle.files import check_free, map_write_error, written_whole
from vidstyle.styles.header import StyleFacts, read_facts
from vidstyle.styles.spec import LUT_SUFFIXES, is_lut, names_a_file, parse_style, style_name

STYLE_FOLDER = Path(__file__).parent / "builtin"
SUFFIX = ".safetensors"
NAME = re.compile("[a-z0-9][a-z0-9_-]{0,39}")


def own_folder() -> Path:
    """The folder of this user's styles, inside the folder where the system keeps data of programs."""
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
    """The files of all styles that have a name: the built-in ones, then the user's, each sorted by name.

    A built-in style goes before a user's style of the same name.
    """
    found: dict[str, Path] = {}
    for folder in (STYLE_FOLDER, own_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if not path.name.startswith("."):
                found.setdefault(path.stem, path)
    return list(found.values())


def list_styles() -> list[StyleFacts]:
    """Facts of all styles that have a name. StyleError when a file is damaged.

    >>> import vidstyle
    >>> [facts.family for facts in vidstyle.list_styles() if facts.name == "vlogger"]
    ['photographic']
    """
    return [read_facts(path) for path in style_files()]


def style_path(name_or_path: str) -> Path:
    """The file of a style, given by name or by path. StyleError for an unknown name."""
    path = Path(name_or_path)
    if names_a_file(name_or_path):
        return path
    name = _known_name(name_or_path)
    for file in style_files():
        if file.stem == name:
            return file
    raise StyleError(_unknown(name_or_path))


def result_name(wanted: str) -> str:
    """What results of a style or a blend are called, whatever the case that it was typed in. StyleError."""
    parts = parse_style(wanted)
    return style_name([replace(part, style=_known_name(part.style)) for part in parts])


def _known_name(name: str) -> str:
    """The name of the style that is meant: this one, or the one that differs from it only in its case."""
    names = [file.stem for file in style_files()]
    if name in names:
        return name
    return next((known for known in names if known.casefold() == name.casefold()), name)


def own_path(name: str) -> Path:
    """The file of a user's style, whether it exists or not. StyleError for a name that is not allowed.

    Names are plain, so that none leads out of the folder, and no name of a built-in style is allowed.
    """
    if not NAME.fullmatch(name):
        raise StyleError(
            f"{name!r}: not a valid style name. Use up to 40 lowercase letters, digits, - and _."
        )
    if (STYLE_FOLDER / f"{name}{SUFFIX}").exists():
        raise StyleError(f"{name}: a built-in style has this name. Choose another name with --name.")
    return own_folder() / f"{name}{SUFFIX}"


def add_style(file: Path, name: str | None = None, overwrite: bool = False) -> Path:
    """Copy a style file into the user's folder, so that it has a name; with its card and sheet, if any.

    A `.cube` or a HaldCLUT picture becomes a style that holds its table exactly.
    Card and sheet are inside the file (see `export_style`) or beside it. name: by default that of the file,
    else the one in the style's facts. StyleError when this vidstyle cannot read the file, OutputError when
    there is a style of that name. Nothing is changed then.
    """
    from vidstyle.styles.bundle import Attachments, card_path, copy_style, read_attachments, sheet_path
    from vidstyle.styles.lut_style import as_style_file
    from vidstyle.styles.style_file import read_network

    facts = read_facts(file)
    plain = re.sub("[^a-z0-9]+", "_", file.stem.lower()).strip("_")[:40] if is_lut(file) else file.stem
    chosen = name or next((n for n in (plain, facts.name) if NAME.fullmatch(n)), file.stem)
    target = own_path(chosen)
    check_free(target, overwrite)
    with as_style_file(file) as style:
        read_network(style)
        attached = read_attachments(style)
        # The style comes last: a style that has a name is complete.
        _replace(card_path(target), attached.card.encode())
        _replace(sheet_path(target), attached.sheet)
        return copy_style(style, target, chosen, Attachments())


def remove_style(name: str) -> Path:
    """Delete a style from the user's folder. StyleError when there is none, or for a built-in style."""
    from vidstyle.styles.bundle import card_path, sheet_path

    if (STYLE_FOLDER / f"{name}{SUFFIX}").exists():
        own = [file.stem for file in style_files() if file.parent == own_folder()]
        raise StyleError(
            f"{name}: it came with vidstyle and goes with it, it cannot be removed alone. "
            f"Remove a style of your own: {', '.join(own) or 'there is none yet'}."
        )
    path = own_path(name)
    if not path.is_file():
        raise StyleError(_unknown(name))
    try:
        for file in (path, card_path(path), sheet_path(path)):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror}). Check the folder.") from error
    return path


def export_style(name: str, target: Path, overwrite: bool = False) -> Path:
    """Write one file to share: the style with its card and its sheet inside. StyleError, OutputError."""
    from vidstyle.styles.bundle import copy_style, read_attachments
    from vidstyle.styles.lut_style import as_style_file

    source = style_path(name)
    if target.suffix != SUFFIX:
        raise OutputError(
            f"{target}: the name of a style file must end in {SUFFIX}. Use {target.stem}{SUFFIX}."
        )
    check_free(target, overwrite)
    with as_style_file(source) as style:
        return copy_style(style, target, read_facts(style).name, read_attachments(style))


def _replace(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; with nothing to write, remove it. OutputError."""
    if content:
        with written_whole(path) as part:
            part.write_bytes(content)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        map_write_error(path, error)


def _unknown(name: str) -> str:
    known = [path.stem for path in style_files()]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    return (
        f"{name}: there is no such style. {hint}"
        f"Known styles: {', '.join(known) or 'none'}; or give the path of a {SUFFIX} or "
        f"{LUT_SUFFIXES[0]} file."
    )
