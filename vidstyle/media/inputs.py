"""Finds the input files of a command line, and names the results."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from vidstyle.errors import InputError
from vidstyle.media.image_sequence import FRAME_SUFFIXES, is_sequence

STILL_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
UNREAD_SUFFIXES = (".heic", ".heif", ".avif", ".bmp", ".gif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts"),
    *(".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".mxf"),
)


def is_still(path: Path) -> bool:
    """Whether the name says that this is a still picture."""
    return path.suffix.lower() in STILL_SUFFIXES and not is_sequence(path)


def expand(inputs: Iterable[str], style_name: str) -> list[Path]:
    """The input files that files, folders (their clips and pictures) and globs name, in order, once each.

    Results of an earlier run in the same style are left out of a folder: `in.vlogger.mp4` where there is an
    `in.mp4`. Raises InputError for what is not there.
    """
    sources: dict[str, Path] = {}
    for text in inputs:
        for path in _files(text, style_name):
            sources.setdefault(os.path.realpath(path), path)
    return list(sources.values())


def _files(text: str, style_name: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return _in_folder(path, style_name)
    if path.exists() or not glob.has_magic(text):
        return [path]  # a missing file is reported by whoever opens it
    found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    files = [path for path in found if path.is_file()]
    if not files:
        raise InputError(f"{text}: no file matches this pattern. Check the path.")
    return files


def _in_folder(folder: Path, style_name: str) -> list[Path]:
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
    paths = [folder / name for name in names if not name.startswith(".")]
    paths = [path for path in paths if path.suffix.lower() in (*VIDEO_SUFFIXES, *STILL_SUFFIXES)]
    stems = {path.stem for path in paths}
    made = f".{style_name}"
    paths = [
        path for path in paths if not (path.stem.endswith(made) and path.stem.removesuffix(made) in stems)
    ]
    if not paths:
        raise InputError(f"{folder}: there are no videos and no pictures in it. Name another one.")
    return paths


def passed_over(inputs: Iterable[str]) -> list[Path]:
    """The pictures in the folders among the inputs that are of kinds which cannot be read, by name."""
    found: list[Path] = []
    for folder in map(Path, inputs):
        if folder.is_dir():
            with suppress(OSError):  # whoever takes the folder's files reports it
                found += (path for path in folder.iterdir() if path.suffix.lower() in UNREAD_SUFFIXES)
    return sorted(path for path in found if not path.name.startswith("."))


def still_pictures(folder: Path) -> list[Path]:
    """The pictures in a folder, by name. InputError when there are none."""
    try:
        found = sorted(path for path in folder.iterdir() if is_still(path) and not path.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}). Name a folder of pictures."
        ) from error
    if not found:
        raise InputError(f"{folder}: holds no pictures. Name a folder that does.")
    return found


def picture_pairs(source: Path, result: Path) -> list[tuple[Path, Path]]:
    """Pictures with their results: two files, or all of a folder with those of the same names in another.

    A result may have another kind, or a style's name behind its own (`p.vlogger.png`). InputError when one is
    missing.
    """
    if not source.is_dir():
        return [(source, result)]
    results = still_pictures(result)
    pairs = []
    for path in still_pictures(source):
        fits = (
            [r for r in results if r.name == path.name]
            or [r for r in results if r.stem == path.stem]
            or [r for r in results if r.name.startswith(f"{path.stem}.")]
        )
        if len(fits) != 1:
            found = "several results" if fits else "no result"
            raise InputError(f"{result}: it holds {found} of {path.name}. Name the folder of the results.")
        pairs.append((path, fits[0]))
    return pairs


def target_of(source: Path, style_name: str, output_dir: Path | None, suffixes: Sequence[str]) -> Path:
    """Where the result goes by default: beside the source as `in.vlogger.mp4`, or in a folder as `in.mp4`.

    suffixes: what the codec can be stored in; a clip in any other container gets the first of them. Numbered
    pictures are named by their folder, and as results they get one of their own.
    """
    suffix = source.suffix
    if not is_still(source) and suffix.lower() not in suffixes:
        suffix = suffixes[0]
    home, stem, frames = source.parent, source.stem, "%06d"
    if is_sequence(source):
        folder = Path(os.path.abspath(source.parent))
        home, stem, frames = folder.parent, folder.name, source.stem
    name = stem if output_dir is not None else f"{stem}.{style_name}"
    home = home if output_dir is None else output_dir
    if not is_still(source) and suffix.lower() in FRAME_SUFFIXES:
        return home / name / (frames + suffix)
    return home / (name + suffix)


def check_distinct(pairs: Iterable[tuple[Path, Path]]) -> None:
    """ValueError if two sources share a target, or if a target is another source."""
    pairs = list(pairs)
    sources = {os.path.realpath(source): source for source, _ in pairs}
    taken: dict[str, Path] = {}
    for source, target in pairs:
        place = os.path.realpath(target)
        if place in taken:
            raise ValueError(
                f"{taken[place]} and {source} would both be written to {target}: name them apart"
            )
        if sources.get(place, source) != source:
            raise ValueError(
                f"the result of {source} would replace {target}, another input: choose another folder"
            )
        taken[place] = source
