"""Joins segments and all other streams of the source into one file, packet by packet."""

from __future__ import annotations

import heapq
import io
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
from av.codec.codec import UnknownCodecError
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from vidstyle.codecs import CodecPreset
from vidstyle.errors import OutputError
from vidstyle.files import map_write_error
from vidstyle.frames import VideoInfo
from vidstyle.media.probe import open_source, picture_stream
from vidstyle.media.segments import Committed
from vidstyle.media.sequence_writer import check_sequence
from vidstyle.media.streams import (
    FILE_KEYS,
    Extras,
    add_extras,
    copier,
    covers,
    describe,
    own_keys,
    packets,
    utf8,
)
from vidstyle.media.verify import losses

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
}


def target_format(target: Path, preset: CodecPreset, codec: str) -> str:
    """FFmpeg's name of the target's container; OutputError when it cannot hold the codec."""
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(
            f"{target}: no video container ends in '{suffix}'. Use one of {', '.join(FORMATS)}."
        )
    if suffix not in preset.suffixes:
        raise OutputError(
            f"{target}: {suffix} cannot hold {codec} here. Use one of {', '.join(preset.suffixes)}."
        )
    return FORMATS[suffix]


def join(
    source: Path,
    target: Path,
    part: Path,
    segments: list[Committed],
    folder: Path,
    info: VideoInfo,
    preset: CodecPreset,
    codec: str,
) -> Extras:
    """Write part: the pictures of all segments, and every other stream of the source once, packet by packet.

    Raises OutputError when anything is missing in what was written. The caller renames part to target.
    """
    container = target_format(target, preset, codec)
    with open_source(source) as original:
        extras = Extras()
        try:
            with av.open(str(part), "w", format=container, **_writing(container, original, info)) as out:
                first = folder / segments[0].data
                with av.open(str(first), options={"ignore_editlist": "1"}) as model:
                    video = _add_video(out, model, info, preset, original, source)
                extras = add_extras(out, original, source, target)
                writers = {
                    index: copier(original.streams[index], stream, extras) for index, stream in extras.copied
                }
                pictures = _pictures(segments, folder, info.time_base, video, target)
                others = packets(original, writers, extras)
                for packet in _interleaved(pictures, others):
                    _mux(out, packet, video.index, extras)
        except (av.error.FFmpegError, OSError) as error:
            map_write_error(target, error)
    _verify(source, part, target, segments, info, extras)
    return extras


def _mux(out: OutputContainer, packet: Packet[Any], pictures: int, extras: Extras) -> None:
    index = packet.stream_index
    try:
        out.mux(packet)
    except av.error.InvalidDataError:
        if index == pictures:
            raise
        extras.broken[index] = extras.broken.get(index, 0) + 1  # damaged in the source, as its bytes show
    else:
        extras.written[index] = extras.written.get(index, 0) + 1


def check_target(source: Path, target: Path, preset: CodecPreset, codec: str) -> list[str]:
    """Find out before any work whether the target can hold all the source has; return what must be said."""
    if preset.pictures:
        return check_sequence(source, target, preset.suffixes, codec)
    container = target_format(target, preset, codec)
    with (
        open_source(source) as original,
        av.open(io.BytesIO(), "w", format=container) as out,
    ):
        extras = add_extras(out, original, source, target)
        try:
            if extras.copied:
                out.start_encoding()
        except av.error.FFmpegError as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{target}: {target.suffix} cannot hold the sound and subtitles of this source ({reason}). "
                "Choose a target ending in .mkv."
            ) from error
    return extras.warnings


def _writing(container: str, original: InputContainer, info: VideoInfo) -> dict[str, Any]:
    # Sound that starts before zero (AAC's priming) stays there; a shift would move every frame with it.
    options = {"avoid_negative_ts": "disabled"} if container in ("matroska", "webm") else {}
    if container in ("mp4", "mov"):
        flags = "+faststart"
        if own_keys(original) and not covers(original):  # with this flag, mp4 holds no cover art
            flags += "+use_metadata_tags"
        # Edit lists count in the movie's units: fine ones, or a late start would be off by part of a frame.
        rates = [s.codec_context.sample_rate or 1 for s in original.streams.audio if s.codec_context]
        scale = math.lcm(info.time_base.denominator, *rates)
        options = {
            "movflags": flags,
            "movie_timescale": str(scale if scale <= 1_000_000 else max(90_000, info.time_base.denominator)),
        }
    return {"container_options": options}


def _add_video(
    out: OutputContainer,
    model: InputContainer,
    info: VideoInfo,
    preset: CodecPreset,
    original: InputContainer,
    source: Path,
) -> VideoStream:
    out.metadata.update({k: v for k, v in utf8(original.metadata).items() if k.lower() not in FILE_KEYS})
    out.set_chapters([{**c, "metadata": utf8(c["metadata"])} for c in original.chapters()])
    # By the codec's name an encoder would open at the first packet and put its own headers here.
    try:
        video = out.add_stream_from_template(model.streams.video[0], opaque=False)
        video.time_base = video.codec_context.time_base = info.time_base
        video.codec_context.framerate = info.average_fps
    except (
        UnknownCodecError
    ):  # AV1 is read by a decoder whose name is no encoder's; its time base comes along
        video = out.add_stream_from_template(model.streams.video[0], opaque=True)
    if preset.encoder == "prores_ks":  # the tag says which ProRes it is, and a template leaves it behind
        video.codec_context.codec_tag = model.streams.video[0].codec_context.codec_tag
    elif preset.tag is not None and out.format.name in ("mp4", "mov"):
        video.codec_context.codec_tag = preset.tag
    if info.rotation is not None:
        video.set_display_matrix(info.rotation)
    pictures = picture_stream(original, source)
    describe(pictures, video, out.format.name)
    return video


def _pictures(
    segments: list[Committed], folder: Path, time_base: Fraction, video: VideoStream, target: Path
) -> Iterator[Packet[Any]]:
    """All picture packets in order: timestamps from the sidecars, decoding times over the whole clip."""
    coded = [pts for segment in segments for pts in segment.packet_pts]
    shown = sorted(coded)
    delay = max(early - pts for early, pts in zip(shown, coded, strict=True))
    durations = {pts: after - pts for pts, after in pairwise(shown)}
    durations[shown[-1]] = segments[-1].last_duration
    number = 0
    for segment in segments:
        with av.open(str(folder / segment.data), options={"ignore_editlist": "1"}) as file:
            packets = (packet for packet in file.demux(video=0) if packet.size)
            count = 0
            for pts, packet in zip(segment.packet_pts, packets, strict=False):
                packet.time_base = time_base
                packet.pts, packet.dts, packet.duration = pts, shown[number] - delay, durations[pts]
                packet.stream = video
                yield packet
                number += 1
                count += 1
            if count != len(segment.packet_pts) or next(packets, None) is not None:
                raise OutputError(
                    f"{target}: segment {segment.number} has not its {len(segment.packet_pts)} frames. "
                    "Run the same command again."
                )


def _interleaved(one: Iterator[Packet[Any]], two: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Merge by decoding time, so that the muxer need not hold one side while it waits for the other."""

    def keyed(packets: Iterator[Packet[Any]], side: int) -> Iterator[tuple[float, int, int, Packet[Any]]]:
        for number, packet in enumerate(packets):
            time = packet.dts if packet.dts is not None else 0
            yield float(time * packet.time_base), side, number, packet

    for _, _, _, packet in heapq.merge(keyed(one, 0), keyed(two, 1)):
        yield packet


def _verify(
    source: Path, part: Path, target: Path, segments: list[Committed], info: VideoInfo, extras: Extras
) -> None:
    """Read all back: a frame or a sound lost anywhere is an error, and every word lost is told."""
    if extras.broken:
        extras.warnings.append(f"{sum(extras.broken.values())} damaged packets of sound are left out")
    if extras.moved:
        extras.warnings.append(
            f"{extras.moved} packets of sound or subtitles went back in time and were moved"
        )
    expected = sorted(pts for segment in segments for pts in segment.packet_pts)
    try:
        with av.open(str(part), metadata_errors="surrogateescape") as file, open_source(source) as original:
            pictures = picture_stream(file, part)
            pairs = [(picture_stream(original, source), pictures), *_pairs(original, file, extras)]
            _check_counts(file, pictures, pairs, target, expected, info, extras)
            lost = losses(original, file, pairs, info)
            if lost:
                extras.warnings.append(f"{target.suffix} has no place for: {', '.join(lost)}")
    except (av.error.FFmpegError, OSError) as error:
        raise OutputError(f"{target}: what was written cannot be read back ({error}). Run again.") from error


def _pairs(original: InputContainer, file: InputContainer, extras: Extras) -> list[tuple[Stream, Stream]]:
    """Each copied stream of the source with itself in the finished file; mp4 leaves out empty ones."""
    there = {s.index: s for s in file.streams}
    copied = extras.copied
    if file.format.name.startswith("mov"):
        empty = [index for index, stream in copied if not extras.written.get(stream.index)]
        for index in empty:
            extras.warnings.append(f"{original.streams[index].type} {index} is empty and left out")
        copied = [(index, stream) for index, stream in copied if index not in empty]
    first = min((stream.index for _, stream in extras.copied), default=0)
    numbered = sorted(copied, key=lambda pair: pair[1].index)
    return [
        (original.streams[index], there[first + place])
        for place, (index, _) in enumerate(numbered)
        if first + place in there
    ]


def _check_counts(
    file: InputContainer,
    pictures: VideoStream,
    pairs: list[tuple[Stream, Stream]],
    target: Path,
    expected: list[int],
    info: VideoInfo,
    extras: Extras,
) -> None:
    """Raise OutputError unless every packet of the pictures and the sound is there, the pictures in time."""
    written = {source: extras.written.get(stream.index, 0) for source, stream in extras.copied}
    sound = {after.index: before.index for before, after in pairs if after.type == "audio"}
    counts = dict.fromkeys(sound, 0)
    found: list[int] = []
    for packet in file.demux([pictures, *file.streams.audio]):
        if packet.size and packet.stream_index in counts:
            counts[packet.stream_index] += 1
        elif packet.size and packet.stream_index == pictures.index and packet.pts is not None:
            found.append(packet.pts)
    file.seek(0)
    found.sort()
    if len(found) != len(expected):
        raise OutputError(
            f"{target}: {len(expected)} frames were to be written, {len(found)} are there. Run again."
        )
    for index, count in counts.items():
        if count != written[sound[index]]:
            raise OutputError(
                f"{target}: {written[sound[index]]} packets of sound were to be written, "
                f"{count} are there. Run again."
            )
    tick = pictures.time_base or info.time_base
    moves = FORMATS[target.suffix.lower()] == "mpegts"  # its clock starts where it likes
    shift = found[0] * tick - expected[0] * info.time_base if moves else 0
    for number, (there, wanted) in enumerate(zip(found, expected, strict=True)):
        if abs(there * tick - wanted * info.time_base - shift) > tick:
            raise OutputError(
                f"{target}: frame {number} would be shown at {float(there * tick):.4f} s instead of "
                f"{float(wanted * info.time_base):.4f} s. Choose a target ending in .mkv."
            )
