"""One pass over a source: decodes, restyles, smooths and encodes segments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field

import torch

from vidstyle.errors import OutputError
from vidstyle.frames import FrameBatch
from vidstyle.media.decode import Anchor, Decoder
from vidstyle.media.encode import Encoder
from vidstyle.media.segment_index import Task
from vidstyle.media.segments import Committed, Segment, WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.batching import Batches, for_light
from vidstyle.pipeline.plan import Plan, Restyler, device_of
from vidstyle.pipeline.prefetch import prefetch
from vidstyle.pipeline.segment_lanes import Lanes, lanes_for
from vidstyle.styles.style import Style
from vidstyle.temporal.smoother import Smoother, SmoothOptions


@dataclass(frozen=True)
class Passage:
    """What one pass over the source makes: the segments that are not in skip, up to the frame stop.

    stop: None is the end of the clip. anchor: where decoding may begin. tasks: what the segments must be, if
    an earlier pass has found out.
    """

    skip: frozenset[int]
    stop: int | None = None
    anchor: Anchor | None = None
    tasks: Mapping[int, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Sequence[Task], options: ApplyOptions) -> Passage:
        """A pass that makes tasks that follow each other, and no more."""
        first, last = tasks[0], tasks[-1]
        beyond = last.number + 2 + 2 * smooth_margin(options) // options.segment_frames
        return cls(
            skip=frozenset((*range(first.number), *range(last.number + 1, beyond + 1))),
            stop=None if last.last else last.stop,
            anchor=first.anchor,
            tasks={task.number: task for task in tasks},
        )


def render_here(
    job: Plan,
    style: Restyler,
    options: ApplyOptions,
    work: WorkFolder,
    finished: dict[int, Committed],
    on_frames: Callable[[int], None],
) -> list[str]:
    """What an Engine does, in this process: all that is missing in one pass, as far as possible."""
    size = options.segment_frames
    passage = Passage(
        frozenset(finished),
        stop=_needed_until(finished, size),
        anchor=_anchor(finished, smooth_margin(options), size),
    )

    def on_commit(segment: Committed) -> None:
        finished[segment.number] = segment

    return render(job, style, options, work, passage, on_commit, on_frames)


def render(
    job: Plan,
    style: Restyler,
    options: ApplyOptions,
    work: WorkFolder,
    passage: Passage,
    on_commit: Callable[[Committed], None],
    on_frames: Callable[[int], None],
) -> list[str]:
    """Make segments: the source is decoded once, in order, on one thread, restyled on another."""
    smoother = Smoother(_smooth_options(options, getattr(style, "family", "")))
    margin = smooth_margin(options)

    def wanted(index: int) -> bool:
        return index // options.segment_frames not in passage.skip

    device = device_of(style)
    with (
        style.at_work() if isinstance(style, Style) else nullcontext() as running,
        Decoder(
            job.source,
            stop=None if passage.stop is None else passage.stop + margin,
            deinterlace=options.deinterlace,
            fps=options.fps,
            anchor=passage.anchor,
            pinned=device.startswith("cuda"),
            hwaccel=options.hwaccel,
        ) as decoder,
        closing(decoder.batches(job.batch_size, options.segment_frames, passage.skip, margin)) as frames,
        closing(prefetch(frames, depth=2, name="decode")) as batches,
    ):
        depth = running.depth if running is not None else 1
        restyler = Batches(*for_light(style, job.hdr, options), job.batch_size, depth)

        def open_segment(number: int) -> _SegmentWriter:
            return _SegmentWriter(number, job, options, work, decoder, passage, hardware(style))

        with (
            closing(prefetch(restyler.restyle(batches), depth=1, name="restyle")) as pairs,
            closing(prefetch(smoother.smooth(pairs, wanted), 1, "smooth", restyler.close)) as restyled,
            Lanes(open_segment, options.segment_frames, lanes_for(options), on_commit, on_frames) as lanes,
        ):
            for batch in restyled:
                lanes.write(batch)
            lanes.finish(last=passage.stop is None)
        said = running.warnings if running is not None else []
        return [*restyler.warnings, *said, *decoder.warnings]


class _SegmentWriter:
    """One segment on its way: its encoder, and the commit."""

    def __init__(
        self,
        number: int,
        job: Plan,
        options: ApplyOptions,
        work: WorkFolder,
        decoder: Decoder,
        passage: Passage,
        made_on: str,
    ) -> None:
        self._number = number
        self._source, self._work, self._decoder, self._passage = job.source, work, decoder, passage
        self._made_on = made_on
        self._start = number * options.segment_frames
        self._encoder = Encoder(work.part(number), job.info, options, target=work.target)

    def write(self, batch: FrameBatch) -> None:
        if batch.index != self._start + self._encoder.frames:
            raise OutputError(f"frame {batch.index}: it came out of order. This is a bug, please report it.")
        self._encoder.write(batch)

    def commit(self, last: bool) -> Committed:
        self._encoder.close()
        segment = Segment(self._number, self._start, self._start + self._encoder.frames)
        decoder = self._decoder
        border = decoder.border_digests.pop(segment.stop, "")
        warnings = tuple(decoder.warnings) if last else ()
        task = self._passage.tasks.get(self._number)
        if task is not None:
            task.check(self._source, segment, self._encoder.packet_pts, border)
            last, warnings = task.last, task.warnings
        return self._work.commit(
            self._encoder.path,
            segment,
            packet_pts=tuple(self._encoder.packet_pts),
            last=last,
            last_duration=decoder.frame_duration if last else 0,
            source_digest=border,
            warnings=warnings,
            made_on=self._made_on,
        )

    def abort(self) -> None:
        self._encoder.abort()


def hardware(style: Restyler) -> str:
    """In words; equal hardware gives equal frames."""
    device = device_of(style)
    if device.startswith("cuda"):
        plain = getattr(style, "slow", None) is not None
        return torch.cuda.get_device_name(device) + ", plain torch" * plain
    return f"CPU with {torch.backends.cpu.get_cpu_capability()}"


def smooth_margin(options: ApplyOptions) -> int:
    """Frames that a segment needs on each side of it."""
    smooth = _smooth_options(options)
    return 0 if smooth.is_off else smooth.radius


def _needed_until(finished: dict[int, Committed], segment_frames: int) -> int | None:
    """The frame after the last one that is still to be made; None is the end of the clip."""
    ends = [number for number, segment in finished.items() if segment.last]
    if not ends:
        return None
    return (max(number for number in range(ends[0]) if number not in finished) + 1) * segment_frames


def _smooth_options(options: ApplyOptions, family: str = "") -> SmoothOptions:
    """Of settled options, see `planning.settled`."""
    return SmoothOptions.of_family(family, 0.0 if isinstance(options.smooth, str) else options.smooth)


def _anchor(finished: dict[int, Committed], margin: int, segment_frames: int) -> Anchor | None:
    """The finished segment that ends where decoding has to start: margin before the first missing one."""
    missing = next(number for number in range(len(finished) + 1) if number not in finished)
    number = missing - 1 - -(-margin // segment_frames)
    if number < 0:
        return None
    before = finished[number]
    return Anchor(before.start, tuple(sorted(before.packet_pts)), before.source_digest)
