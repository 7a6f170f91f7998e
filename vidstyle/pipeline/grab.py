"""grab_frame(): one restyled frame of a clip, as a picture."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidstyle.errors import InputError
from vidstyle.files import check_free, check_name
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.media.decode import Decoder
from vidstyle.media.image_file import Picture, encode_picture, fit_for, write_picture
from vidstyle.media.image_frames import picture_frame
from vidstyle.media.tiff import TiffTags
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.devices import device_of
from vidstyle.pipeline.has_color import color_warnings
from vidstyle.pipeline.painting import frame_margin, painting
from vidstyle.pipeline.plan import Plan, plan_segments, resolve
from vidstyle.pipeline.render import clip_of
from vidstyle.pipeline.still import StillReport
from vidstyle.styles.style import Style
from vidstyle.when import Moment

_LEAP = 10  # seconds from which on decoding begins at a keyframe on the way
_RUN_UP = 2  # seconds before the moment that are decoded at least


def grab_frame(
    source: Path | str, style: Style, target: Path | str, at: str, options: ApplyOptions | None = None
) -> StillReport:
    """Write one restyled frame of a clip as a picture; the suffix of the target chooses its kind.

    at: seconds (`3.2`), `hh:mm:ss.mmm` or a frame counted from 0 (`77f`); of a time, the frame that is shown
    then. The pixels are those that the whole clip restyled with `codec="png"` has there: a smoothed style
    looks at the neighbors. The picture is upright. Raises InputError, also for a place beyond the end,
    StyleError, DeviceError or OutputError; ValueError where `at` is no place.
    """
    started = time.perf_counter()
    if options is not None and options.ranges and not options.keep_rest:
        raise ValueError("at and ranges exclude each other without keep_rest: leave one out")
    source, target, moment = Path(source), Path(target), Moment.from_text(at)
    resolved, options = resolve(style, replace(options or ApplyOptions(), codec="png"))
    assert isinstance(resolved, Style)
    check_name(target)
    check_free(target, options.overwrite)
    plan = plan_segments(source, resolved.content_hash, device_of(resolved), target, options)
    if plan.hdr is not None and plan.options.hdr == "keep":
        raise InputError(f"{source}: a picture of it would not look right in HDR. Leave out --hdr keep.")
    options = plan.options
    frames, number = _around(plan, moment, frame_margin(options))
    pixels = _upright(_restyled(plan, resolved, options, frames, number), plan.info)
    warnings = (*color_warnings(plan.media, resolved), *plan.warnings)
    bgr = np.ascontiguousarray(pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]])
    picture = fit_for(target, Picture(bgr, {}, TiffTags({}), lossless=False, warnings=warnings))
    write_picture(target, encode_picture(target, picture))
    height, width = pixels.shape[:2]
    return StillReport(source, target, width, height, time.perf_counter() - started, picture.warnings)


def _around(plan: Plan, moment: Moment, margin: int) -> tuple[list[FrameBatch], int]:
    """The frame of the moment with `margin` frames on each side, as far as there are, and its number."""
    options, media = plan.options, plan.media
    with Decoder(media, stop=1) as decoder:
        first = next(iter(decoder.batches(1))).pts[0]
    with Decoder(media, deinterlace=options.deinterlace, hwaccel=options.hwaccel) as decoder:
        # A matte, and the frames in which faces are looked for, are told by the number of the frame, which
        # is not known after a leap.
        may_leap = not options.deinterlace and options.mask is None and options.protect is None
        if moment.seconds is not None and moment.seconds > _LEAP and may_leap:
            decoder.leap(float(moment.seconds) - _RUN_UP)
        window: deque[FrameBatch] = deque(maxlen=2 * margin + 2)
        wanted: int | None = None
        with closing(decoder.batches(1)) as batches:
            for batch in batches:
                window.append(batch)
                if wanted is None and moment.frame == batch.index:
                    wanted = batch.index
                if wanted is None and moment.seconds is not None:
                    begins = (batch.pts[0] - first) * batch.time_base
                    wanted = batch.index - 1 if begins > moment.seconds else None
                if wanted is not None and batch.index >= wanted + margin:
                    break
    if wanted is None and window:
        last = window[-1]
        end = (last.pts[0] - first + last.last_duration) * last.time_base
        if moment.seconds is not None and moment.seconds < end:
            wanted = last.index
        else:
            count = f"{last.index + 1} frames and " if moment.frame is not None else ""
            raise InputError(
                f"{plan.source}: there is no {moment} in it. It has {count}{float(end):.3f} s."
                " Give an earlier place."
            )
    if wanted is None:
        raise InputError(f"{plan.source}: there is no frame in it. Check the file.")
    return [batch for batch in window if abs(batch.index - wanted) <= margin], wanted


def _restyled(
    plan: Plan, style: Style, options: ApplyOptions, frames: Iterable[FrameBatch], number: int
) -> np.ndarray:
    """The frame of that number as RGB(A) [H, W, C], as a numbered picture would have it."""
    clip = clip_of(plan, plan.media.info)
    with painting(frames, style, options, clip, 1, lambda index: index == number) as painted:
        (whole,) = list(painted.batches)
    return picture_frame(whole, 0, plan.pixel_format, plan.info).to_ndarray()


def _upright(pixels: np.ndarray, info: VideoInfo) -> np.ndarray:
    """The pixels as they are looked at: turned, and mirrored, as the display matrix asks."""
    matrix = info.rotation
    if matrix is not None and matrix[0] * matrix[4] - matrix[1] * matrix[3] < 0:
        pixels = pixels[::-1]
    return np.rot90(pixels, info.quarter_turns)
