"""Writes segments whose packets are pictures as numbered files with a sidecar."""

from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error

from vidstyle.errors import OutputError
from vidstyle.files import check_writable, file_url, map_write_error
from vidstyle.frames import VideoInfo
from vidstyle.media.image_sequence import (
    FORMAT,
    file_of,
    is_sequence,
    numbers_there,
    sidecar_of,
)
from vidstyle.media.probe import Source
from vidstyle.media.segments import Committed
from vidstyle.media.view_marks import in_words

_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 12: "p3-d65"}
_TRANSFER = {
    1: "bt709",
    6: "smpte170m",
    8: "linear",
    13: "srgb",
    14: "bt2020",
    15: "bt2020",
    16: "pq",
    18: "hlg",
}


def check_sequence(source: Source, target: Path, *, suffixes: tuple[str, ...], codec: str) -> list[str]:
    """Raise OutputError when target cannot be a sequence; return warnings."""
    if target.suffix.lower() not in suffixes or not is_sequence(target):
        raise OutputError(
            f"{target}: {codec} writes numbered pictures. Name them like frame_%05d{suffixes[0]}."
        )
    check_writable(target.parent if not target.parent.is_dir() else target)
    left = left_out(source)
    if not left:
        return []
    return [f"pictures hold no {', '.join(left)}: take them from the source"]


def left_out(source: Source) -> list[str]:
    """What a source holds beside its pictures, in words."""
    kinds = [stream.type for stream in source.others]
    counted = [f"{kind} ({kinds.count(kind)})" for kind in dict.fromkeys(kinds)]
    chapters = [f"chapters ({len(source.chapters)})"] if source.chapters else []
    return [*counted, *chapters, *in_words(source.marks)]


def write_sequence(
    source: Source,
    target: Path,
    segments: list[Committed],
    *,
    folder: Path,
    info: VideoInfo,
    start_number: int | None,
    overwrite: bool,
) -> None:
    """Write every packet of the segments as a file, then the sidecar.

    Numbers begin with start_number, or as those of the source do.
    All files are complete under a hidden folder before the first gets its name. Raises OutputError when a
    frame is missing, and then there is no new file.
    """
    if start_number is None:
        start_number = source.first_number
    part = target.parent / f".{sidecar_of(target).stem}.{os.getpid()}.part"
    try:
        part.mkdir(parents=True)
        pts = _unpack(target, part, segments, folder, start_number)
        sidecar = part / "sidecar"
        sidecar.write_text(
            json.dumps(
                _facts(source.path, target, info, start_number, pts, segments[-1].last_duration), indent=1
            ),
            encoding="utf-8",
        )
        old = {file_of(target, number) for number in numbers_there(target)}
        if (old or sidecar_of(target).exists()) and not overwrite:
            raise OutputError(f"{target}: such files exist by now. Choose another target or use --overwrite.")
        new = [file_of(target, start_number + number) for number in range(len(pts))]
        sidecar_of(target).unlink(missing_ok=True)  # it describes the files that are about to be replaced
        for path in new:
            os.replace(part / path.name, path)
        for stale in old.difference(new):
            stale.unlink()
        os.replace(sidecar, sidecar_of(target))
    except (OSError, av.error.FFmpegError) as error:
        map_write_error(target, error)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack(
    target: Path, part: Path, segments: list[Committed], folder: Path, start_number: int
) -> list[int]:
    """Write every packet into a file of its own, and return the timestamps of the files in order."""
    pts: list[int] = []
    for segment in segments:
        with av.open(file_url(folder / segment.data), options={"ignore_editlist": "1"}) as file:
            number = segment.start
            for packet in file.demux(video=0):
                if packet.size:
                    (part / file_of(target, start_number + number).name).write_bytes(bytes(packet))
                    number += 1
        if number != segment.stop:
            raise OutputError(
                f"{target}: segment {segment.number} does not have its "
                f"{segment.stop - segment.start} frames. "
                "Run the same command again."
            )
        pts += segment.packet_pts
    return pts


def _facts(
    source: Path, target: Path, info: VideoInfo, first: int, pts: list[int], last_duration: int
) -> dict[str, Any]:
    """The content of the sidecar: what the pictures themselves cannot say."""
    steps = {after - before for before, after in pairwise(pts)}
    even = len(steps) == 1
    fps = 1 / (next(iter(steps)) * info.time_base) if even else info.average_fps
    is_light = target.suffix.lower() == ".exr"
    return {
        "format": FORMAT,
        "source": source.name,
        "files": target.name,
        "first": first,
        "frames": len(pts),
        "fps": str(Fraction(fps)),
        "even": even or len(pts) < 2,
        "time_base": str(info.time_base),
        "pts": pts,
        "last_duration": last_duration,
        "width": info.width,
        "height": info.height,
        "sample_aspect_ratio": str(info.sample_aspect_ratio),
        "rotation": info.rotation,
        "primaries": _PRIMARIES.get(info.primaries, "unknown"),
        "transfer": "linear" if is_light else _TRANSFER.get(info.transfer, "unknown"),
    }
