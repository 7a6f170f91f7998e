"""Renders segments: one pass over the source that decodes, restyles, smooths and encodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from vidstyle.errors import OutputError
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.hdr import HdrConversion
from vidstyle.imaging.scene import SceneConversion
from vidstyle.media.cut import Cut
from vidstyle.media.decode import Decoder
from vidstyle.media.encode import Encoder
from vidstyle.media.frame_decoder import Anchor
from vidstyle.media.segment_index import SegmentTask
from vidstyle.media.segments import Committed, Segment, WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import is_mixed
from vidstyle.pipeline.devices import device_of, hardware_name
from vidstyle.pipeline.engine import OnFrames, RenderRequest
from vidstyle.pipeline.painting import Clip, frame_margin, painting, smooth_options
from vidstyle.pipeline.plan import Plan
from vidstyle.pipeline.protect import Protection
from vidstyle.pipeline.segment_encoders import SegmentEncoders, parallel_encoders

# Frames of a last segment that the fading at the end of a clip would take up all or most of.
_SHORT_END = 48


@dataclass(frozen=True)
class RenderPass:
    """One linear pass over the source, and the segments that it renders.

    skip: numbers of segments that are not rendered. stop: the first frame after the pass; None is the end of
    the clip. anchor: where decoding may start instead of at the first frame. tasks: what the segments must
    contain, if an earlier scan of the source has found that out; they are checked against it.
    """

    skip: frozenset[int]
    stop: int | None = None
    anchor: Anchor | None = None
    tasks: Mapping[int, SegmentTask] = field(default_factory=dict)

    @classmethod
    def of_tasks(cls, tasks: Sequence[SegmentTask], options: ApplyOptions) -> RenderPass:
        """The pass that renders consecutive tasks, and nothing else."""
        first, last = tasks[0], tasks[-1]
        beyond = last.number + 2 + 2 * frame_margin(options) // options.segment_frames
        return cls(
            skip=frozenset((*range(first.number), *range(last.number + 1, beyond + 1))),
            stop=None if last.last else last.stop,
            anchor=first.anchor,
            tasks={task.number: task for task in tasks},
        )

    @classmethod
    def of_missing(
        cls, finished: Mapping[int, Committed], options: ApplyOptions, cut: Cut | None = None
    ) -> RenderPass:
        """The pass that renders every segment that is not finished, of the clip or of a cut-out."""
        return cls(
            skip=frozenset(finished),
            stop=_end_of_missing(finished, options.segment_frames),
            anchor=_anchor_before_missing(finished, frame_margin(options), options.segment_frames, cut),
        )


class LocalEngine:
    """The engine of this process: renders everything that is missing in one pass."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def render(
        self, request: RenderRequest, finished: dict[int, Committed], on_frames: OnFrames
    ) -> list[str]:
        """See Engine."""

        def on_commit(segment: Committed) -> None:
            finished[segment.number] = segment

        missing = RenderPass.of_missing(finished, request.options, request.plan.cut)
        return run_pass(request, missing, on_commit, on_frames)


def run_pass(
    request: RenderRequest,
    render_pass: RenderPass,
    on_commit: Callable[[Committed], None],
    on_frames: OnFrames,
) -> list[str]:
    """Render the segments of one pass and return warnings.

    Decoding, restyling, smoothing and each encoder run on threads of their own. The callbacks are called on
    the thread of the caller.
    """
    plan, options, cut = request.plan, request.options, request.plan.cut

    def is_rendered(index: int) -> bool:
        number = index if cut is None else cut.number(index)
        return number is not None and number // options.segment_frames not in render_pass.skip

    with (
        _open_decoder(request, render_pass) as decoder,
        closing(
            decoder.batches(
                plan.batch_size,
                segment_frames=options.segment_frames,
                skip=render_pass.skip,
                margin=frame_margin(options),
            )
        ) as frames,
        painting(
            frames, request.style, options, clip_of(plan, decoder.info), plan.batch_size, is_rendered
        ) as painted,
    ):

        def open_segment(number: int) -> SegmentFile:
            return SegmentFile(
                number,
                plan,
                options,
                request.work,
                captions=decoder.captions,
                warnings=decoder.warnings,
                made_on=lambda: hardware_name(request.style),
                task=render_pass.tasks.get(number),
                protection=painted.protection,
            )

        with SegmentEncoders(
            open_segment, options.segment_frames, parallel_encoders(options), on_commit, on_frames
        ) as encoders:
            whole = painted.batches
            for batch in whole if cut is None else cut.renumbered(whole, options.segment_frames):
                encoders.write(batch)
            encoders.finish(last=render_pass.stop is None)
        return [*painted.warnings, *decoder.warnings]


def clip_of(plan: Plan, info: VideoInfo) -> Clip:
    """What a plan knows of its clip. info: facts of the frames as they are decoded."""
    return Clip(
        info=info,
        bars=plan.bars,
        start_seconds=plan.media.start_seconds,
        hdr=conversion_of(plan, plan.options),
        ranges=plan.ranges,
        scenes=plan.scenes,
    )


def _open_decoder(request: RenderRequest, render_pass: RenderPass) -> Decoder:
    """The decoder of a pass; it also reads the frames beyond the pass that smoothing needs."""
    options, stop, cut = request.options, render_pass.stop, request.plan.cut
    if cut is not None and stop is not None:
        stop = cut.index(stop - 1) + 1
    decoder = Decoder(
        request.plan.media,
        stop=None if stop is None else stop + frame_margin(options),
        deinterlace=options.deinterlace,
        anchor=render_pass.anchor,
        pinned=device_of(request.style).startswith("cuda"),  # `CudaQueue` uploads from such memory
        hwaccel=options.hwaccel,
        cut=cut,
    )
    if cut is not None and render_pass.anchor is None:
        first = next(number for number in range(cut.frames) if number not in render_pass.skip)
        decoder.leap_to(cut.stretches[cut.stretch_of(first * options.segment_frames)])
    return decoder


class SegmentFile:
    """Encodes one segment to a temporary file and commits it to the work folder."""

    def __init__(
        self,
        number: int,
        plan: Plan,
        options: ApplyOptions,
        work: WorkFolder,
        *,
        captions: dict[int, bytes],
        warnings: Sequence[str],
        made_on: Callable[[], str],
        task: SegmentTask | None = None,
        protection: Protection | None = None,
    ) -> None:
        """captions: closed captions by pts, which are taken out. warnings: about the whole source; complete
        when the clip's last frame is there. made_on: gives what `Committed` says; asked
        at the end, since kernels may fail on the way. task: what the segment must contain.
        protection: what knows the faces.
        """
        self._number, self._task, self._protection = number, task, protection
        self._source, self._work = plan.source, work
        self._clip_warnings, self._captions, self._cut = warnings, captions, plan.cut
        self._border_digest, self._last_duration = "", 0
        self._made_on = made_on
        self._start = number * options.segment_frames
        self._encoder = Encoder(work.part(number), plan.info, options, target=work.target)

    def write(self, batch: FrameBatch) -> None:
        if batch.index != self._start + self._encoder.frames:
            raise OutputError(f"frame {batch.index}: it came out of order. This is a bug, please report it.")
        self._encoder.write(batch)
        self._border_digest, self._last_duration = batch.border_digest, batch.last_duration

    def commit(self, last: bool) -> Committed:
        """Close the file and commit it. last: the clip ends with this segment."""
        # A clip's end may fade as encoders let it, but not within sight of the border before it.
        short = self._number > 0 and self._encoder.frames < _SHORT_END
        self._encoder.close(goes_on=not last or short)
        segment = Segment(self._number, self._start, self._start + self._encoder.frames)
        border, protection = self._border_digest, self._protection
        warnings = tuple(self._clip_warnings) if last else ()
        task = self._task
        if task is not None:
            task.check(self._source, segment, self._encoder.packet_pts, border)
            last, warnings = task.last, task.warnings
        return self._work.commit(
            self._encoder.path,
            segment,
            packet_pts=tuple(self._encoder.packet_pts),
            last=last,
            last_duration=self._last_duration if last else 0,
            source_digest=border,
            warnings=warnings,
            captions=tuple(self._taken_captions()),
            made_on=self._made_on(),
            has_faces=protection.has_faces(segment.start, segment.stop) if protection is not None else None,
        )

    def _taken_captions(self) -> Iterator[tuple[int, str]]:
        for pts in sorted(self._encoder.packet_pts):
            captions = self._captions.pop(pts if self._cut is None else self._cut.time_in_clip(pts), None)
            if captions is not None:
                yield pts, captions.hex()

    def abort(self) -> None:
        self._encoder.abort()


def conversion_of(plan: Plan, options: ApplyOptions) -> Conversion | None:
    """What is done to frames of HDR, camera log or scene light; None for SDR."""
    compared = is_mixed(options) or not smooth_options(options).is_off
    if plan.spaces is not None:
        return SceneConversion(plan.spaces, options.preset.deepest, with_source=compared)
    if plan.hdr is None:
        return None
    return HdrConversion(plan.hdr, options.hdr == "keep", options.preset.deepest, with_source=compared)


def _end_of_missing(finished: Mapping[int, Committed], segment_frames: int) -> int | None:
    """The first frame after the last missing segment; None is the end of the clip, or not known yet."""
    ends = [number for number, segment in finished.items() if segment.last]
    if not ends:
        return None
    return (max(number for number in range(ends[0]) if number not in finished) + 1) * segment_frames


def _anchor_before_missing(
    finished: Mapping[int, Committed], margin: int, segment_frames: int, cut: Cut | None
) -> Anchor | None:
    """The finished segment after which decoding can start: it ends `margin` frames before the first gap."""
    missing = next(number for number in range(len(finished) + 1) if number not in finished)
    number = missing - 1 - -(-margin // segment_frames)
    if number < 0:
        return None
    before = finished[number]
    anchor = Anchor(before.start, tuple(sorted(before.packet_pts)), before.source_digest)
    if cut is None:
        return anchor
    # In another stretch it would be no way to the first gap.
    same = cut.stretch_of(before.stop - 1) == cut.stretch_of(missing * segment_frames)
    return cut.anchor(anchor) if same else None
