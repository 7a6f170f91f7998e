"""First pass over a source: finds its segments, and where decoding can start for each."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidstyle.errors import InputError
from vidstyle.media.container import open_input, picture_stream
from vidstyle.media.cut import Cut
from vidstyle.media.decode import Decoder
from vidstyle.media.digests import luma_digest
from vidstyle.media.frame_decoder import Anchor
from vidstyle.media.image_sequence import is_sequence, numbers_there
from vidstyle.media.probe import Source
from vidstyle.media.segments import Segment

# Frames that must be found again, each at its time, before a seek is trusted.
_ANCHOR_FRAMES = 8


@dataclass(frozen=True)
class SegmentTask:
    """A segment that can be made by itself, and what its frames must be."""

    number: int
    """Place among the segments, from 0."""
    start: int
    """Index of its first frame."""
    stop: int
    """Index of the frame after its last."""
    last: bool
    """Whether the clip ends with it."""
    times: str
    """Hash of its timestamps, see `times_digest`."""
    border: str
    """Digest of the source's frame before stop; empty where it is not known."""
    anchor: Anchor | None
    """Where decoding may begin; None is the first frame of the clip."""
    warnings: tuple[str, ...] = ()
    """Of the last segment: warnings about the whole clip."""

    def check(self, source: Path, segment: Segment, packet_pts: Iterable[int], border: str) -> None:
        """Raise InputError unless the segment holds the frames that the first pass found there."""
        found = (segment.start, segment.stop, times_digest(packet_pts))
        if found != (self.start, self.stop, self.times) or (border and self.border not in ("", border)):
            raise InputError(
                f"{source}: segment {self.number} has other frames than it had when the work was planned. "
                "Plan again."
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> SegmentTask:
        anchor = facts["anchor"]
        if anchor is not None:
            anchor = Anchor(anchor["first"], tuple(anchor["pts"]), anchor["digest"])
        return cls(**{**facts, "anchor": anchor, "warnings": tuple(facts["warnings"])})


def times_digest(pts: Iterable[int]) -> str:
    """A hash of timestamps; their order does not matter."""
    text = " ".join(str(time) for time in sorted(pts))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def most_frames(source: Path) -> int:
    """An upper bound of the number of frames, from the index or by counting packets; decodes nothing."""
    if is_sequence(source):
        return len(numbers_there(source))
    with open_input(source) as container:
        stream = picture_stream(container, source)
        count = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
    if not count:
        raise InputError(f"{source}: it contains no video frames. Check that it plays.")
    return count


def scan(
    source: Source, *, segment_frames: int, margin: int, deinterlace: bool, cut: Cut | None = None
) -> Generator[SegmentTask, None, None]:
    """Decode the clip once, quickly, and yield each segment as soon as its frames have been seen.

    margin: frames that a worker needs before the first of a segment. cut: segments are those of a cut-out.
    Raises InputError like any decoding.
    """
    with Decoder(source, cut=cut) as decoder:
        if cut is not None:
            decoder.leap_to(cut.stretches[0])
        tail: deque[int] = deque(maxlen=_ANCHOR_FRAMES)
        times: list[int] = []
        anchors: dict[int, Anchor] = {}
        number, border, index = 0, "", -1

        def task(last: bool) -> SegmentTask:
            # This pass does not deinterlace, so digests would differ and only times are compared.
            return SegmentTask(
                number=number,
                start=number * segment_frames,
                stop=index + 1,
                last=last,
                times=times_digest(times),
                border="" if deinterlace else border,
                anchor=anchors.pop(number, None),
                warnings=tuple(decoder.warnings) if last else (),
            )

        def begun(index: int) -> int | None:
            """The segment that begins with a frame of the clip."""
            place = index if cut is None else cut.number(index)
            return None if place is None or place % segment_frames else place // segment_frames

        before = -1
        for at, timed in decoder.frames():
            place = at if cut is None else cut.number(at)
            ends = place is not None and (place + 1) % segment_frames == 0
            follower = begun(at + 1 + margin)
            digest = luma_digest(timed.frame) if ends or follower is not None else ""
            if at != before + 1:
                tail.clear()
            before = at
            if place is not None and place == (number + 1) * segment_frames:
                yield task(last=False)
                number, times = number + 1, []
            tail.append(timed.pts)
            if place is not None:
                index = place
                times.append(timed.pts if cut is None else cut.time(timed.pts))
                border = digest if ends else border
            if follower is not None and (cut is None or len(tail) == _ANCHOR_FRAMES):
                anchors[follower] = Anchor(at + 1 - len(tail), tuple(tail), digest)
        if (index + 1) % segment_frames:
            border = ""
        yield task(last=True)
