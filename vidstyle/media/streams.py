"""All streams besides the picture, and tags: copied, converted or left out with a warning."""

from __future__ import annotations

import ctypes
import hashlib
import io
from array import array
from collections.abc import Container
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from vidstyle.errors import OutputError
from vidstyle.media.probe import Source, StreamFacts

FILE_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
# alpha_mode belongs to VP8 and VP9.
_STREAM_KEYS = {
    *("alpha_mode", "encoder", "vendor_id", "duration", "bps", "number_of_frames", "number_of_bytes"),
    "rotate",
}
# Every container has a name for these; mp4 stores others (phones write many) only with a flag.
_PLAIN_KEYS = {
    *("title", "artist", "album", "album_artist", "composer", "comment", "date", "genre", "copyright"),
    *("description", "synopsis", "show", "episode_id", "network", "lyrics", "grouping", "track", "disc"),
    *("keywords", "creation_time", "location", "location-eng", "make", "model", "timecode", "encoded_by"),
    *("hd_video", "gapless_playback", "media_type"),
}
# QuickTime uses the other one of two ISO 639-2 codes for these languages.
_MOV_LANGUAGES = {
    **{"deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi", "fre": "fra"},
    **{"sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo", "mya": "bur", "msa": "may", "cze": "ces"},
}
# Matroska may say only how many channels there are; mp4 needs to know which.
_USUAL_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo", "6 channels": "5.1", "8 channels": "7.1"}
_TEXT_SUBTITLES = {"subrip", "text", "mov_text", "webvtt", "ass", "ssa"}


@dataclass
class Times:
    """When the packets of a stream are to be shown, as the source says."""

    tick: Fraction
    """Seconds per unit of pts."""
    coarse: Fraction
    """Seconds per unit of the source's clock."""
    pts: array[int] = field(default_factory=lambda: array("q"))
    """In the order of the packets."""


@dataclass
class Extras:
    """The streams beside the picture that go into the target, counted while they are written."""

    copied: list[tuple[int, Stream]] = field(default_factory=list)
    """(index in the source, stream of the target)."""
    warnings: list[str] = field(default_factory=list)
    """What was left out or converted, in words."""
    counts: dict[str, int] = field(default_factory=dict)
    """Kind of stream -> how many are in the target."""
    written: dict[int, int] = field(default_factory=dict)
    """Index in the target -> packets written."""
    size_bytes: dict[int, int] = field(default_factory=dict)
    """Index in the target -> bytes of the packets written."""
    broken: dict[int, int] = field(default_factory=dict)
    """Index in the target -> packets that the muxer refused as damaged."""
    times: dict[int, Times] = field(default_factory=dict)
    """Index in the target -> when its packets are to be shown."""
    digests: dict[int, hashlib.blake2b] = field(default_factory=dict)
    """Index in the target -> a hash of all samples, of uncompressed sound."""
    moved: int = 0
    """Packets that go back in time in the source."""

    def note_time(self, index: int, pts: int, tick: Fraction, coarse: Fraction) -> None:
        """Note when the next packet of a stream of the target is to be shown."""
        self.times.setdefault(index, Times(tick, coarse)).pts.append(pts)


def own_keys(source: Source) -> list[str]:
    """Tags of the file that mp4 has no name for."""
    return sorted(key for key in source.metadata if key.lower() not in (*_PLAIN_KEYS, *FILE_KEYS))


def utf8(metadata: dict[str, str]) -> dict[str, str]:
    """The tags as valid UTF-8, which every container needs; other bytes are taken as Latin-1."""

    def clean(words: str) -> str:
        raw = words.encode("utf-8", "surrogateescape")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    return {clean(key): clean(value) for key, value in metadata.items()}


def describe(source: StreamFacts, stream: Stream, container: str) -> None:
    """Copy language, title and roles, which a template does not bring along."""
    kept = describes(utf8(source.metadata))
    if "name" in kept:  # mp4 and mov write title, and read it back as name
        kept.setdefault("title", kept.pop("name"))
    if container == "mov" and kept.get("language") in _MOV_LANGUAGES:
        kept["language"] = _MOV_LANGUAGES[kept["language"]]
    stream.metadata.update(kept)
    stream.disposition = source.disposition


def describes(metadata: dict[str, str]) -> dict[str, str]:
    """The tags of a stream without those that muxers compute, such as sizes and statistics."""
    kept = {k: v for k, v in metadata.items() if k.lower().partition("-")[0] not in _STREAM_KEYS}
    return {k: v for k, v in kept.items() if not k.startswith("_STATISTICS")}


def same_language(one: str | None, two: str | None) -> bool:
    """Whether two codes mean the same language; no code is the same as "und" (undetermined)."""
    one, two = (None if code == "und" else _MOV_LANGUAGES.get(code or "", code) for code in (one, two))
    return one == two


def add_extras(
    out: OutputContainer,
    source: Source,
    original: InputContainer,
    target: Path,
    *,
    dry_run: bool = False,
    recoded: Container[str] = (),
) -> Extras:
    """Add to `out` a stream for every stream of the source but the picture.

    original: the source, open. dry_run: only try it; reads no packet of the source. recoded: codecs of sound
    that is encoded again, without loss. Raises OutputError when the target cannot hold a stream.
    """
    extras = Extras()
    if out.format.name == "mp4" and own_keys(source) and any(stream.is_cover for stream in source.others):
        extras.warnings.append(f"the tags {', '.join(own_keys(source))} do not fit beside cover art in mp4")
    for facts in source.others:
        stream = original.streams[facts.index]
        sound = stream.codec_context
        if isinstance(sound, AudioCodecContext) and sound.name in recoded:
            copy: Stream | None = _add_encoder(out, sound)
        else:
            has_chapters = bool(source.chapters)
            copy = _add_extra(out, stream, target, extras, dry_run=dry_run, has_chapters=has_chapters)
        if copy is not None:
            if stream.type != "attachment":
                describe(facts, copy, out.format.name)
                extras.copied.append((stream.index, copy))
            extras.counts[stream.type] = extras.counts.get(stream.type, 0) + 1
    return extras


def _add_encoder(out: OutputContainer, sound: AudioCodecContext) -> Stream:
    """A stream of the same codec (FLAC) and kind of samples, with an encoder."""
    header = sound.extradata or b""
    bits = ((header[12] & 1) << 4 | header[13] >> 4) + 1 if len(header) >= 34 else 0  # in STREAMINFO
    options = {"bits_per_raw_sample": str(bits)} if bits > 16 else {}
    copy = out.add_stream(sound.name, rate=sound.sample_rate, options=options)
    context = cast(AudioCodecContext, copy.codec_context)
    context.layout, context.format = _layout_name(sound), sound.format
    return copy


def _add_extra(
    out: OutputContainer,
    stream: Stream,
    target: Path,
    extras: Extras,
    *,
    dry_run: bool,
    has_chapters: bool,
) -> Stream | None:
    """The stream in the target; None where it is left out or needs no stream there."""
    name = stream.codec_context.name if stream.codec_context is not None else None
    name = "subrip" if name == "srt" else name
    if stream.type == "data":
        return _add_data(out, stream, target, extras, has_chapters)
    if isinstance(stream, AttachmentStream):
        return _add_attachment(out, stream, target, extras)
    if name is None:  # PyAV makes no stream without a codec, and the muxers would not know its header
        tag = stream.metadata.get("handler_name", "")
        extras.warnings.append(
            f"{stream.type} stream {stream.index}{f' ({tag})' if tag else ''} is left out: "
            "its codec is unknown here"
        )
        return None
    if stream.type == "video" and stream.disposition & Disposition.attached_pic:
        if out.format.name == "matroska":
            _attach_cover(out, stream, name, dry_run)
            return None
        if out.format.name != "mp4":
            extras.warnings.append(
                f"cover art is left out: {target.suffix} cannot hold it; .mp4 and .mkv would"
            )
            return None
    if stream.type == "subtitle" and _subtitle_codec(name, out.format.name) != name:
        return _convert_subtitles(out, stream, name, target, extras)
    try:
        copy = out.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        raise OutputError(
            f"{target}: {target.suffix} cannot hold {stream.type} in {name}. Choose a target ending in .mkv."
        ) from error
    sound = copy.codec_context
    if isinstance(sound, AudioCodecContext):
        layout = _layout_name(sound)
        if layout in _USUAL_LAYOUTS:
            sound.layout = _USUAL_LAYOUTS[layout]
    return copy


def _layout_name(sound: AudioCodecContext) -> str:
    layout = sound.layout
    # PyAV 18.1 shares the list of channels of a custom order (7.1 PCM in mov) with the codec, and both free
    # it. So this object of a few bytes is never freed.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
    return layout.name


def _add_data(
    out: OutputContainer, stream: Stream, target: Path, extras: Extras, has_chapters: bool
) -> Stream | None:
    # Chapters and time code are written again by the muxer, from the chapters and the tag.
    if "timecode" in stream.metadata:
        return None
    if stream.name == "bin_data" and has_chapters and not _header_fits("mp4", stream):
        return None  # the text of the chapters, which no muxer takes as a stream; telemetry it does
    if not _header_fits(out.format.name, stream):
        what = stream.name or stream.metadata.get("handler_name", "of unknown kind")
        extras.warnings.append(
            f"data stream {stream.index} ({what}) is left out: {target.suffix} cannot hold it"
        )
        return None
    return out.add_stream_from_template(stream)


def _header_fits(container: str, stream: Stream) -> bool:
    """Whether a container takes a stream of data: tried by writing a header."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _add_attachment(
    out: OutputContainer, stream: AttachmentStream, target: Path, extras: Extras
) -> Stream | None:
    if out.format.name != "matroska":
        extras.warnings.append(
            f"attachment {stream.name!r} does not fit into {target.suffix}; .mkv would keep it"
        )
        return None
    return out.add_attachment(
        (stream.name or "file").encode("utf-8", "replace").decode(),
        stream.mimetype or "application/octet-stream",
        stream.data,
    )


def _attach_cover(out: OutputContainer, stream: Stream, codec: str, dry_run: bool) -> None:
    """Matroska holds cover art as an attachment."""
    suffix, kind = ("png", "png") if codec == "png" else ("jpg", "jpeg")
    out.add_attachment(f"cover.{suffix}", f"image/{kind}", b"\0" if dry_run else _first_packet(stream))


def _convert_subtitles(
    out: OutputContainer, stream: Stream, codec: str, target: Path, extras: Extras
) -> Stream:
    wanted = _subtitle_codec(codec, out.format.name)
    if wanted is None or codec not in _TEXT_SUBTITLES:
        raise OutputError(
            f"{target}: {target.suffix} cannot hold {codec} subtitles. Choose a target ending in .mkv."
        )
    extras.warnings.append(f"subtitles {stream.index} are converted from {codec} to {wanted}")
    copy = out.add_stream(wanted)
    cast(SubtitleCodecContext, copy.codec_context).subtitle_header = _subtitle_header(stream)
    copy.codec_context.time_base = copy.time_base = Fraction(1, 1000)
    return copy


def _first_packet(stream: Stream) -> bytes:
    container = cast(InputContainer, stream.container)
    return next(bytes(packet) for packet in container.demux(stream) if packet.size)


def _subtitle_codec(name: str, container: str) -> str | None:
    """The codec that subtitles of this codec get in this container; None when it cannot hold them."""
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
