"""Source: everything that is found out about a clip before work on it, read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream

from vidstyle.frames import VideoInfo
from vidstyle.media.black_edges import BlackEdges, black_edges
from vidstyle.media.container import open_input
from vidstyle.media.convert import PlaneConverter
from vidstyle.media.demux import Demuxer
from vidstyle.media.digests import fingerprint
from vidstyle.media.frame_decoder import FrameDecoder, TimedFrame
from vidstyle.media.image_sequence import ImageSequence, find_sequence, is_sequence
from vidstyle.media.log_guess import seems_log
from vidstyle.media.side_data import unwritable
from vidstyle.media.timestamps import clock_scale
from vidstyle.media.video_info import read_info
from vidstyle.media.view_marks import Marks, read_marks, without_stereo

if TYPE_CHECKING:
    from av.container.core import Chapter

_SECOND_VIEW = "the second view (MV-HEVC)"


@dataclass(frozen=True, kw_only=True)
class StreamFacts:
    """What a stream of the source says about itself."""

    index: int
    """Its place among the streams of the file."""
    type: str
    """FFmpeg's name of its kind: video, audio, subtitle, data or attachment."""
    metadata: dict[str, str]
    """Its tags, as stored."""
    disposition: Disposition
    """Its roles: default, forced, attached picture and so on."""
    sample_rate: int | None = None
    """Of sound whose codec is known: samples per second."""

    @property
    def is_cover(self) -> bool:
        """Whether it is cover art: a single picture and not a clip."""
        return self.type == "video" and bool(self.disposition & Disposition.attached_pic)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A clip, as `probe` found it. Holds no open file; can be pickled and sent to another process."""

    path: Path
    """The file, or the pattern of numbered pictures, such as shot/frame_%05d.png."""
    sequence: ImageSequence | None
    """Numbers and rate of numbered pictures; None for a file."""
    info: VideoInfo
    """Size, color, timing and counts."""
    clock_scale: int
    """How many times finer than the container's clock the timestamps are; see `timestamps.clock_scale`."""
    fingerprint: str
    """A hash of the content, see `digests.fingerprint`."""
    picture: int
    """Index of the stream that is restyled."""
    streams: tuple[StreamFacts, ...]
    """All streams of the file, by index."""
    metadata: dict[str, str]
    """Tags of the file, as stored."""
    chapters: tuple[Chapter, ...]
    """Chapters as PyAV gives them: id, start, end, time_base and metadata."""
    start_seconds: float
    """Time of the first frame on the clock of the container."""
    black_edges: BlackEdges | None
    """What is black at the edges of the first frame; None where it is black all over. See `find_bars`."""
    marks: Marks = field(default_factory=dict)
    """360 degrees, 3D and crop, which are kept; see `view_marks`."""
    left_out: tuple[str, ...] = ()
    """What hangs on the picture and no encoder here can write, in words."""

    looks_like_log: bool = False
    """Whether the first frame seems to be camera log, of which no tag tells; see `log_guess`."""

    @property
    def others(self) -> tuple[StreamFacts, ...]:
        """All streams but the one that is restyled."""
        return tuple(stream for stream in self.streams if stream.index != self.picture)

    @property
    def first_number(self) -> int:
        """The number that numbered results begin with: that of the source's pictures, 1 for a file."""
        return 1 if self.sequence is None else self.sequence.first

    def open(self) -> InputContainer:
        """The file, opened again to read its packets."""
        return open_input(self.path, sequence=self.sequence, light=self.info.scene_linear)


def probe(path: Path, *, fps: Fraction | None = None, light: bool = False) -> Source:
    """Find out all about a clip. fps: rate of numbered pictures; None is the one in their sidecar.

    light: EXR is read as light of the scene, and not as what a screen shows of it.

    Raises InputError when it cannot be decoded or is not supported.
    """
    with probing(path, fps=fps, light=light) as (source, _):
        return source


@contextmanager
def probing(
    path: Path, *, fps: Fraction | None = None, light: bool = False
) -> Iterator[tuple[Source, InputContainer]]:
    """`probe`, with the file still open, for those who have to look at its streams themselves."""
    sequence = find_sequence(path, fps=fps) if is_sequence(path) else None
    light = light and path.suffix.lower() == ".exr"
    with open_input(path, sequence=sequence, light=light) as container:
        # Before decoding, which may change what a container says of itself.
        streams = tuple(_facts(stream) for stream in container.streams)
        metadata, chapters = dict(container.metadata), tuple(container.chapters())
        demuxer = Demuxer(path, container, sequence=sequence)
        with closing(FrameDecoder(demuxer)) as frames:
            assert frames.ahead is not None
            info = read_info(path, container, demuxer.stream, frames.ahead)
            info = replace(info, scene_linear=light)
            start = float((frames.ahead.pts or 0) * demuxer.timestamps.time_base)
            first = PlaneConverter(info)([TimedFrame(0, 0, frames.ahead)], 0)
            edges = black_edges(first)
            left_out = unwritable(frames.ahead) + ([_SECOND_VIEW] if demuxer.has_second_layer else [])
            marks = read_marks(demuxer.stream, frames.ahead)
        if sequence is None:
            demuxer.check_length()
        source = Source(
            path=path,
            sequence=sequence,
            info=info,
            clock_scale=clock_scale(demuxer.stream),
            fingerprint=fingerprint(path, sequence=sequence),
            picture=demuxer.stream.index,
            streams=streams,
            metadata=metadata,
            chapters=chapters,
            start_seconds=start,
            black_edges=edges,
            marks=without_stereo(marks) if demuxer.has_second_layer else marks,
            left_out=tuple(left_out),
            looks_like_log=seems_log(first, info),
        )
        yield source, container


def pictures_alone(path: Path, info: VideoInfo, start_seconds: float = 0.0) -> Source:
    """The source of pictures that a program has made: there is no file. path: named in messages."""
    return Source(
        path=path,
        sequence=None,
        info=info,
        clock_scale=1,
        fingerprint="",
        picture=0,
        streams=(StreamFacts(index=0, type="video", metadata={}, disposition=Disposition(0)),),
        metadata={},
        chapters=(),
        start_seconds=start_seconds,
        black_edges=None,
    )


def _facts(stream: Stream) -> StreamFacts:
    context = stream.codec_context
    return StreamFacts(
        index=stream.index,
        type=stream.type,
        metadata=dict(stream.metadata),
        disposition=stream.disposition,
        sample_rate=(context.sample_rate or 1) if isinstance(context, AudioCodecContext) else None,
    )
