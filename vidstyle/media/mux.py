"""Joins segments and all other streams of the source into one file, packet by packet."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import av.error
from av.codec.codec import UnknownCodecError
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidstyle.codecs import CodecPreset
from vidstyle.errors import OutputError
from vidstyle.files import UNWRITABLE, check_writable, file_url, map_write_error, trial_of
from vidstyle.frames import VideoInfo
from vidstyle.media.cut import Cut
from vidstyle.media.cut_facts import cut_source
from vidstyle.media.encode import stream_of_encoder
from vidstyle.media.nal import with_captions
from vidstyle.media.packet_copy import is_pcm, packets
from vidstyle.media.packet_cut import RECODED, PacketCutter
from vidstyle.media.pixel_formats import narrows_range
from vidstyle.media.probe import Source
from vidstyle.media.readback import verify
from vidstyle.media.segments import Committed
from vidstyle.media.sequence_writer import check_sequence
from vidstyle.media.streams import (
    FILE_KEYS,
    Extras,
    add_extras,
    describe,
    own_keys,
    utf8,
)
from vidstyle.media.view_marks import marked
from vidstyle.options import ApplyOptions

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
    """FFmpeg's name of the target's container. OutputError when it cannot hold the codec."""
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
    source: Source,
    target: Path,
    segments: list[Committed],
    *,
    folder: Path,
    part: Path,
    info: VideoInfo,
    preset: CodecPreset,
    codec: str,
    cut: Cut | None = None,
) -> Extras:
    """Write part: the pictures of all segments, and every other stream of the source once, packet by packet.

    folder: of the segments. info: of their pictures. cut: what comes out of the source; None is all. The
    source is opened only if it has other streams. Raises OutputError when anything is missing in what was
    written. The caller renames part to target.
    """
    container = target_format(target, preset, codec)
    captions, lost = _captions(segments, preset, codec)
    source = source if cut is None else cut_source(source, cut)
    with source.open() if source.others else nullcontext() as original:
        extras = Extras()
        try:
            with av.open(
                file_url(part),
                "w",
                format=container,
                **_writing(container, target.suffix.lower(), source, info),
            ) as out:
                first = folder / segments[0].data
                with av.open(file_url(first), options={"ignore_editlist": "1"}) as model:
                    video = _add_video(out, model.streams.video[0], info, preset, source)
                pictures = _pictures(segments, folder, info.time_base, video, target, captions)
                others: Iterator[Packet[Any]] = iter(())
                if original is not None:
                    recoded = () if cut is None else RECODED
                    extras = add_extras(out, source, original, target, recoded=recoded)
                    cutter = None if cut is None else PacketCutter(cut, container, extras)
                    others = packets(original, container, extras, cutter)
                out.start_encoding()
                for packet in _interleaved(pictures, others):
                    _mux(out, packet, video.index, extras)
        except (av.error.FFmpegError, OSError) as error:
            map_write_error(target, error)
    extras.warnings += lost
    verify(
        source,
        part,
        target,
        info,
        extras,
        container=container,
        full_range=info.format.full_range and not narrows_range(info, preset),
        expected=sorted(pts for segment in segments for pts in segment.packet_pts),
        captions=captions,
    )
    return extras


def _mux(out: OutputContainer, packet: Packet[Any], pictures: int, extras: Extras) -> None:
    index, size = packet.stream_index, packet.size
    if is_pcm(packet.stream):
        extras.digests.setdefault(index, hashlib.blake2b()).update(bytes(packet))
    try:
        out.mux(packet)
    except av.error.InvalidDataError:
        if index == pictures:
            raise
        extras.broken[index] = extras.broken.get(index, 0) + 1  # damaged in the source, as its bytes show
        extras.times[index].pts.pop()
    else:
        extras.written[index] = extras.written.get(index, 0) + 1
        extras.size_bytes[index] = extras.size_bytes.get(index, 0) + size


def check_target(
    source: Source, original: InputContainer, target: Path, info: VideoInfo, options: ApplyOptions
) -> list[str]:
    """Try before any work whether the target can be written; return warnings. Nothing stays there.

    The header and the end of the file are written beside the target, with all its streams and tags. original:
    the source, open. info: of the pictures to be written. Raises OutputError where that fails.
    """
    preset = options.preset
    if preset.pictures:
        return check_sequence(source, target, suffixes=preset.suffixes, codec=options.codec)
    container = target_format(target, preset, options.codec)
    writing = _writing(container, target.suffix.lower(), source, info)
    check_writable(target)
    with stream_of_encoder(info, options) as model, trial_of(target) as part:
        try:
            with av.open(file_url(part), "w", format=container, **writing) as out:
                _add_video(out, model, info, preset, source)
                extras = add_extras(out, source, original, target, dry_run=True)
                out.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            if getattr(error, "errno", None) in UNWRITABLE:
                map_write_error(target, error)
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{target}: {target.suffix} cannot hold the sound, subtitles or tags of this source "
                f"({reason}). Choose a target ending in .mkv."
            ) from error
    return extras.warnings


def _writing(container: str, suffix: str, source: Source, info: VideoInfo) -> dict[str, Any]:
    """Options for av.open of the target."""
    options = {}
    if container in ("matroska", "webm"):
        # Sound may start before zero (AAC priming). Left alone, or every frame would be shifted with it.
        # Without +bitexact, the numbers of tracks and of the file are random ones.
        options = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
    if suffix == ".m2ts":  # the packets of cameras and Blu-ray: 188 bytes behind four with their time
        options = {"mpegts_m2ts_mode": "1"}
    if container in ("mp4", "mov"):
        flags = "+faststart"
        has_cover = any(stream.is_cover for stream in source.others)
        if own_keys(source) and not has_cover:  # with this flag, mp4 holds no cover art
            flags += "+use_metadata_tags"
        # Edit lists count in units of the movie. Fine ones, or a late start is off by a fraction of a frame.
        rates = [stream.sample_rate for stream in source.streams if stream.sample_rate is not None]
        scale = math.lcm(info.time_base.denominator, *rates)
        options = {
            "movflags": flags,
            # What FFmpeg takes for unofficial are the boxes of 360 degrees and 3D.
            "strict": "unofficial" if source.marks else "normal",
            "movie_timescale": str(scale if scale <= 1_000_000 else max(90_000, info.time_base.denominator)),
        }
    return {"container_options": options}


def _add_video(
    out: OutputContainer,
    model: VideoStream,
    info: VideoInfo,
    preset: CodecPreset,
    source: Source,
) -> VideoStream:
    out.metadata.update({k: v for k, v in utf8(source.metadata).items() if k.lower() not in FILE_KEYS})
    chapters: Any = [{**chapter, "metadata": utf8(chapter["metadata"])} for chapter in source.chapters]
    out.set_chapters(chapters)
    with marked(model, source.marks) if source.marks else nullcontext() as file:
        video = _from_template(out, model if file is None else file.streams.video[0], info)
    if preset.encoder == "prores_ks":  # the tag tells the kinds of ProRes apart, and a template drops it
        video.codec_context.codec_tag = model.codec_context.codec_tag
    elif preset.tag is not None and out.format.name in ("mp4", "mov"):
        video.codec_context.codec_tag = preset.tag
    if info.rotation is not None:
        video.set_display_matrix(info.rotation)
    describe(source.streams[source.picture], video, out.format.name)
    return video


def _from_template(out: OutputContainer, model: VideoStream, info: VideoInfo) -> VideoStream:
    # opaque=True would open an encoder at the first packet, which writes headers of its own.
    try:
        video = out.add_stream_from_template(model, opaque=False)
        video.time_base = video.codec_context.time_base = info.time_base
        video.codec_context.framerate = info.average_fps
        return video
    except UnknownCodecError:  # AV1: its decoder's name is not the name of an encoder
        video = out.add_stream_from_template(model, opaque=True)
        video.time_base = info.time_base
        return video


def _captions(
    segments: list[Committed], preset: CodecPreset, codec: str
) -> tuple[dict[int, bytes], list[str]]:
    """The closed captions to write, by the pts of their pictures, and warnings about those that are not."""
    found = {pts: bytes.fromhex(text) for segment in segments for pts, text in segment.captions or ()}
    unknown = sum(segment.captions is None for segment in segments)
    if found and not holds_captions(preset):
        return {}, [
            f"the closed captions of {len(found)} frames are left out: {codec} cannot hold them; "
            "h264 and hevc would"
        ]
    if found and unknown:
        return found, [f"{unknown} segments of an older version come without their closed captions"]
    return found, []


def holds_captions(preset: CodecPreset) -> bool:
    """Whether closed captions can be put into the packets of a codec."""
    return preset.encoder.startswith(("libx264", "libx265", "h264", "hevc"))


def _pictures(
    segments: list[Committed],
    folder: Path,
    time_base: Fraction,
    video: VideoStream,
    target: Path,
    captions: dict[int, bytes],
) -> Iterator[Packet[Any]]:
    """All picture packets in order: pts from the sidecars, dts computed over the whole clip."""
    coded = [pts for segment in segments for pts in segment.packet_pts]
    shown = sorted(coded)
    delay = max(early - pts for early, pts in zip(shown, coded, strict=True))
    durations = {pts: after - pts for pts, after in pairwise(shown)}
    durations[shown[-1]] = segments[-1].last_duration
    number = 0
    for segment in segments:
        with av.open(file_url(folder / segment.data), options={"ignore_editlist": "1"}) as file:
            packets = (packet for packet in file.demux(video=0) if packet.size)
            count = 0
            for pts, read in zip(segment.packet_pts, packets, strict=False):
                packet = _captioned(read, file, captions[pts]) if pts in captions else read
                packet.time_base = time_base
                packet.pts, packet.dts, packet.duration = pts, shown[number] - delay, durations[pts]
                packet.stream = video
                yield packet
                number += 1
                count += 1
            if count != len(segment.packet_pts) or next(packets, None) is not None:
                raise OutputError(
                    f"{target}: segment {segment.number} does not have its {len(segment.packet_pts)} frames. "
                    "Run the same command again."
                )


def _captioned(packet: Packet[Any], file: InputContainer, captions: bytes) -> Packet[Any]:
    codec = file.streams.video[0].codec_context.name
    written: Packet[Any] = Packet(with_captions(bytes(packet), codec, captions))
    written.is_keyframe = packet.is_keyframe
    return written


def _interleaved(one: Iterator[Packet[Any]], two: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Merge by decoding time, so that the muxer need not buffer one side while it waits for the other."""

    def keyed(packets: Iterator[Packet[Any]], side: int) -> Iterator[tuple[float, int, int, Packet[Any]]]:
        for number, packet in enumerate(packets):
            time = packet.dts if packet.dts is not None else 0
            yield float(time * packet.time_base), side, number, packet

    for _, _, _, packet in heapq.merge(keyed(one, 0), keyed(two, 1)):
        yield packet
