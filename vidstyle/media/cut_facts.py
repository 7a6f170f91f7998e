"""What a clip says of itself, as it is true of a cut-out: chapters and timecode."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from vidstyle.media.cut import Cut
from vidstyle.media.packet_cut import spans_of
from vidstyle.media.probe import Source
from vidstyle.when import Timecode

if TYPE_CHECKING:
    from av.container.core import Chapter


def cut_source(source: Source, cut: Cut) -> Source:
    """The source with the chapters and the timecode of its cut-out."""

    def moved(metadata: dict[str, str]) -> dict[str, str]:
        found = metadata.get("timecode")
        if found is None:
            return metadata
        return {**metadata, "timecode": _later(found, cut.stretches[0].first, source.info.average_fps)}

    return replace(
        source,
        metadata=moved(source.metadata),
        streams=tuple(replace(stream, metadata=moved(stream.metadata)) for stream in source.streams),
        chapters=tuple(_chapters(source.chapters, cut)),
    )


def _later(text: str, frames: int, rate: Fraction) -> str:
    """A timecode so many frames later; the text itself where it is none."""
    try:
        return str(Timecode.from_text(text, rate).later(frames))
    except ValueError:
        return text


def _chapters(chapters: tuple[Chapter, ...], cut: Cut) -> list[Chapter]:
    """The parts of chapters that lie in a stretch; parts of one chapter that meet are one."""
    found: list[Chapter] = []
    for span in spans_of(cut):
        for chapter in chapters:
            tick = chapter["time_base"] or Fraction(1)
            begin = max(chapter["start"] * tick, span.begins)
            end = chapter["end"] * tick if span.ends is None else min(chapter["end"] * tick, span.ends)
            if begin >= end:
                continue
            start, stop = (round((time - span.begins + span.place) / tick) for time in (begin, end))
            last = found[-1] if found else None
            if last is not None and last["id"] == chapter["id"] and last["end"] >= start:
                last["end"] = stop
                continue
            found.append({**chapter, "start": start, "end": max(stop, start + 1)})
    return [{**chapter, "id": number} for number, chapter in enumerate(found)]
