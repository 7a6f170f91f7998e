"""Cuts the sound, subtitles and data of a clip to the stretches of a cut-out, packet by packet.

Uncompressed sound is cut to the sample. Other sound is cut at its packets: the first one begins before the
stretch, at a time below zero, which mp4 and mov hide with an edit list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, cast

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from vidstyle.media.cut import Cut
from vidstyle.media.streams import Extras

# Packets before the first one that is heard, without which that one would not be decoded to the same samples.
_RUN_UP = {"aac": 1, "mp3": 2, "opus": 4, "vorbis": 1, "ac3": 1, "eac3": 1}
_EDIT_LISTS = ("mp4", "mov")
# Sound without loss: it is decoded, cut to the sample, and encoded again to the same samples.
RECODED = ("flac",)
_STRAY = Fraction(2, 1000)  # seconds that clocks of milliseconds are off


@dataclass(frozen=True)
class Span:
    """A stretch in seconds: from when to when in the clip, and where it comes in the cut-out."""

    begins: Fraction
    ends: Fraction | None
    """None is the end of the clip, whatever there is."""
    place: Fraction


def spans_of(cut: Cut) -> tuple[Span, ...]:
    """The stretches of a cut-out in seconds, on the clock of the container."""
    return tuple(
        Span(
            stretch.begins * cut.time_base,
            None if stretch.at_end else stretch.ends * cut.time_base,
            offset * cut.time_base,
        )
        for stretch, offset in zip(cut.stretches, cut.offsets, strict=False)
    )


class PacketCutter:
    """Cuts the packets of all streams of a file; see `of_stream`."""

    def __init__(self, cut: Cut, container: str, extras: Extras) -> None:
        """container: FFmpeg's name of the target's container."""
        self._spans, self._container, self._extras = spans_of(cut), container, extras
        self._cutters: dict[int, _Cutter] = {}

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """What of a packet comes into the cut-out, with its time there; more than one piece, or none."""
        stream = packet.stream
        if packet.stream_index not in self._cutters:
            self._cutters[packet.stream_index] = self._cutter(stream)
        yield from self._cutters[packet.stream_index].cut(packet)

    def finish(self, index: int) -> Iterator[Packet[Any]]:
        """What is left of a stream when all its packets have been cut."""
        if index in self._cutters:
            yield from self._cutters[index].finish()

    def _cutter(self, stream: Stream) -> _Cutter:
        context = stream.codec_context
        if not isinstance(context, AudioCodecContext):
            return _Shown(self._spans) if stream.type in ("subtitle", "data") else _Cutter(self._spans)
        block = _block_bytes(context)
        if block is not None:
            return _Samples(self._spans, context.sample_rate, block)
        if context.name in RECODED:
            encoder = next(copy for index, copy in self._extras.copied if index == stream.index)
            return _Lossless(self._spans, context, cast(AudioStream, encoder))
        return _SoundPackets(self._spans, context, self._container, self._extras)


class _Cutter:
    """Passes packets as they are; cover art has no time."""

    def __init__(self, spans: tuple[Span, ...]) -> None:
        self._spans = spans

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        yield packet

    def finish(self) -> Iterator[Packet[Any]]:
        yield from ()


class _Shown(_Cutter):
    """What is shown for a while: clipped to each stretch that it is shown in."""

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        tick = Fraction(packet.time_base)
        start = packet.pts if packet.pts is not None else packet.dts
        if start is None:
            return
        end = start + (packet.duration or 1)
        for span in self._spans:
            low = _nearest(span.begins / tick)
            begin, stop = max(start, low), end if span.ends is None else min(end, _nearest(span.ends / tick))
            if begin < stop:
                length = stop - begin if packet.duration else 0
                yield _moved(packet, bytes(packet), begin - low + _nearest(span.place / tick), length, tick)


class _SampleSpans:
    """The stretches in samples of one stream, so that they join without a gap."""

    def __init__(self, spans: tuple[Span, ...], rate: int) -> None:
        self._rate = rate
        self._next: int | None = None  # the sample behind the last piece of sound
        places = [_nearest(span.place * rate) for span in spans]
        begins = [_nearest(span.begins * rate) for span in spans]
        lengths: list[int | None] = [after - place for place, after in pairwise(places)]
        last = spans[-1]
        lengths.append(
            None
            if last.ends is None
            else _nearest((last.ends - last.begins + last.place) * rate) - places[-1]
        )
        self._stretches = list(zip(begins, lengths, places, strict=True))

    def pieces(self, time: Fraction | None, count: int) -> Iterator[tuple[int, int, int]]:
        """(first, stop, place in the cut-out) of the parts of the next `count` samples.

        time: of the first of them in seconds; None is right behind those before.
        """
        start = self._next if time is None else _nearest(time * self._rate)
        if start is None:
            return
        if self._next is not None and abs(start - self._next) <= _STRAY * self._rate:
            start = self._next
        self._next = start + count
        for low, length, place in self._stretches:
            begin = max(start, low)
            stop = start + count if length is None else min(start + count, low + length)
            if begin < stop:
                yield begin - start, stop - start, begin - low + place


class _Samples(_Cutter):
    """Uncompressed sound, cut to the sample."""

    def __init__(self, spans: tuple[Span, ...], rate: int, block: int) -> None:
        """block: bytes of one sample of all channels."""
        super().__init__(spans)
        self._rate, self._block = rate, block
        self._samples = _SampleSpans(spans, rate)

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        time = packet.pts if packet.pts is not None else packet.dts
        seconds = None if time is None else time * Fraction(packet.time_base)
        data, block = bytes(packet), self._block
        for begin, stop, place in self._samples.pieces(seconds, packet.size // block):
            piece = data[begin * block : stop * block]
            yield _moved(packet, piece, place, stop - begin, Fraction(1, self._rate))


class _Lossless(_Cutter):
    """Sound of a codec without loss: decoded, cut to the sample, and encoded again."""

    def __init__(self, spans: tuple[Span, ...], decoder: AudioCodecContext, encoder: AudioStream) -> None:
        super().__init__(spans)
        self._decoder, self._encoder = decoder, encoder
        self._samples = _SampleSpans(spans, decoder.sample_rate)
        self._waiting = AudioFifo()
        self._written = 0

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        yield from self._encoded(self._decoder.decode(packet))

    def finish(self) -> Iterator[Packet[Any]]:
        yield from self._encoded(self._decoder.decode(None))
        rest = self._waiting.read(0, partial=True)
        if rest is not None:
            yield from self._encode(rest)
        yield from self._encoder.encode(None)

    def _encoded(self, frames: Iterable[AudioFrame]) -> Iterator[Packet[Any]]:
        for frame in frames:
            tick = Fraction(frame.time_base or Fraction(1, frame.sample_rate))
            time = None if frame.pts is None else frame.pts * tick
            samples: Any = frame.to_ndarray()
            packed = samples.shape[0] == 1
            if packed:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            for begin, stop, _ in self._samples.pieces(time, frame.samples):
                piece = samples[:, begin:stop]
                piece = piece.T.reshape(1, -1) if packed else piece
                part = AudioFrame.from_ndarray(
                    np.ascontiguousarray(piece), format=frame.format.name, layout=frame.layout.name
                )
                part.sample_rate = frame.sample_rate
                self._waiting.write(part)
        size = self._encoder.codec_context.frame_size
        while size and (whole := self._waiting.read(size)) is not None:
            yield from self._encode(whole)

    def _encode(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        frame.pts, frame.time_base = self._written, Fraction(1, frame.sample_rate)
        self._written += frame.samples
        yield from self._encoder.encode(frame)


class _SoundPackets(_Cutter):
    """Compressed sound: whole packets."""

    def __init__(
        self, spans: tuple[Span, ...], context: AudioCodecContext, container: str, extras: Extras
    ) -> None:
        super().__init__(spans)
        self._hides = container in _EDIT_LISTS
        self._usual = Fraction(context.frame_size or 0, context.sample_rate or 1)
        self._run_up = _RUN_UP.get(context.name, 0)
        self._before: list[tuple[Packet[Any], Fraction, Fraction]] = []  # those just before a stretch
        self._end = Fraction(-1 << 40)  # of what was given out, in the cut-out
        exact = self._hides and len(spans) == 1
        if not exact:
            most = math.ceil(self._usual * (1 + self._run_up) * 1000)
            milliseconds = f"up to {most} ms" if most else "a packet"
            where = (
                "more or less of it is heard at the cuts"
                if len(spans) > 1
                else "more of it is heard at its ends"
            )
            extras.warnings.append(f"{context.name} is cut in whole packets: {milliseconds} {where}")

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        tick = Fraction(packet.time_base)
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return
        start, length = time * tick, (packet.duration or 0) * tick or self._usual
        for number, span in enumerate(self._spans):
            is_last = number + 1 == len(self._spans)
            # Where stretches join, a packet belongs to the side on which more of it lies.
            half_begin, half_end = (
                (length / 2 if number else length),
                (Fraction(0) if is_last else length / 2),
            )
            inside = start + half_begin > span.begins and (span.ends is None or start + half_end < span.ends)
            if inside:
                for early in () if number else self._taken():
                    yield self._placed(*early, span)
                yield self._placed(packet, start, length, span)
        self._before = [*self._before, (packet, start, length)][-self._run_up :] if self._run_up else []

    def _taken(self) -> list[tuple[Packet[Any], Fraction, Fraction]]:
        before, self._before, self._run_up = self._before, [], 0
        return before

    def _placed(self, packet: Packet[Any], start: Fraction, length: Fraction, span: Span) -> Packet[Any]:
        place = start - span.begins + span.place
        end = place + length
        if span.ends is not None and span is self._spans[-1]:
            end = min(end, span.ends - span.begins + span.place)  # an edit list can end within a packet
        tick = Fraction(packet.time_base)
        moved = _moved(packet, bytes(packet), _nearest(place / tick), _nearest((end - place) / tick), tick)
        for kind in packet.iter_sidedata():
            moved.set_sidedata(kind)
        return moved


def _moved(packet: Packet[Any], data: bytes, pts: int, duration: int, tick: Fraction) -> Packet[Any]:
    piece: Packet[Any] = Packet(data)
    piece.stream = packet.stream
    piece.is_keyframe = packet.is_keyframe
    piece.time_base, piece.pts, piece.dts, piece.duration = tick, pts, pts, duration
    return piece


def _block_bytes(context: AudioCodecContext) -> int | None:
    """Bytes of one sample of all channels of uncompressed sound; None of other sound."""
    bits = re.fullmatch(r"pcm_[suf](\d+)(le|be)?", context.name)
    if bits is not None:
        return int(bits[1]) // 8 * context.channels
    return context.channels if context.name in ("pcm_alaw", "pcm_mulaw") else None


def _nearest(time: Fraction) -> int:
    return math.floor(time + Fraction(1, 2))
