"""apply(): a style on a whole clip. Decode, restyle and encode in segments, then join. Knows no screen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import torch

from vidstyle.decode import Anchor, Decoder
from vidstyle.encode import Encoder, choose_pixel_format, map_write_error
from vidstyle.errors import DeviceError, InputError, OutputError
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.hdr import Changes, HdrLight, KeptHdr, sdr_info, to_sdr
from vidstyle.join import check_target, join
from vidstyle.options import ApplyOptions
from vidstyle.prefetch import prefetch
from vidstyle.segments import Committed, Segment, WorkFolder, check_complete, segment_key
from vidstyle.smooth import Smoother, SmoothOptions
from vidstyle.streams import Extras
from vidstyle.style import Style, cpu_workers


class Restyler(Protocol):
    """What apply needs of a Style."""

    @property
    def content_hash(self) -> str: ...

    def restyle(self, batch: FrameBatch) -> FrameBatch: ...


@dataclass(frozen=True)
class Progress:
    """frames done of about total (containers only claim one); resumed of them came from an earlier run."""

    frames: int
    total: int
    resumed: int
    stage: str


@dataclass(frozen=True)
class Plan:
    """What apply would do. info is of the pictures to be written; hdr is the light of a source in HDR."""

    source: Path
    target: Path
    info: VideoInfo
    key: str
    batch_size: int
    pixel_format: str
    frames_announced: int
    segments_announced: int
    warnings: tuple[str, ...]
    hdr: HdrLight | None = None

    def to_dict(self) -> dict[str, Any]:
        return _plain(asdict(self))


@dataclass(frozen=True)
class Report:
    """What apply has done. fps counts the frames made in this run."""

    source: Path
    target: Path
    frames: int
    seconds: float
    fps: float
    segments_total: int
    segments_resumed: int
    streams_copied: dict[str, int]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return _plain(asdict(self))


def plan(source: Path | str, style: Restyler, target: Path | str, options: ApplyOptions) -> Plan:
    """Look at all that can be refused before any work and raise what apply would raise. Writes nothing."""
    source, target = Path(source), Path(target)
    if isinstance(style, Style):
        style = style.with_options(options)
    _check_paths(source, target, options)
    with Decoder(source) as decoder:
        info = decoder.info
    warnings = _check_source(source, info, options)
    light = HdrLight.of(info) if info.is_hdr else None
    if light is not None and options.hdr == "tonemap":
        info = sdr_info(info, options.preset.deepest)
    pixel_format, lost = choose_pixel_format(info, options)
    warnings += lost + check_target(source, target, options.preset, options.codec)
    made_with = {
        "av": av.__version__,
        "torch": torch.__version__.partition("+")[0],
        "device": str(getattr(style, "device", "cpu")).partition(":")[0],
    }
    return Plan(
        source=source,
        target=target,
        info=info,
        key=segment_key(source, style.content_hash, options, made_with),
        batch_size=options.batch_size or _auto_batch_size(info, style),
        pixel_format=pixel_format,
        frames_announced=info.frames_announced,
        segments_announced=-(-info.frames_announced // options.segment_frames),
        warnings=tuple(warnings),
        hdr=light,
    )


def apply(
    source: Path | str,
    style: Restyler,
    target: Path | str,
    options: ApplyOptions | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Restyle the whole clip `source` into `target`; everything but the look stays as it was.

    The dials and the device of a Style are those of the options, whatever was set on it before.
    A run that was stopped goes on where it left off when it is started again, and gives the same bytes.
    Raises InputError, DeviceError or OutputError; then there is no target, or still the one there was.
    """
    options = options or ApplyOptions()
    if isinstance(style, Style):
        style = style.with_options(options)
    began = time.perf_counter()
    job = plan(source, style, target, options)
    with WorkFolder(job.target, job.key, options).claimed() as work:
        finished = work.finished()
        resumed = len(finished)
        ticker = _Ticker(job, finished, options, on_progress)
        warnings = list(job.warnings)
        if not _is_complete(finished):
            warnings += _render(job, style, options, work, finished, ticker)
        segments = [finished[number] for number in sorted(finished)]
        check_complete(segments, job.target)
        ticker.stage("join")
        extras = _join(job, segments, work, options)
        work.remove()
    seconds = time.perf_counter() - began
    frames = segments[-1].stop
    made = sum(s.stop - s.start for s in segments) - ticker.resumed
    return Report(
        source=job.source,
        target=job.target,
        frames=frames,
        seconds=seconds,
        fps=made / seconds,
        segments_total=len(segments),
        segments_resumed=resumed,
        streams_copied=extras.counts,
        warnings=tuple(dict.fromkeys([*warnings, *segments[-1].warnings, *extras.warnings])),
    )


def _render(
    job: Plan,
    style: Restyler,
    options: ApplyOptions,
    work: WorkFolder,
    finished: dict[int, Committed],
    ticker: _Ticker,
) -> list[str]:
    """Make the missing segments: the source is decoded once, in order, on one thread, restyled on another."""
    stop = _needed_until(finished, options.segment_frames)
    skip = frozenset(finished)
    smoother = Smoother(_smooth_options(options))
    margin = 0 if smoother.options.is_off else smoother.options.radius
    restyler = _Batches(*_for_light(job, style, options), job.batch_size)

    def restyled_frames(batches: Iterable[FrameBatch]) -> Iterable[FrameBatch]:
        pairs = restyler.restyle(batches)
        if smoother.options.is_off:
            return (styled for _, styled in pairs)
        return smoother.smooth(pairs, wanted=lambda index: index // options.segment_frames not in skip)

    with (
        Decoder(
            job.source,
            stop=None if stop is None else stop + margin,
            deinterlace=options.deinterlace,
            anchor=_anchor(finished, margin, options.segment_frames),
        ) as decoder,
        closing(decoder.batches(job.batch_size, options.segment_frames, skip, margin)) as frames,
        closing(prefetch(frames, depth=2, name="decode")) as batches,
        closing(prefetch(restyled_frames(batches), depth=2, name="restyle")) as restyled,
    ):
        writer: _SegmentWriter | None = None
        try:
            for batch in restyled:
                number = batch.index // options.segment_frames
                if writer is not None and writer.number != number:
                    finished[writer.number] = writer.commit(last=False, decoder=decoder)
                    writer = None
                if writer is None:
                    writer = _SegmentWriter(work, number, job.info, options)
                writer.write(batch)
                ticker.add(len(batch))
            if writer is not None:
                ended = stop is None
                finished[writer.number] = writer.commit(last=ended, decoder=decoder)
                writer = None
        finally:
            if writer is not None:
                writer.encoder.abort()
        return restyler.warnings + decoder.warnings


def _join(job: Plan, segments: list[Committed], work: WorkFolder, options: ApplyOptions) -> Extras:
    part = job.target.with_name(f".{job.target.name}.{os.getpid()}.part")
    try:
        extras = join(
            job.source, job.target, part, segments, work.path, job.info, options.preset, options.codec
        )
        try:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            if job.target.exists() and not options.overwrite:
                raise OutputError(
                    f"{job.target}: it exists by now. Choose another target or use --overwrite."
                )
            os.replace(part, job.target)
        except OSError as error:
            map_write_error(job.target, error)
    finally:
        part.unlink(missing_ok=True)
    return extras


class _SegmentWriter:
    """One segment on its way: its encoder, and the commit."""

    def __init__(self, work: WorkFolder, number: int, info: VideoInfo, options: ApplyOptions) -> None:
        self.number = number
        self._work = work
        self._start = number * options.segment_frames
        self.encoder = Encoder(work.part(number), info, options, target=work.target)

    def write(self, batch: FrameBatch) -> None:
        if batch.index != self._start + self.encoder.frames:
            raise OutputError(f"frame {batch.index}: it came out of order. This is a bug, please report it.")
        self.encoder.write(batch)

    def commit(self, last: bool, decoder: Decoder) -> Committed:
        self.encoder.close()
        segment = Segment(self.number, self._start, self._start + self.encoder.frames)
        return self._work.commit(
            self.encoder.path,
            segment,
            packet_pts=tuple(self.encoder.packet_pts),
            last=last,
            last_duration=decoder.frame_duration if last else 0,
            source_digest=decoder.border_digests.pop(segment.stop, ""),
            warnings=tuple(decoder.warnings) if last else (),
        )


def _for_light(
    job: Plan, style: Restyler, options: ApplyOptions
) -> tuple[Changes, Callable[[FrameBatch], FrameBatch]]:
    """The style for frames of this light, and what is done to frames before it."""
    light = job.hdr
    device = torch.device(getattr(style, "device", "cpu"))
    if light is None:
        return style, lambda batch: batch
    if options.hdr == "keep":
        return KeptHdr(style, light, device), lambda batch: batch
    return style, lambda batch: to_sdr(batch, light, device, options.preset.deepest)


class _Batches:
    """Runs a style over batches of one constant size; halves it when the device's memory is too small."""

    def __init__(self, style: Changes, prepare: Callable[[FrameBatch], FrameBatch], batch_size: int) -> None:
        self._style = style
        self._prepare = prepare
        self._size = batch_size
        self.warnings: list[str] = []

    def restyle(self, batches: Iterable[FrameBatch]) -> Generator[tuple[FrameBatch, FrameBatch], None, None]:
        """Yield (source, restyled) pairs of the same frames."""
        for batch in batches:
            start = 0
            while start < len(batch):
                part = batch.part(start, min(start + self._size, len(batch)))
                try:
                    ready = self._prepare(part.padded(self._size))
                    restyled = self._style.restyle(ready)
                except (torch.OutOfMemoryError, MemoryError) as error:
                    self._halve(error)
                    continue
                yield ready.part(0, len(part)), restyled.part(0, len(part))
                start += len(part)

    def _halve(self, error: BaseException) -> None:
        if self._size == 1:
            raise DeviceError(
                "device memory: a single frame does not fit. Close other programs, use --device cpu, "
                "or scale the clip down."
            ) from error
        self._size = max(1, self._size // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.warnings.append(f"the device ran out of memory; the batch is down to {self._size} frames")


class _Ticker:
    """Counts frames for whoever watches."""

    def __init__(
        self,
        job: Plan,
        finished: dict[int, Committed],
        options: ApplyOptions,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._watch = on_progress
        self._total = job.frames_announced
        self.resumed = self._frames = sum(s.stop - s.start for s in finished.values())
        self.stage("render")

    def add(self, frames: int) -> None:
        self._frames += frames
        self.stage("render")

    def stage(self, name: str) -> None:
        if self._watch is not None:
            self._watch(Progress(self._frames, max(self._total, self._frames), self.resumed, name))


def _is_complete(finished: dict[int, Committed]) -> bool:
    """Every segment from the first to the one marked as the clip's last is there."""
    ends = [number for number, segment in finished.items() if segment.last]
    return bool(ends) and all(number in finished for number in range(ends[0] + 1))


def _needed_until(finished: dict[int, Committed], segment_frames: int) -> int | None:
    """The frame after the last one that is still to be made; None is the end of the clip."""
    ends = [number for number, segment in finished.items() if segment.last]
    if not ends:
        return None
    return (max(number for number in range(ends[0]) if number not in finished) + 1) * segment_frames


def _smooth_options(options: ApplyOptions) -> SmoothOptions:
    """How much to smooth; "auto" is off, as long as styles do not flicker by themselves."""
    if isinstance(options.smooth, str):
        return SmoothOptions(amount=0.0)
    return SmoothOptions(amount=options.smooth)


def _anchor(finished: dict[int, Committed], margin: int, segment_frames: int) -> Anchor | None:
    """The finished segment that ends where decoding has to start: margin before the first missing one."""
    missing = next(number for number in range(len(finished) + 1) if number not in finished)
    number = missing - 1 - -(-margin // segment_frames)
    if number < 0:
        return None
    before = finished[number]
    return Anchor(before.start, tuple(sorted(before.packet_pts)), before.source_digest)


def _auto_batch_size(info: VideoInfo, style: Restyler) -> int:
    """Frames per batch: enough to keep a GPU busy; on a CPU one for each core that works on them."""
    device = str(getattr(style, "device", "cpu"))
    most = 16 if device.startswith("cuda") else cpu_workers()
    return max(1, min(most, 16_000_000 // (info.width * info.height)))


def _check_paths(source: Path, target: Path, options: ApplyOptions) -> None:
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise OutputError(f"{target}: source and target are the same file. Choose another target.")
    if target.is_dir():
        raise OutputError(f"{target}: this is a folder. Name a file in it.")
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target}: it exists already. Choose another target or use --overwrite.")
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}. Create it first.")


def _check_source(source: Path, info: VideoInfo, options: ApplyOptions) -> list[str]:
    if info.interlaced and not options.deinterlace:
        raise InputError(
            f"{source}: it is interlaced, and a style would smear its fields. Add --deinterlace."
        )
    if info.is_hdr:
        return _about_hdr(source, info, options)
    if info.matrix_was_guessed:
        return [
            f"the source names no colour matrix: taken as {info.format.matrix} for its {info.height} lines"
        ]
    return []


def _about_hdr(source: Path, info: VideoInfo, options: ApplyOptions) -> list[str]:
    kind = "PQ" if info.transfer == 16 else "HLG"
    if options.hdr == "refuse":
        raise InputError(
            f"{source}: it is HDR ({kind}) and styles are made for SDR. Use --hdr tonemap to make it SDR, "
            "or --hdr keep to keep it HDR with half of the look."
        )
    if options.hdr == "keep":
        words = [f"it stays HDR ({kind}): half of the look is put on it"]
        if info.dynamic_light:
            words.append("its HDR10+ or Dolby Vision data speak of other pictures and are left out")
        return words
    words = [f"tone mapped from {kind} to SDR in BT.709"]
    if info.format.bit_depth > options.preset.deepest:
        words.append(f"SDR in {options.codec} has {options.preset.deepest} bit, hevc or av1 would keep more")
    return words


def _plain(value: Any) -> Any:
    """Only what JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
