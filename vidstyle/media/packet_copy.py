"""Copies the packets of sound, subtitles and data into the target, each at its exact time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, cast

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from vidstyle.media.packet_cut import PacketCutter
from vidstyle.media.streams import Extras

# In these containers, packets of a stream may be decoded at the same time (AVFMT_TS_NONSTRICT).
_EQUAL_TIMES = ("matroska", "webm")
_MOST_READ_ERRORS = 16
_EMPTY_TEXT = 2  # bytes of a mov_text packet that shows nothing
_FIELDS_BEFORE_TEXT = 8  # of an ASS event, as FFmpeg's decoders give it


class _Writer(Protocol):
    """Turns the packets of one stream of the source into packets of the target."""

    def write(self, packet: Packet[Any]) -> Iterator[Packet[Any]]: ...

    def finish(self) -> Iterator[Packet[Any]]: ...


class _Copier:
    """Copies packets. Presentation times stay; decoding times are moved where the container asks for it.

    A source with a coarse clock gives several packets the same time, and most containers want decoding times
    that rise. So packets of the same time wait for each other, and the earlier ones are decoded some ticks of
    the target earlier.
    """

    def __init__(self, stream: Stream, container: str, extras: Extras) -> None:
        self._stream, self._extras = stream, extras
        may_be_equal = container in _EQUAL_TIMES or stream.type in ("subtitle", "data")
        self._gap = 0 if may_be_equal else 1  # in ticks of the target
        # mp4 stores one time for a packet of sound. There the later ones move, by ticks of a sample.
        self._waits = self._gap > 0 and not (container in ("mp4", "mov") and stream.type == "audio")
        self._run: list[Packet[Any]] = []  # packets with the same decoding time
        self._last: int | None = None  # decoding time of the last packet written
        self._last_of_source: int | None = None
        self._coarse = Fraction(0)  # the clock of the source

    def write(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Take the next packet, and yield those that are ready. The target's header is written already."""
        self._rescale(packet)
        before = self._last_of_source
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else before or 0
        if packet.pts is None:
            packet.pts = packet.dts
        if before is not None:
            self._extras.moved += packet.dts < before
            packet.duration = packet.duration or max(0, packet.dts - before)  # or mp4 hides the last one
        self._last_of_source = packet.dts
        if self._run and (not self._waits or packet.dts != self._run[-1].dts):
            yield from self.finish()
        self._run.append(packet)

    def _rescale(self, packet: Packet[Any]) -> None:
        """Give a packet the time base of the target, so that it is moved in steps of the target's clock."""
        tick = self._stream.time_base or packet.time_base
        self._coarse = Fraction(packet.time_base)
        ratio = self._coarse / Fraction(tick)
        if packet.pts is not None:
            packet.pts = _nearest(packet.pts * ratio)
        if packet.dts is not None:
            packet.dts = _nearest(packet.dts * ratio)
        packet.duration = _nearest((packet.duration or 0) * ratio)
        packet.time_base = tick

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield the packets that waited."""
        for place, packet in enumerate(self._run):
            behind = len(self._run) - 1 - place
            dts = cast(int, packet.dts) - behind * self._gap
            if self._last is not None:
                dts = max(dts, self._last + self._gap)
            packet.stream = self._stream
            if tells_time(packet):
                tick = Fraction(packet.time_base)
                self._extras.note_time(self._stream.index, cast(int, packet.pts), tick, self._coarse)
            packet.pts = max(cast(int, packet.pts), dts)
            packet.dts = self._last = dts
            yield packet
        self._run = []


class _SubtitleConverter:
    """Decodes text subtitles and encodes them in the codec of the target."""

    def __init__(self, source: Stream, stream: Stream, extras: Extras) -> None:
        self._stream, self._extras = stream, extras
        self._decoder = cast(SubtitleCodecContext, source.codec_context)
        self._encoder = cast(SubtitleCodecContext, stream.codec_context)

    def write(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Convert one packet."""
        text = self._decoder.decode2(packet)
        if text is not None:
            written = self._encoder.encode_subtitle(text)
            written.time_base = packet.time_base
            written.pts = written.dts = packet.pts
            written.duration = packet.duration
            yield self._noted(written)

    def _noted(self, written: Packet[Any]) -> Packet[Any]:
        written.stream = self._stream
        tick = Fraction(written.time_base)
        self._extras.note_time(self._stream.index, cast(int, written.pts), tick, tick)
        return written

    def finish(self) -> Iterator[Packet[Any]]:
        """Nothing waits."""
        yield from ()


@dataclass
class _Line:
    """A line of subtitles: from when to when, and its text as ASS has it."""

    start: int
    end: int
    text: bytes


class _OverlapCutter(_SubtitleConverter):
    """Converts to mov_text, where one sample is shown at a time.

    Lines that overlap are cut where one of them begins or ends, and each piece shows all lines of its time.
    """

    def __init__(self, source: Stream, stream: Stream, extras: Extras) -> None:
        super().__init__(source, stream, extras)
        self._shown: list[_Line] = []
        self._now = 0
        self._time_base = Fraction(1, 1000)

    def write(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Take the next line, and yield the pieces before its start."""
        text = self._decoder.decode2(packet)
        if text is None or packet.pts is None:
            return
        self._time_base = Fraction(packet.time_base)
        words = [rect.ass for rect in text if isinstance(rect, AssSubtitle)]
        start = max(packet.pts, self._now) if self._shown else packet.pts
        yield from self._pieces(until=start)
        end = packet.pts + (packet.duration or 0)
        self._now = start
        self._shown += [_Line(start, end, word) for word in words if end > start]

    def finish(self) -> Iterator[Packet[Any]]:
        """Yield the pieces to the end of the last line."""
        yield from self._pieces(until=None)

    def _pieces(self, until: int | None) -> Iterator[Packet[Any]]:
        while self._shown and (until is None or self._now < until):
            border = min(line.end for line in self._shown)
            border = border if until is None else min(border, until)
            if border > self._now:
                yield self._piece(border)
            self._now = border
            self._shown = [line for line in self._shown if line.end > border]

    def _piece(self, end: int) -> Packet[Any]:
        first, *others = (line.text for line in self._shown)
        joined = b"\\N".join([first, *(text.split(b",", _FIELDS_BEFORE_TEXT)[-1] for text in others)])
        written = self._encoder.encode_subtitle(SubtitleSet.create(joined, 0, end - self._now))
        written.time_base = self._time_base
        written.pts = written.dts = self._now
        written.duration = end - self._now
        return self._noted(written)


def is_pcm(stream: Stream) -> bool:
    """Whether a stream is uncompressed sound, which demuxers cut into packets as they like."""
    return stream.codec_context is not None and stream.codec_context.name.startswith("pcm")


def tells_time(packet: Packet[Any]) -> bool:
    """Whether the time of a packet means something. mp4 fills gaps between subtitles with empty ones."""
    context = packet.stream.codec_context
    return context is None or context.name != "mov_text" or packet.size > _EMPTY_TEXT


def _nearest(time: Fraction) -> int:
    """As FFmpeg rounds times: halves away from zero."""
    return math.floor(time + Fraction(1, 2)) if time >= 0 else math.ceil(time - Fraction(1, 2))


def _writer(source: Stream, stream: Stream, container: str, extras: Extras) -> _Writer:
    context = stream.codec_context
    if isinstance(context, SubtitleCodecContext) and context.name != source.codec_context.name:
        if context.name == "mov_text":
            return _OverlapCutter(source, stream, extras)
        return _SubtitleConverter(source, stream, extras)
    return _Copier(stream, container, extras)


def packets(
    original: InputContainer, container: str, extras: Extras, cutter: PacketCutter | None = None
) -> Iterator[Packet[Any]]:
    """The packets of all copied streams, as the target takes them. Damaged ones are passed over.

    container: FFmpeg's name of the target's container. Its header must be written already, because that
    settles the time bases of the streams. cutter: cuts them to a cut-out.
    """
    writers = {
        index: _writer(original.streams[index], stream, container, extras) for index, stream in extras.copied
    }
    if not writers:
        return
    failures = 0
    reasons = set()
    while True:
        try:
            for packet in original.demux([original.streams[index] for index in writers]):
                if packet.size:  # a packet without dts is a real one
                    for piece in (packet,) if cutter is None else cutter.cut(packet):
                        yield from writers[packet.stream_index].write(piece)
            break
        except IndexError:  # a stream that was not there when the file was opened
            continue
        except av.error.FFmpegError as error:
            failures += 1
            reasons.add(getattr(error, "strerror", None) or str(error))
            if failures > _MOST_READ_ERRORS:
                break
    for index, writer in writers.items():
        for piece in () if cutter is None else cutter.finish(index):
            yield from writer.write(piece)
        yield from writer.finish()
    if reasons:
        extras.warnings.append(f"damaged places in the sound or subtitles were passed over ({min(reasons)})")
