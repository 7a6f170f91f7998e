"""Cuts the sound, subtitles and data of a clip to the stretches of a cut-out, packet by packet.

Uncompressed sound is cut to the sample. Other sound is cut at its packets: the first one begins before the
stretch, at a time below zero, which mp4 and mov hide with an edit list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet
from av.stream import Stream

from vidstyle.media.cut import Cut
from vidstyle.media.streams import Extras

# Packets before the first one that is heard, without which that one would not be decoded to the same samples.
_RUN_UP = {"aac": 1, "mp3": 2, "opus": 4, "vorbis": 1, "ac3": 1, "eac3": 1}
_EDIT_LISTS = ("mp4", "mov")
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


class _Samples(_Cutter):
    """Uncompressed sound, cut to the sample."""

    def __init__(self, spans: tuple[Span, ...], rate: int, block: int) -> None:
        """block: bytes of one sample of all channels."""
        super().__init__(spans)
        self._rate, self._block = rate, block
        self._next: int | None = None  # the sample behind the last packet
        # In samples, so that stretches join without a gap.
        self._places = [_nearest(span.place * rate) for span in spans]

    def cut(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        tick, rate = Fraction(packet.time_base), self._rate
        time = packet.pts if packet.pts is not None else packet.dts
        start = self._next if time is None else _nearest(time * tick * rate)
        if start is None:
            return
        if self._next is not None and abs(start - self._next) <= _STRAY * rate:
            start = self._next
        data, count = bytes(packet), packet.size // self._block
        self._next = start + count
        for number, span in enumerate(self._spans):
            low = _nearest(span.begins * rate)
            high = start + count
            if number + 1 < len(self._spans):
                high = low + self._places[number + 1] - self._places[number]
            elif span.ends is not None:
                high = low + _nearest((span.ends - span.begins + span.place) * rate) - self._places[number]
            begin, stop = max(start, low), min(start + count, high)
            if begin < stop:
                piece = data[(begin - start) * self._block : (stop - start) * self._block]
                place = begin - low + self._places[number]
                yield _moved(packet, piece, place, stop - begin, Fraction(1, rate))


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
            milliseconds = f"up to {math.ceil(self._usual * 1000)} ms" if self._usual else "a packet"
            where = "at the cuts" if len(spans) > 1 else "at its ends"
            extras.warnings.append(
                f"{context.name} is cut in whole packets: {milliseconds} more or less of it is heard {where}"
            )

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
