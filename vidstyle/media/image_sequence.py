"""Numbered pictures that form a clip: their names, numbers and sidecar.

A sequence is named by a path with one number in it, as in `shot/frame_%05d.png`.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from vidstyle.errors import InputError
from vidstyle.files import is_url, missing_file
from vidstyle.media.whole_picture import what_is_wrong

FRAME_SUFFIXES = (".png", ".exr", ".tif", ".tiff", ".jpg", ".jpeg", ".dpx", ".webp", ".bmp")
FORMAT = "vidstyle-sequence-1"
_HIGHEST_NUMBER = 2**31 - 1  # FFmpeg counts pictures in 32 bits
_MOST_MISSING = 1_000_000  # with more gaps than this the numbers mean something else
_NUMBER = re.compile(r"%0?(\d*)d")


def is_sequence(path: Path) -> bool:
    """Whether a path is a pattern of numbered pictures, and not a file that really has that name."""
    return len(_NUMBER.findall(path.name)) == 1 and not path.exists()


def file_of(pattern: Path, number: int) -> Path:
    """The path of the picture with this number."""
    match = _NUMBER.search(pattern.name)
    assert match is not None
    before, after = pattern.name[: match.start()], pattern.name[match.end() :]
    return pattern.with_name(f"{before}{number:0{int(match[1] or 1)}d}{after}")


def sidecar_of(pattern: Path) -> Path:
    """`shot/frame.json` for `shot/frame_%05d.png`; `shot/sequence.json` where a file is only a number."""
    words = _NUMBER.split(pattern.stem)[0].rstrip("._- ")
    return pattern.with_name(f"{words or 'sequence'}.json")


def numbers_there(pattern: Path) -> list[int]:
    """The numbers of the files that exist, in order."""
    match = _NUMBER.search(pattern.name)
    assert match is not None
    before, after = re.escape(pattern.name[: match.start()]), re.escape(pattern.name[match.end() :])
    fits = re.compile(f"{before}(\\d+){after}")
    try:
        names = os.listdir(pattern.parent)
    except OSError:
        return []
    found = [int(hit[1]) for hit in map(fits.fullmatch, names) if hit]
    return sorted(number for number in found if file_of(pattern, number).name in names)


def sidecar(pattern: Path) -> dict[str, Any]:
    """The facts in the sidecar; empty where there is none that vidstyle wrote."""
    try:
        facts = json.loads(sidecar_of(pattern).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else {}


def written_sequences(folder: Path) -> list[Path]:
    """The patterns of the clips that vidstyle wrote into a folder as pictures, each with its sidecar."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            continue
        name = str(facts.get("files"))
        pattern = folder / name
        if Path(name).name == name and is_sequence(pattern) and sidecar_of(pattern) == path:
            found += [pattern] if numbers_there(pattern) else []
    return found


@dataclass(frozen=True)
class ImageSequence:
    """Numbered pictures as they were found: which numbers there are, and how fast they follow."""

    first: int
    """Number of the first picture."""
    count: int
    """How many pictures there are; their numbers have no gap."""
    fps: Fraction
    """Pictures per second."""

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)


def find_sequence(pattern: Path, *, fps: Fraction | None = None) -> ImageSequence:
    """Look for the pictures of a pattern. fps: their rate; None is the rate in their sidecar.

    InputError when the rate is not known, when there is no picture, or when one is missing in between.
    """
    rate = fps or _rate_of_sidecar(pattern)
    numbers = numbers_there(pattern)
    if not numbers:
        raise InputError(f"{pattern}: there are no such pictures. Check the path.")
    _check_gaps(pattern, numbers)
    for number in numbers:
        wrong = what_is_wrong(file_of(pattern, number))
        if wrong is not None:
            raise InputError(
                f"{file_of(pattern, number)}: this picture {wrong}. Make it again, or take it out and number "
                "the others without a gap."
            )
    return ImageSequence(first=numbers[0], count=len(numbers), fps=rate)


def _check_gaps(pattern: Path, numbers: list[int]) -> None:
    """Raise InputError unless the numbers, which are sorted, follow each other."""
    first, last = numbers[0], numbers[-1]
    missing = last - first + 1 - len(numbers)
    if last > _HIGHEST_NUMBER or missing > max(_MOST_MISSING, 100 * len(numbers)):
        raise InputError(
            f"{pattern}: {first} and {last} look like times and not like numbers that follow each other. "
            "Number the pictures 1, 2, 3 and so on in a copy of the folder."
        )
    if missing:
        gap = next(before + 1 for before, after in pairwise(numbers) if after > before + 1)
        raise InputError(
            f"{pattern}: picture {gap} is missing, {missing} in all between {first} and {last}. "
            "Put them there, or number the others without a gap."
        )


def _rate_of_sidecar(pattern: Path) -> Fraction:
    try:
        return Fraction(sidecar(pattern)["fps"])
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"{pattern}: the frame rate of these pictures is unknown. Add --fps.") from error


def pattern_of(text: str) -> Path:
    """The pattern of the sequence that a folder, a glob or a path with %d names. Raises InputError."""
    path = Path(text)
    if is_sequence(path):
        return path
    if path.is_dir():
        names = [entry.path for entry in os.scandir(path) if entry.is_file()]
    else:
        names = glob.glob(text)
    files = [Path(name) for name in names if Path(name).suffix.lower() in FRAME_SUFFIXES]
    files = [file for file in files if not file.name.startswith(".")]
    if not files and is_url(text):
        raise missing_file(path)
    if not files:
        raise InputError(
            f"{text}: there are no pictures. Name a folder of them, or a pattern like f_%05d.png."
        )
    return _common(text, files)


def _common(text: str, files: Sequence[Path]) -> Path:
    parts = [re.fullmatch(r"(.*?)(\d+)(\.\w+)", file.name) for file in files]
    unnumbered = next((file for file, part in zip(files, parts, strict=True) if part is None), None)
    if unnumbered is not None:
        raise InputError(f"{text}: {unnumbered.name} has no number. Name the others by a pattern.")
    groups = {(part[1], part[3]) for part in parts if part}
    if len(groups) > 1:
        names = " and ".join(f"{before}%d{after}" for before, after in sorted(groups)[:2])
        raise InputError(f"{text}: there are several sequences ({names}). Name one of them by its pattern.")
    before, after = groups.pop()
    digits = [part[2] for part in parts if part]
    padded = any(number.startswith("0") and len(number) > 1 for number in digits)
    width = f"0{min(map(len, digits))}" if padded else ""
    return files[0].with_name(f"{before.replace('%', '%%')}%{width}d{after}")


def parse_rate(text: str) -> Fraction:
    """Frames per second from text like 24, 23.976 or 24000/1001; 23.976 is 24000/1001. Raises ValueError."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"fps must be a number like 24, 29.97 or 24000/1001, not {text!r}") from error
    if not 0 < rate <= 1000:
        raise ValueError(f"fps must be above 0 and at most 1000, not {text}")
    near = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    return near if rate.denominator > 1 and abs(near - rate) < Fraction(1, 150) and "/" not in text else rate
