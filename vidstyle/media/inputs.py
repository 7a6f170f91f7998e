"""Finds the input files of a command line, and names the results."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vidstyle.errors import InputError
from vidstyle.files import is_url, missing_file
from vidstyle.media.image_sequence import (
    FRAME_SUFFIXES,
    file_of,
    is_sequence,
    numbers_there,
    written_sequences,
)

STILL_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
# Kinds of pictures that people have and that cannot be read.
UNSUPPORTED_SUFFIXES = (".heic", ".heif", ".avif", ".bmp", ".jxl", ".jp2", ".dng", ".cr2", ".nef", ".arw")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts"),
    *(".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv", ".mxf"),
)


def is_still(path: Path) -> bool:
    """Whether the name says that this is a still picture."""
    return path.suffix.lower() in STILL_SUFFIXES and not is_sequence(path)


def expand(inputs: Iterable[str], *names: str) -> list[Path]:
    """The input files that files, folders (their clips and pictures) and globs name, in order, once each.

    names: of styles, or patterns such as `{stem}-{style}`. Their results of earlier runs are left out of a
    folder: `in.vlogger.mp4` and `in.vlogger-50.mp4` where there is an `in.mp4`. Raises InputError for what is
    not there.
    """
    return list(expand_folders(inputs, *names))


def expand_folders(inputs: Iterable[str], *names: str, recursive: bool = False) -> dict[Path, Path]:
    """`expand`, with the folder of each file below the folder that was named.

    recursive: take the folders in folders too, but for hidden ones.
    """
    sources: dict[str, Path] = {}
    below: dict[Path, Path] = {}
    for text in inputs:
        root = Path(text)
        for path in _files(text, names, recursive):
            inside = root.is_dir() and root in path.parents
            folder = path.parent.parent if is_sequence(path) and path.parent != root else path.parent
            below.setdefault(path, folder.relative_to(root) if inside else Path())
            sources.setdefault(os.path.realpath(path), path)
    return {path: below[path] for path in sources.values()}


def _files(text: str, names: Sequence[str], recursive: bool) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        found = _in_folder(path, names)
        if recursive:
            for home, folders, _ in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                found += _in_folder(Path(home), names) if Path(home) != path else []
        if not found:
            hint = "Name another one." if recursive else "Name another one, or add --recursive."
            raise InputError(f"{path}: there are no videos and no pictures in it. {hint}")
        return found
    if is_url(text) and not path.exists():
        raise missing_file(path)
    if path.exists() or not glob.has_magic(text):
        return [path]  # a missing file is reported by whoever opens it
    found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    files = [path for path in found if path.is_file()]
    if not files:
        raise InputError(f"{text}: no file matches this pattern. Check the path.")
    return files


def unsupported_in(folder: Path) -> list[Path]:
    """The pictures in a folder whose kind cannot be read, which `expand` leaves out."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in UNSUPPORTED_SUFFIXES)
    return [path for path in found if not path.name.startswith(".")]


def _in_folder(folder: Path, names_of_results: Sequence[str]) -> list[Path]:
    """The clips and pictures of a folder; pictures that vidstyle wrote as a clip are one input."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}). Check its permissions.") from error
    paths = [folder / name for name in names if not name.startswith(".")]
    paths = [path for path in paths if path.suffix.lower() in (*VIDEO_SUFFIXES, *STILL_SUFFIXES)]
    stems = {path.stem for path in paths}
    results = re.compile(
        "|".join(
            re.escape(name).replace(r"\{stem\}", f"(?P<stem{number}>.+)", 1)
            if "{stem}" in name
            else rf"(?P<stem{number}>.+)\.{re.escape(name)}(?:-.*)?"
            for number, name in enumerate(names_of_results)
        )
    )

    def is_result(path: Path) -> bool:
        made = results.fullmatch(path.stem) if names_of_results else None
        return made is not None and any(stem in stems for stem in made.groups() if stem != path.stem)

    paths = [path for path in paths if not is_result(path)]
    sequences = written_sequences(folder)
    frames = {file_of(pattern, number) for pattern in sequences for number in numbers_there(pattern)}
    return [*sequences, *(path for path in paths if path not in frames)]


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


def target_of(
    source: Path,
    name: str,
    output_dir: Path | None,
    suffixes: Sequence[str],
    *,
    always_named: bool = False,
) -> Path:
    """Where the result goes by default: beside the source as `in.vlogger.mp4`, or in a folder as `in.mp4`.

    name: what stands behind the source's name, or a pattern such as `{stem}.vlogger`. always_named: use it in
    output_dir too. suffixes: what the codec can be stored in; a clip in any other container gets the first of
    them. Numbered pictures are named by their folder, and as results they get one of their own.
    """
    suffix = source.suffix
    if not is_still(source) and suffix.lower() not in suffixes:
        suffix = suffixes[0]
    home, stem, frames = source.parent, source.stem, "%06d"
    if is_sequence(source):
        folder = Path(os.path.abspath(source.parent))
        home, stem, frames = folder.parent, folder.name, source.stem
    pattern = name if "{stem}" in name else f"{{stem}}.{name}"
    name = pattern.replace("{stem}", stem) if output_dir is None or always_named else stem
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
