"""Segments and everything else of the source into one file. Knows nothing of pixels: packets only."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import av.error
from av.codec.codec import UnknownCodecError
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.video.stream import VideoStream

from vidstyle.encode import map_write_error
from vidstyle.errors import OutputError
from vidstyle.frames import VideoInfo
from vidstyle.options import CodecPreset
from vidstyle.segments import Committed
from vidstyle.source import open_source, picture_stream

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".ts": "mpegts",
    ".m2ts": "mpegts",
}
_FILE_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_STREAM_KEYS = {"encoder", "vendor_id", "duration", "bps", "number_of_frames", "number_of_bytes", "rotate"}
# What every container knows by its own name; other keys (phones write many) need a flag in mp4.
_PLAIN_KEYS = {
    *("title", "artist", "album", "album_artist", "composer", "comment", "date", "genre", "copyright"),
    *("description", "synopsis", "show", "episode_id", "network", "lyrics", "grouping", "track", "disc"),
    *("keywords", "creation_time", "location", "location-eng", "make", "model", "timecode", "encoded_by"),
    *("hd_video", "gapless_playback", "media_type"),
}
# QuickTime knows some languages by their other ISO 639-2 code only.
_MOV_LANGUAGES = {
    **{"deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi", "fre": "fra"},
    **{"sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo", "mya": "bur", "msa": "may", "cze": "ces"},
}
_TEXT_SUBTITLES = {"subrip", "text", "mov_text", "webvtt", "ass", "ssa"}


@dataclass
class Extras:
    """What beside the picture goes into the target, and what is to be said about it."""

    copied: list[tuple[int, Stream]] = field(
        default_factory=list
    )  # index in the source, stream of the target
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)  # packets by index in the target
    broken: dict[int, int] = field(default_factory=dict)  # packets that the target's format cannot parse
    moved: int = 0  # packets whose time did not follow the one before


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
                extras = _add_extras(out, original, source, target)
                writers = {
                    index: _copier(original.streams[index], stream, extras) for index, stream in extras.copied
                }
                pictures = _pictures(segments, folder, info.time_base, video, target)
                others = _others(original, writers, extras)
                for packet in _interleaved(pictures, others):
                    _mux(out, packet, video.index, extras)
        except (av.error.FFmpegError, OSError) as error:
            map_write_error(target, error)
    _verify(part, target, segments, info, extras)
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
    container = target_format(target, preset, codec)
    with (
        open_source(source) as original,
        av.open(os.devnull, "w", format=container) as out,
    ):
        extras = _add_extras(out, original, source, target)
    return extras.warnings


def _writing(container: str, original: InputContainer, info: VideoInfo) -> dict[str, Any]:
    # Sound that starts before zero (AAC's priming) stays there; a shift would move every frame with it.
    options = {"avoid_negative_ts": "disabled"} if container in ("matroska", "webm") else {}
    if container in ("mp4", "mov"):
        flags = "+faststart"
        if _own_keys(original) and not _covers(original):  # with this flag, mp4 holds no cover art
            flags += "+use_metadata_tags"
        # Edit lists count in the movie's units: fine ones, or a late start would be off by part of a frame.
        rates = [s.codec_context.sample_rate for s in original.streams.audio if s.codec_context is not None]
        scale = math.lcm(info.time_base.denominator, *rates)
        options = {
            "movflags": flags,
            "movie_timescale": str(scale if scale <= 1_000_000 else max(90_000, info.time_base.denominator)),
        }
    return {"container_options": options}


def _own_keys(original: InputContainer) -> list[str]:
    """Tags of the file that mp4 has no name for."""
    return sorted(key for key in original.metadata if key.lower() not in (*_PLAIN_KEYS, *_FILE_KEYS))


def _covers(original: InputContainer) -> list[VideoStream]:
    return [s for s in original.streams.video if s.disposition & Disposition.attached_pic]


def _add_video(
    out: OutputContainer,
    model: InputContainer,
    info: VideoInfo,
    preset: CodecPreset,
    original: InputContainer,
    source: Path,
) -> VideoStream:
    out.metadata.update({k: v for k, v in _text(original.metadata).items() if k.lower() not in _FILE_KEYS})
    out.set_chapters([{**c, "metadata": _text(c["metadata"])} for c in original.chapters()])
    # By the codec's name an encoder would open at the first packet and put its own headers here.
    try:
        video = out.add_stream_from_template(model.streams.video[0], opaque=False)
        video.time_base = video.codec_context.time_base = info.time_base
        video.codec_context.framerate = info.average_fps
    except (
        UnknownCodecError
    ):  # AV1 is read by a decoder whose name is no encoder's; its time base comes along
        video = out.add_stream_from_template(model.streams.video[0], opaque=True)
    if preset.tag is not None and out.format.name in ("mp4", "mov"):
        video.codec_context.codec_tag = preset.tag
    if info.rotation is not None:
        video.set_display_matrix(info.rotation)
    pictures = picture_stream(original, source)
    _describe(pictures, video, out.format.name)
    return video


def _text(metadata: dict[str, str]) -> dict[str, str]:
    """Valid UTF-8, as every container asks for; what is none was most likely written as Latin-1."""

    def clean(words: str) -> str:
        raw = words.encode("utf-8", "surrogateescape")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    return {clean(key): clean(value) for key, value in metadata.items()}


def _describe(source: Stream, stream: Stream, container: str) -> None:
    """Language, title, role: what a template does not bring along."""
    kept = {
        k: v for k, v in _text(source.metadata).items() if k.lower().partition("-")[0] not in _STREAM_KEYS
    }
    kept = {k: v for k, v in kept.items() if not k.startswith("_STATISTICS")}
    if "name" in kept:  # what mp4 and mov read back as name they write from title
        kept.setdefault("title", kept.pop("name"))
    if container == "mov" and kept.get("language") in _MOV_LANGUAGES:
        kept["language"] = _MOV_LANGUAGES[kept["language"]]
    stream.metadata.update(kept)
    stream.disposition = source.disposition


def _add_extras(out: OutputContainer, original: InputContainer, source: Path, target: Path) -> Extras:
    extras = Extras()
    pictures = picture_stream(original, source).index
    if out.format.name == "mp4" and _own_keys(original) and _covers(original):
        extras.warnings.append(
            f"the tags {', '.join(_own_keys(original))} do not fit beside cover art in mp4"
        )
    for stream in original.streams:
        if stream.index == pictures:
            continue
        copy = _add_extra(out, stream, target, extras)
        if copy is not None:
            if stream.type != "attachment":
                _describe(stream, copy, out.format.name)
                extras.copied.append((stream.index, copy))
            extras.counts[stream.type] = extras.counts.get(stream.type, 0) + 1
    return extras


def _add_extra(out: OutputContainer, stream: Stream, target: Path, extras: Extras) -> Stream | None:
    container = out.format.name
    name = stream.codec_context.name if stream.codec_context is not None else None
    name = "subrip" if name == "srt" else name
    if stream.type == "data":
        if stream.name == "bin_data" or "timecode" in stream.metadata:
            return None  # chapters and time code are written anew, from the chapters and the tag
        if stream.name is None or container not in ("mp4", "mov"):
            what = stream.name or stream.metadata.get("handler_name", "of unknown kind")
            extras.warnings.append(
                f"data stream {stream.index} ({what}) is left out: {target.suffix} cannot hold it"
            )
            return None
        return out.add_stream_from_template(stream)
    if isinstance(stream, AttachmentStream):
        if container != "matroska":
            extras.warnings.append(
                f"attachment {stream.name!r} does not fit into {target.suffix}; .mkv would keep it"
            )
            return None
        return out.add_attachment(
            (stream.name or "file").encode("utf-8", "replace").decode(),
            stream.mimetype or "application/octet-stream",
            stream.data,
        )
    if name is None:
        raise OutputError(
            f"{target}: the codec of {stream.type} stream {stream.index} is unknown. Remove it first."
        )
    is_cover = stream.type == "video" and stream.disposition & Disposition.attached_pic
    if is_cover and container not in ("mp4", "matroska"):
        extras.warnings.append(f"cover art is left out: {target.suffix} cannot hold it; .mp4 and .mkv would")
        return None
    if is_cover and container == "matroska":
        extension = "png" if name == "png" else "jpg"
        picture = next(p for p in cast(InputContainer, stream.container).demux(stream) if p.size)
        out.add_attachment(f"cover.{extension}", f"image/{extension.replace('jpg', 'jpeg')}", bytes(picture))
        return None
    if stream.type == "subtitle":
        wanted = _subtitle_codec(name, container)
        if wanted != name:
            if wanted is None or name not in _TEXT_SUBTITLES:
                raise OutputError(
                    f"{target}: {target.suffix} cannot hold {name} subtitles. Choose a target ending in .mkv."
                )
            extras.warnings.append(f"subtitles {stream.index} are converted from {name} to {wanted}")
            copy = out.add_stream(wanted)
            cast(SubtitleCodecContext, copy.codec_context).subtitle_header = _subtitle_header(stream)
            copy.codec_context.time_base = copy.time_base = Fraction(1, 1000)
            return copy
    try:
        return out.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise OutputError(
            f"{target}: {target.suffix} cannot hold {stream.type} in {name}. Choose a target ending in .mkv."
        ) from error


def _subtitle_codec(name: str, container: str) -> str | None:
    """What subtitles of this codec become in this container; None when they cannot be there."""
    if container in ("mp4", "mov"):
        return "mov_text"
    if container == "webm":
        return "webvtt"
    if container == "matroska":
        return "subrip" if name == "mov_text" else name
    return name if name.startswith("dvb") else None


def _subtitle_header(stream: Stream) -> bytes:
    context = cast(SubtitleCodecContext, stream.codec_context)
    context.open(strict=False)
    return context.subtitle_header or b""


def _copier(source: Stream, stream: Stream, extras: Extras) -> Callable[[Packet[Any]], Iterable[Packet[Any]]]:
    """How a packet of the source becomes packets of the target: itself, or its text in another notation."""
    context, other = stream.codec_context, source.codec_context
    if not isinstance(context, SubtitleCodecContext) or context.name == other.name:
        last: int | None = None

        def copy(packet: Packet[Any]) -> Iterable[Packet[Any]]:
            nonlocal last
            if packet.dts is None:
                packet.dts = packet.pts if packet.pts is not None else last
            if packet.dts is None:
                packet.dts = 0
            if last is not None:  # a tick of the target later is still the same moment
                tick = math.ceil((stream.time_base or packet.time_base) / packet.time_base)
                extras.moved += packet.dts < last
                packet.dts = max(packet.dts, last + tick)
            if packet.pts is None or packet.pts < packet.dts:
                packet.pts = packet.dts
            last = packet.dts
            packet.stream = stream
            return [packet]

        return copy

    def convert(packet: Packet[Any]) -> Iterable[Packet[Any]]:
        text = cast(SubtitleCodecContext, other).decode2(packet)
        if text is not None:
            written = context.encode_subtitle(text)
            written.time_base = packet.time_base
            written.pts = written.dts = packet.pts
            written.duration = packet.duration
            written.stream = stream
            yield written

    return convert


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


def _others(
    original: InputContainer,
    writers: dict[int, Callable[[Packet[Any]], Iterable[Packet[Any]]]],
    extras: Extras,
) -> Iterator[Packet[Any]]:
    if not writers:
        return
    failures = 0
    reasons = set()
    while True:
        try:
            for packet in original.demux([original.streams[index] for index in writers]):
                if packet.size:  # a packet without dts is a real one
                    yield from writers[packet.stream_index](packet)
            break
        except IndexError:  # a stream that was not there when the file was opened
            continue
        except av.error.FFmpegError as error:
            failures += 1
            reasons.add(getattr(error, "strerror", None) or str(error))
            if failures > 16:
                break
    if reasons:
        extras.warnings.append(f"damaged places in the sound or subtitles were passed over ({min(reasons)})")


def _interleaved(one: Iterator[Packet[Any]], two: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Merge by decoding time, so that the muxer need not hold one side while it waits for the other."""

    def keyed(packets: Iterator[Packet[Any]], side: int) -> Iterator[tuple[float, int, int, Packet[Any]]]:
        for number, packet in enumerate(packets):
            time = packet.dts if packet.dts is not None else 0
            yield float(time * packet.time_base), side, number, packet

    for _, _, _, packet in heapq.merge(keyed(one, 0), keyed(two, 1)):
        yield packet


def _verify(part: Path, target: Path, segments: list[Committed], info: VideoInfo, extras: Extras) -> None:
    """Read the packets back: a frame or a sound lost anywhere is an error, never a shorter file."""
    if extras.broken:
        extras.warnings.append(f"{sum(extras.broken.values())} damaged packets of sound are left out")
    if extras.moved:
        extras.warnings.append(
            f"{extras.moved} packets of sound or subtitles went back in time and were moved"
        )
    expected = sorted(pts for segment in segments for pts in segment.packet_pts)
    try:
        with av.open(str(part), metadata_errors="surrogateescape") as file:
            stream = picture_stream(file, part)
            found: list[int] = []
            sound = dict.fromkeys((s.index for s in file.streams.audio), 0)
            for packet in file.demux([stream, *file.streams.audio]):
                if packet.size and packet.stream_index in sound:
                    sound[packet.stream_index] += 1
                elif packet.size and packet.pts is not None:
                    found.append(packet.pts)
            found.sort()
            tick = stream.time_base or info.time_base
    except (av.error.FFmpegError, OSError) as error:
        raise OutputError(f"{target}: what was written cannot be read back ({error}). Run again.") from error
    if len(found) != len(expected):
        raise OutputError(
            f"{target}: {len(expected)} frames were to be written, {len(found)} are there. Run again."
        )
    for index, count in sound.items():
        written = extras.written.get(index, 0)
        if count != written:
            raise OutputError(
                f"{target}: {written} packets of sound were to be written, {count} are there. Run again."
            )
    shift = (
        0 if FORMATS[target.suffix.lower()] != "mpegts" else found[0] * tick - expected[0] * info.time_base
    )
    for number, (there, wanted) in enumerate(zip(found, expected, strict=True)):
        if abs(there * tick - wanted * info.time_base - shift) > tick:
            raise OutputError(
                f"{target}: frame {number} would be shown at {float(there * tick):.4f} s instead of "
                f"{float(wanted * info.time_base):.4f} s. Choose a target ending in .mkv."
            )
