"""Replaces `auto` among the options by real values, which then are part of the segments' keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vidstyle.codecs import codec_by_name
from vidstyle.frames import VideoInfo
from vidstyle.media.image_sequence import is_sequence
from vidstyle.options import ApplyOptions


def resolve_by_name(options: ApplyOptions, target: Path) -> ApplyOptions:
    """The options with the codec that only the target's name can ask for: AV1 for WebM, PNG, EXR."""
    if options.codec != "auto":
        return options
    codec = codec_by_name(target.suffix, numbered=is_sequence(target))
    return options if codec is None else replace(options, codec=codec)


def resolve_by_source(options: ApplyOptions, info: VideoInfo) -> tuple[ApplyOptions, list[str]]:
    """The options without any `auto` in codec and hdr, and sentences on what the user did not ask for.

    HDR is tone mapped; SDR of more than 8 bit becomes HEVC, everything else H.264. info: of the source.
    """
    notes: list[str] = []
    if options.hdr == "auto":
        # For SDR the value says nothing. Keys of earlier versions have this one.
        options = replace(options, hdr="tonemap" if info.is_hdr else "refuse")
    if options.codec == "auto":
        bits = 8 if info.is_hdr and options.hdr == "tonemap" else info.format.bit_depth
        options = replace(options, codec="hevc" if bits > 8 else "h264")
        if bits > 8 and options.hdr != "keep":
            notes.append(f"the source has {bits} bit per sample: encoded as HEVC, since H.264 keeps 8")
    return options, notes
