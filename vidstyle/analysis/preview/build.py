"""preview(): every style on keyframes and excerpts of a clip, as a web page and a contact sheet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.preview.command import apply_arguments
from vidstyle.analysis.preview.contact_sheet import jpeg
from vidstyle.analysis.preview.output import check_targets, page_and_sheet, write_all
from vidstyle.analysis.preview.page import page
from vidstyle.analysis.preview.page_data import STRENGTHS, PreviewContent, PreviewStyle, Still, Video
from vidstyle.analysis.preview.reel import DisplayFrames, Reel, encode_h264, measure_flicker
from vidstyle.analysis.preview.where import WhereInClip, where_arguments, where_in_picture, within
from vidstyle.analysis.shots import (
    Candidate,
    Scene,
    SceneList,
    detect_scenes,
    read_frames,
    select_excerpts,
    select_keyframes,
)
from vidstyle.errors import InputError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.media.probe import probe
from vidstyle.options import ApplyOptions, PreviewOptions
from vidstyle.pipeline.amount import is_mixed
from vidstyle.pipeline.apply import Progress
from vidstyle.pipeline.apply import apply as apply_style
from vidstyle.pipeline.has_color import has_color
from vidstyle.pipeline.plan import plain
from vidstyle.styles.library import list_styles
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

# All stills and all videos of a page may take so much each. As base64 text they take a third more.
_STILLS_BYTES = _VIDEOS_BYTES = 8_500_000
_VIDEO_SCALE = 0.75  # size of the videos, of that of the stills
_MATTE = "matte%06d.png"  # of the frames of the video
_OPENED = "vlogger"  # the style that the page opens on where none is asked for
_RGB = PlaneFormat(8, (0, 0), "rgb", True)


@dataclass(frozen=True)
class PreviewReport:
    """What preview has written.

    frames_seconds: times of the stills. moving_seconds: length of the excerpts. flicker: E_warp of each style
    divided by that of the source, None where nothing moves. page_bytes: size of the page.
    """

    source: Path
    page: Path
    sheet: Path
    styles: tuple[str, ...]
    frames_seconds: tuple[float, ...]
    scenes: int
    moving_seconds: float
    flicker: dict[str, float | None]
    page_bytes: int
    seconds: float
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return plain(asdict(self))


def preview(
    source: Path | str,
    styles: Sequence[str] = (),
    output: Path | str | None = None,
    options: PreviewOptions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> PreviewReport:
    """Show styles on a clip or a picture: write `in.preview.html` and `in.preview.png`.

    styles: as apply takes them, by default all styles of the library; those that make color only where the
    source has none. The page opens on the first one, or on `vlogger` where none is named.
    output: a folder, or the page itself.

    Raises InputError, StyleError, DeviceError or OutputError; then nothing is written and files that were
    there before stay.
    """
    began = time.perf_counter()
    source, options = Path(source), options or PreviewOptions()
    targets = page_and_sheet(source, None if output is None else Path(output))
    check_targets(source, targets, options.overwrite)
    names = list(dict.fromkeys(styles)) or _styles_for(source, options)
    loaded = _load(names, options.device)
    counter = _FrameCounter(on_progress)
    preview_of = _preview_picture if is_still(source) else _preview_clip
    content = preview_of(source, loaded, options, counter)
    first = names.index(_OPENED) if not styles and _OPENED in names else 0
    html = page(source.name, content.page_data(loaded, first)).encode("utf-8", "replace")
    write_all(targets, (html, content.contact_sheet(loaded)), options.overwrite)
    flicker = None if content.video is None else content.video.flicker
    return PreviewReport(
        source=source,
        page=targets[0],
        sheet=targets[1],
        styles=tuple(entry.style.name for entry in loaded),
        frames_seconds=tuple(still.seconds for still in content.stills),
        scenes=content.scenes,
        moving_seconds=0.0 if content.video is None else content.video.seconds,
        flicker={
            entry.spec: None if flicker is None else flicker.ratio(number)
            for number, entry in enumerate(loaded)
        },
        page_bytes=len(html),
        seconds=time.perf_counter() - began,
        warnings=content.warnings,
    )


def _styles_for(source: Path, options: PreviewOptions) -> list[str]:
    """The names of all styles that suit the source: those that make color only where there is none."""
    known = list_styles()
    if not source.is_dir() and any(facts.family == "colour" for facts in known):
        has = has_color(source if is_still(source) else probe(source, fps=options.fps))
        known = [facts for facts in known if facts.family != "colour" or not has]
    return [facts.name for facts in known]


def _load(specs: Sequence[str], device: str) -> list[PreviewStyle]:
    styles = []
    for spec in specs:
        style = load_style(spec)
        at = [style.with_options(ApplyOptions(strength=strength, device=device)) for strength in STRENGTHS]
        styles.append(PreviewStyle(spec, style, tuple(at)))
    return styles


def _preview_picture(
    source: Path, styles: Sequence[PreviewStyle], options: PreviewOptions, counter: _FrameCounter
) -> PreviewContent:
    """A still picture: one still, no video."""
    rgb = read_picture(source)
    height, width = rgb.shape[1:]
    counter.expect(len(styles) * len(STRENGTHS), "stills")
    unit = rgb[None].to(torch.float32) / 255
    scale = options.size / min(height, width)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in (height, width)]
        unit = F.interpolate(unit, size=size, mode="bilinear", antialias=True).clamp_(0, 1)

    def restyle(style: Style) -> Tensor:
        return _levels(style(unit))

    picture = _levels(unit)
    mixed = within(where_in_picture(source, options.where, (unit.shape[2], unit.shape[3])), picture, restyle)
    most = _STILLS_BYTES // (1 + len(styles) * len(STRENGTHS))
    still = _make_still("picture", 0.0, picture, styles, mixed, most, counter)
    return PreviewContent(
        source=source,
        details=(f"{width} x {height}", "a still picture"),
        stills=(still,),
        video=None,
        apply_arguments=where_arguments(options.where),
        notes=(),
        scenes=1,
        warnings=(),
    )


def _preview_clip(
    source: Path, styles: Sequence[PreviewStyle], options: PreviewOptions, counter: _FrameCounter
) -> PreviewContent:
    """A clip: stills of its keyframes, a video of its excerpts."""
    if source.is_dir():
        raise InputError(f"{source}: is a folder. Pass one clip or picture in it.")

    def on_frames(done: int, total: int) -> None:
        counter.set(done, total, "finding scenes")

    found = detect_scenes(source, options.fps, on_frames)
    where = _where(source, found, options)
    keyframes = select_keyframes(found.candidates, options.frames)
    excerpts = select_excerpts(found, keyframes, options.seconds)
    frames = sum(part.stop - part.start for part in excerpts)
    counter.expect(len(keyframes) * len(styles) * len(STRENGTHS) + frames * (len(styles) + 1), "stills")
    keyframes.sort(key=lambda c: (c.window, c.index))
    most = _STILLS_BYTES // (len(keyframes) * (1 + len(styles) * len(STRENGTHS)))
    with (
        TemporaryDirectory(prefix="vidstyle-preview-") as folder,
        nullcontext() if where is None else closing(where),
    ):
        reel, pictures = _read_clip(source, found, keyframes, excerpts, options, where, Path(folder))
        stills = []
        for keyframe, (picture, weights) in zip(keyframes, pictures, strict=True):
            restyle = within(weights, picture, partial(_restyle_frame, picture))
            label = _timecode(keyframe.seconds)
            stills.append(_make_still(label, keyframe.seconds, picture, styles, restyle, most, counter))
        video = None if reel is None else _render(Path(folder), reel, styles, options, counter)
    arguments, notes = apply_arguments(source, found.info, styles[0].style, options)
    if not found.complete:
        notes.append(f"The clip is long: only {len(found.windows)} places in it were examined.")
    if video is None and options.seconds:
        notes.append("The clip has a single frame, so there is no video.")
    return PreviewContent(
        source=source,
        details=_describe(found),
        stills=tuple(stills),
        video=video,
        apply_arguments=arguments,
        notes=tuple(notes),
        scenes=len(found.scenes),
        warnings=(*found.warnings, *(() if where is None else where.warnings)),
    )


def _where(source: Path, found: SceneList, options: PreviewOptions) -> WhereInClip | None:
    """Where and when the style is; None where it is everywhere."""
    if options.where is None or not is_mixed(options.where):
        return None
    return WhereInClip(probe(source, fps=options.fps), found, options.where)


def _describe(found: SceneList) -> tuple[str, ...]:
    """Size, rate, length, sound and number of scenes, each as text."""
    info = found.info
    height, width = DisplayFrames(info, 1 << 20).size
    tracks, scenes = info.audio_streams, len(found.scenes)
    details = [
        f"{width} x {height}",
        f"{float(info.average_fps):.4g} frames/s",
        _timecode(info.duration_seconds),
        f"{tracks} sound track{'s' * (tracks > 1)}" if tracks else "no sound",
    ]
    if found.complete:
        details.append(f"{scenes} scene{'s' * (scenes > 1)}")
    return tuple(details)


def _timecode(seconds: float) -> str:
    """1:02.5, or 1:02:03.5 from an hour on."""
    tenths = round(max(seconds, 0.0) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else str(minutes)) + f":{rest // 10:02d}.{rest % 10}"


def _read_clip(
    source: Path,
    found: SceneList,
    keyframes: Sequence[Candidate],
    excerpts: Sequence[Scene],
    options: PreviewOptions,
    where: WhereInClip | None,
    folder: Path,
) -> tuple[Reel | None, list[tuple[Tensor, Tensor | None]]]:
    """Read the clip a second time: write the reel of excerpts into the folder, and return the keyframes.

    With each keyframe how much of the style its pixels get. What those of the reel get lies beside it.
    """
    display = DisplayFrames(found.info, options.size)
    small = DisplayFrames(found.info, round(options.size * _VIDEO_SCALE))
    singles = {(c.window, c.index) for c in keyframes}
    starts = {(part.window, part.start) for part in excerpts}
    inside = {(part.window, index) for part in excerpts for index in range(part.start, part.stop)}
    wanted = [*excerpts, *(Scene(window, index, index + 1) for window, index in singles)]
    pictures: list[tuple[Tensor, Tensor | None]] = []
    reel = None
    if excerpts:
        reel = Reel(folder / "reel.mkv", found.info, small)
    try:
        for window, index, batch in read_frames(source, found, wanted, options.fps):
            if (window, index) in singles:
                weights = None if where is None else where.still(index, batch, display)
                pictures.append((_levels(display(batch)), weights))
            if reel is not None and (window, index) in inside:
                if (window, index) in starts:
                    reel.begin(batch.pts[0], _timecode(found.seconds(batch)))
                if where is not None and where.has_matte:
                    where.write_matte(folder / (_MATTE % reel.frames), index, batch, small)
                reel.write(batch)
        if reel is not None:
            reel.close()
    except BaseException:
        if reel is not None:
            reel.abort()
        raise
    if len(pictures) != len(keyframes):
        raise InputError(f"{source}: gave other frames when read again. Check the file, or copy it first.")
    return reel, pictures


def _make_still(
    label: str,
    seconds: float,
    source: Tensor,
    styles: Sequence[PreviewStyle],
    restyle: Callable[[Style], Tensor],
    most_bytes: int,
    counter: _FrameCounter,
) -> Still:
    """Restyle one frame in each style at each strength. most_bytes: of each JPEG."""
    full, jpegs = [], []
    for entry in styles:
        results = []
        for style in entry.at_strengths:
            results.append(restyle(style))
            counter.add(1)
        full.append(results[-1])
        jpegs.append(tuple(jpeg(result, most_bytes) for result in results))
    return Still(label, seconds, source, jpeg(source, most_bytes), tuple(full), tuple(jpegs))


def _restyle_frame(picture: Tensor, style: Style) -> Tensor:
    """Restyle a frame uint8 [3, h, w] the way frames of a clip are restyled."""
    red, green, blue = picture[:, None]
    batch = FrameBatch((green, blue, red), (0,), Fraction(1), _RGB)
    green, blue, red = style.restyle(batch).planes
    return torch.cat([red, green, blue])


def _levels(rgb: Tensor) -> Tensor:
    """RGB [1, 3, h, w] in [0, 1] as uint8 [3, h, w] on the CPU."""
    return rgb[0].mul(255).add_(0.5).clamp_(0, 255).to("cpu", torch.uint8)


def _render(
    folder: Path,
    reel: Reel,
    styles: Sequence[PreviewStyle],
    options: PreviewOptions,
    counter: _FrameCounter,
) -> Video:
    """Restyle the reel in each style with `apply`, measure the flicker, and encode all for the page."""
    styled = []
    for number, entry in enumerate(styles):
        target = folder / f"style{number}.mkv"
        before = counter.done

        def show(progress: Progress, before: int = before, name: str = entry.style.name) -> None:
            counter.set(before + progress.frames, None, name)

        apply_options = ApplyOptions(
            codec="ffv1",
            device=options.device,
            mask=str(folder / _MATTE) if (folder / (_MATTE % 0)).exists() else None,
            protect=None if options.where is None else options.where.protect,
        )
        apply_style(reel.path, entry.style, target, apply_options, show)
        styled.append(target)
    counter.note = "measuring"
    flicker = measure_flicker(reel.path, styled, reel.cuts, lambda: counter.add(1))
    most = _VIDEOS_BYTES // (1 + len(styles))
    source, *results = (encode_h264(path, folder, most) for path in (reel.path, *styled))
    return Video(
        source=source,
        styled=tuple(results),
        size=reel.size,
        seconds=reel.seconds,
        scene_starts=tuple(reel.starts),
        flicker=flicker,
    )


class _FrameCounter:
    """Counts the frames that are read, restyled and measured, and reports the progress."""

    def __init__(self, watch: Callable[[Progress], None] | None) -> None:
        self._watch = watch
        self.done = self.total = 0
        self.note = ""

    def expect(self, more: int, note: str) -> None:
        self.total, self.note = self.done + more, note
        self._report()

    def set(self, done: int, total: int | None, note: str) -> None:
        self.done, self.total, self.note = done, self.total if total is None else total, note
        self._report()

    def add(self, frames: int) -> None:
        self.done += frames
        self._report()

    def _report(self) -> None:
        if self._watch is not None:
            self._watch(Progress(self.done, max(self.done, self.total), 0, self.note))
