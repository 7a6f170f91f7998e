"""preview(): every style on the keyframes and excerpts of a clip, as a contact sheet and a page."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.preview.contact_sheet import jpeg
from vidstyle.analysis.preview.page import page
from vidstyle.analysis.preview.page_data import STOPS, Look, Moving, Shown, Still
from vidstyle.analysis.preview.reel import Reel, Upright, measure, small_clip
from vidstyle.analysis.shots import Candidate, Scene, Survey, excerpts, frames_of, survey, telling
from vidstyle.errors import InputError, OutputError
from vidstyle.files import map_write_error
from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.media.image_file import read_picture
from vidstyle.media.image_sequence import is_sequence
from vidstyle.media.inputs import is_still, target_of
from vidstyle.options import ApplyOptions, PreviewOptions
from vidstyle.pipeline.apply import Progress
from vidstyle.pipeline.apply import apply as apply_style
from vidstyle.pipeline.plan import plain, plan
from vidstyle.styles.library import list_styles
from vidstyle.styles.load import load_style
from vidstyle.styles.style import Style

# Of stills and of clips on a page, before they are written as text, which adds a third.
_STILLS_BYTES = _CLIPS_BYTES = 8_500_000
_MOVING_SHARE = 0.75  # of the size of stills
_RGB = PlaneFormat(8, (0, 0), "rgb", True)


@dataclass(frozen=True)
class PreviewReport:
    """What preview has made. flicker: E_warp of each style over the source's, None where nothing moves."""

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
    """Write `in.preview.html` and `in.preview.png`: what each style makes of a clip or of a picture.

    styles: as apply takes them; none means all that can be named. output: a folder, or the name of the page.
    Raises InputError, StyleError, DeviceError or OutputError; then there is no page and no sheet, or still
    those there were.
    """
    began = time.perf_counter()
    source, options = Path(source), options or PreviewOptions()
    targets = page_and_sheet(source, None if output is None else Path(output))
    _check_targets(source, targets, options.overwrite)
    looks = _load(list(dict.fromkeys(styles)) or [facts.name for facts in list_styles()], options.device)
    count = _Count(on_progress)
    if is_still(source):
        shown = _of_picture(source, looks, options, count)
    else:
        shown = _of_clip(source, looks, options, count)
    made = page(source.name, shown.data(looks)), shown.sheet(looks)
    size = _write(targets, (made[0].encode("utf-8", "replace"), made[1]), options.overwrite)
    ratios = None if shown.moving is None else shown.moving.flicker
    return PreviewReport(
        source=source,
        page=targets[0],
        sheet=targets[1],
        styles=tuple(look.style.name for look in looks),
        frames_seconds=tuple(still.seconds for still in shown.stills),
        scenes=shown.scenes,
        moving_seconds=0.0 if shown.moving is None else shown.moving.seconds,
        flicker={look.asked: None if ratios is None else ratios.ratio(i) for i, look in enumerate(looks)},
        page_bytes=size,
        seconds=time.perf_counter() - began,
        warnings=shown.warnings,
    )


def page_and_sheet(source: Path, output: Path | None) -> tuple[Path, Path]:
    """Where the page and the sheet go: beside the source, into a folder, or to the page that is named."""
    if output is not None and output.suffix.lower() in (".html", ".htm") and not output.is_dir():
        return output, output.with_suffix(".png")
    home, stem = source.parent, source.stem
    if is_sequence(source):
        folder = Path(os.path.abspath(source.parent))
        home, stem = folder.parent, folder.name
    home = home if output is None else output
    return home / f"{stem}.preview.html", home / f"{stem}.preview.png"


def _load(asked: Sequence[str], device: str) -> list[Look]:
    looks = []
    for text in asked:
        style = load_style(text)
        at = [style.with_options(ApplyOptions(strength=stop, device=device)) for stop in STOPS]
        looks.append(Look(text, style, tuple(at)))
    return looks


def _of_picture(source: Path, looks: Sequence[Look], options: PreviewOptions, count: _Count) -> Shown:
    """A still picture: one frame, nothing that moves."""
    rgb = read_picture(source)
    height, width = rgb.shape[1:]
    count.expect(len(looks) * len(STOPS), "stills")
    unit = rgb[None].to(torch.float32) / 255
    scale = options.size / min(height, width)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in (height, width)]
        unit = F.interpolate(unit, size=size, mode="bilinear", antialias=True).clamp_(0, 1)

    def still_of(style: Style) -> Tensor:
        return _levels(style(unit))

    most = _STILLS_BYTES // (1 + len(looks) * len(STOPS))
    still = _still("picture", 0.0, _levels(unit), looks, still_of, most, count)
    return Shown(
        source=source,
        facts=(f"{width} x {height}", "a still picture"),
        stills=(still,),
        moving=None,
        apply_words=(),
        notes=(),
        scenes=1,
        warnings=(),
    )


def _of_clip(source: Path, looks: Sequence[Look], options: PreviewOptions, count: _Count) -> Shown:
    if source.is_dir():
        raise InputError(f"{source}: this is a folder. Name one clip or picture in it.")

    def surveyed(done: int, total: int) -> None:
        count.at(done, total, "looking through")

    found = survey(source, options.fps, surveyed)
    chosen = telling(found.candidates, options.frames)
    spans = excerpts(found, chosen, options.seconds)
    frames = sum(span.stop - span.start for span in spans)
    count.expect(len(chosen) * len(looks) * len(STOPS) + frames * (len(looks) + 1), "stills")
    chosen.sort(key=lambda c: (c.window, c.index))
    most = _STILLS_BYTES // (len(chosen) * (1 + len(looks) * len(STOPS)))
    with TemporaryDirectory(prefix="vidstyle-preview-") as folder:
        reel, pictures = _read(source, found, chosen, spans, options, Path(folder))
        stills = []
        for candidate, picture in zip(chosen, pictures, strict=True):
            still_of = partial(_restyled, picture)
            label = _clock(candidate.seconds)
            stills.append(_still(label, candidate.seconds, picture, looks, still_of, most, count))
        moving = None if reel is None else _render(Path(folder), reel, looks, options, count)
    words, notes = _apply_words(source, found.info, looks[0].style, options)
    if not found.complete:
        notes.append(f"The clip is long: it was looked at in {len(found.windows)} places.")
    if moving is None and options.seconds:
        notes.append("There is a single frame, so nothing moves.")
    return Shown(
        source=source,
        facts=_facts(found),
        stills=tuple(stills),
        moving=moving,
        apply_words=words,
        notes=tuple(notes),
        scenes=len(found.scenes),
        warnings=found.warnings,
    )


def _facts(found: Survey) -> tuple[str, ...]:
    info = found.info
    height, width = Upright(info, 1 << 20).size
    tracks, scenes = info.audio_streams, len(found.scenes)
    facts = [
        f"{width} x {height}",
        f"{float(info.average_fps):.4g} frames/s",
        _clock(info.duration_seconds),
        f"{tracks} sound track{'s' * (tracks > 1)}" if tracks else "no sound",
    ]
    if found.complete:
        facts.append(f"{scenes} scene{'s' * (scenes > 1)}")
    return tuple(facts)


def _clock(seconds: float) -> str:
    """1:02.5, or 1:02:03.5 from an hour on."""
    tenths = round(max(seconds, 0.0) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else str(minutes)) + f":{rest // 10:02d}.{rest % 10}"


def _read(
    source: Path,
    found: Survey,
    chosen: Sequence[Candidate],
    spans: Sequence[Scene],
    options: PreviewOptions,
    folder: Path,
) -> tuple[Reel | None, list[Tensor]]:
    """The second pass over the clip: the reel, in the folder, and the chosen frames in order."""
    upright = Upright(found.info, options.size)
    singles = {(c.window, c.index) for c in chosen}
    begins = {(span.window, span.start) for span in spans}
    inside = {(span.window, index) for span in spans for index in range(span.start, span.stop)}
    wanted = [*spans, *(Scene(window, index, index + 1) for window, index in singles)]
    pictures = []
    reel = None
    if spans:
        small = Upright(found.info, round(options.size * _MOVING_SHARE))
        reel = Reel(folder / "reel.mkv", found.info, small)
    try:
        for window, index, batch in frames_of(source, found, wanted, options.fps):
            if (window, index) in singles:
                pictures.append(_levels(upright(batch)))
            if reel is not None and (window, index) in inside:
                if (window, index) in begins:
                    reel.begin(batch.pts[0], _clock(found.seconds(batch)))
                reel.write(batch)
        if reel is not None:
            reel.close()
    except BaseException:
        if reel is not None:
            reel.abort()
        raise
    if len(pictures) != len(chosen):
        raise InputError(f"{source}: it reads differently each time. Check the file, or copy it first.")
    return reel, pictures


def _still(
    label: str,
    seconds: float,
    source: Tensor,
    looks: Sequence[Look],
    still_of: Callable[[Style], Tensor],
    most_bytes: int,
    count: _Count,
) -> Still:
    full, jpegs = [], []
    for look in looks:
        stops = []
        for style in look.stops:
            stops.append(still_of(style))
            count.add(1)
        full.append(stops[-1])
        jpegs.append(tuple(jpeg(stop, most_bytes) for stop in stops))
    return Still(label, seconds, source, jpeg(source, most_bytes), tuple(full), tuple(jpegs))


def _restyled(picture: Tensor, style: Style) -> Tensor:
    """A frame [3, h, w] uint8 as it looks within a clip."""
    red, green, blue = picture[:, None]
    batch = FrameBatch((green, blue, red), (0,), Fraction(1), _RGB)
    green, blue, red = style.restyle(batch).planes
    return torch.cat([red, green, blue])


def _levels(rgb: Tensor) -> Tensor:
    """The only picture of [1, 3, h, w] in [0, 1] as [3, h, w] uint8 on the CPU."""
    return rgb[0].mul(255).add_(0.5).clamp_(0, 255).to("cpu", torch.uint8)


def _render(
    folder: Path, reel: Reel, looks: Sequence[Look], options: PreviewOptions, count: _Count
) -> Moving:
    """The reel in each look, by `apply` as a user would call it, measured and encoded for the page."""
    styled = []
    for number, look in enumerate(looks):
        target = folder / f"look{number}.mkv"
        before = count.done

        def show(progress: Progress, before: int = before, name: str = look.style.name) -> None:
            count.at(before + progress.frames, None, name)

        how = ApplyOptions(codec="ffv1", device=options.device)
        apply_style(reel.path, look.style, target, how, show)
        styled.append(target)
    count.note = "measuring"
    flicker = measure(reel.path, styled, reel.cuts, lambda: count.add(1))
    most = _CLIPS_BYTES // (1 + len(looks))
    clips = [small_clip(path, folder, most) for path in (reel.path, *styled)]
    return Moving(
        source=clips[0],
        looks=tuple(clips[1:]),
        size=reel.size,
        seconds=reel.seconds,
        starts=tuple(reel.starts),
        flicker=flicker,
    )


def _apply_words(
    source: Path, info: VideoInfo, style: Style, options: PreviewOptions
) -> tuple[tuple[str, ...], list[str]]:
    """What the apply command needs for this clip beside the style, and in words why."""
    words: list[str] = []
    notes: list[str] = []
    how = ApplyOptions(fps=options.fps, device="cpu")
    if options.fps is not None:
        words += ["--fps", str(options.fps)]
    if info.interlaced:
        words.append("--deinterlace")
        notes.append("The clip is interlaced: each pair of fields becomes one frame.")
        how = replace(how, deinterlace=True)
    if info.is_hdr:
        words += ["--hdr", "tonemap"]
        notes.append("The clip is HDR: it is shown tone mapped to SDR.")
        how = replace(how, hdr="tonemap")
    with TemporaryDirectory() as folder:
        for codec in ("h264", "hevc", "prores", "ffv1"):
            tried = replace(how, codec=codec)
            target = Path(folder) / target_of(source, "try", Path(folder), tried.preset.suffixes).name
            try:
                plan(source, style, target, tried)
            except OutputError:
                continue
            return (*words, *(("--codec", codec) if codec != how.codec else ())), notes
    return tuple(words), notes


def _check_targets(source: Path, targets: Sequence[Path], overwrite: bool) -> None:
    for target in targets:
        if target.exists() and source.exists() and os.path.samefile(source, target):
            raise OutputError(f"{target}: this is the source itself. Choose another name.")
        if target.is_dir():
            raise OutputError(f"{target}: this is a folder. Choose another name.")
        if target.exists() and not overwrite:
            raise OutputError(f"{target}: it exists already. Choose another name or use --overwrite.")
    folder = targets[0].parent
    if not folder.is_dir() and not folder.parent.is_dir():  # the last one is made on the way
        raise OutputError(f"{folder}: there is no folder {folder.parent}. Create it first.")


def _write(targets: Sequence[Path], contents: Sequence[bytes], overwrite: bool) -> int:
    """All of them or none, and then those that were there stay; the size of the first. Raises OutputError."""
    folder = targets[0].parent
    made_folder = not folder.exists()
    parts = [folder / f".{uuid.uuid4().hex}.part" for _ in targets]
    aside = [part.with_suffix(".old") for part in parts]
    placed: list[Path] = []
    try:
        folder.mkdir(exist_ok=True)
        for part, content in zip(parts, contents, strict=True):
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _check_targets(Path(os.devnull), targets, overwrite)
        for part, old, target in zip(parts, aside, targets, strict=True):
            if target.exists():
                os.rename(target, old)
            os.replace(part, target)
            placed.append(target)
    except OSError as error:
        map_write_error(targets[0], error)
    finally:
        for part, old, target in zip(parts, aside, targets, strict=True):
            if len(placed) < len(targets):
                if target in placed:
                    target.unlink()
                if old.exists():
                    os.rename(old, target)
            part.unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        if made_folder and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return len(contents[0])


class _Count:
    """How far a preview has come, in frames looked at, restyled and measured."""

    def __init__(self, watch: Callable[[Progress], None] | None) -> None:
        self._watch = watch
        self.done = self.total = 0
        self.note = ""

    def expect(self, more: int, note: str) -> None:
        self.total, self.note = self.done + more, note
        self._tell()

    def at(self, done: int, total: int | None, note: str) -> None:
        self.done, self.total, self.note = done, self.total if total is None else total, note
        self._tell()

    def add(self, frames: int) -> None:
        self.done += frames
        self._tell()

    def _tell(self) -> None:
        if self._watch is not None:
            self._watch(Progress(self.done, max(self.done, self.total), 0, self.note))
