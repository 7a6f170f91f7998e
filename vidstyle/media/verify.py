"""Compares the finished file with its source and lists what was lost.

Muxers drop what their container cannot hold, and do not say so. So the finished file is read back, and no
table of what containers can hold is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidstyle.frames import VideoInfo
from vidstyle.media.probe import Source, StreamFacts
from vidstyle.media.streams import FILE_KEYS, describes, same_language, utf8
from vidstyle.media.video_info import content_light, display_matrix, mastering
from vidstyle.media.view_marks import Marks, lost_marks

# FFmpeg sets these by itself or writes them under another name; losing them is no loss.
_NO_LOSS = {"handler_name", "language", "title", "name", "mimetype", "filename", "encoder"}
_ROLES = (
    *("default", "dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired"),
    *("visual_impaired", "clean_effects", "captions", "descriptions", "dependent"),
)


def losses(
    source: Source,
    written: InputContainer,
    pairs: list[tuple[StreamFacts, Stream]],
    info: VideoInfo,
    full_range: bool,
) -> list[str]:
    """What the source has and the written file has not, each in a few words.

    pairs: (stream of the source, the same stream in the written file), the picture first. info: of the
    picture that was to be written. full_range: whether its samples were written in full range.
    """
    picture = pairs[0][1]
    assert isinstance(picture, VideoStream)
    lost = _of_file(source, written) + _of_picture(written, picture, info, full_range, source.marks)
    firsts = {kind: next(a.index for a, _ in pairs if a.type == kind) for kind in {a.type for a, _ in pairs}}
    for before, after in pairs:
        name = "the picture" if after is picture else f"{before.type} {before.index}"
        lost += [f"{what} of {name}" for what in _of_stream(before, after, before.index in firsts.values())]
    return lost


def _of_file(source: Source, written: InputContainer) -> list[str]:
    there = {key.lower(): value for key, value in utf8(written.metadata).items()}
    lost = [
        f"tag {key}"
        for key, value in sorted(utf8(source.metadata).items())
        if key.lower() not in FILE_KEYS and not _same_words(there.get(key.lower()), value)
    ]
    before, after = _chapters(source.chapters), _chapters(written.chapters())
    if len(before) != len(after):
        lost.append(f"{len(before)} chapters")
    elif [title for _, title in before] != [title for _, title in after]:
        lost.append("titles of chapters")
    elif any(abs(a - b) > Fraction(1, 500) for (a, _), (b, _) in zip(before, after, strict=True)):
        lost.append("times of chapters")
    return lost


def _chapters(chapters: Iterable[Any]) -> list[tuple[Fraction, str]]:
    """(start in seconds, title) of each."""
    return [
        (c["start"] * (c["time_base"] or Fraction(1)), utf8(c["metadata"]).get("title", "")) for c in chapters
    ]


def _of_picture(
    written: InputContainer, picture: VideoStream, info: VideoInfo, full_range: bool, marks: Marks
) -> list[str]:
    """Rotation, pixel aspect, color tags, HDR metadata, 360 degrees and 3D, as a player will find them."""
    frame = next(written.decode(picture), None)
    if frame is None:
        return ["every picture"]
    lost = []
    if info.rotation is not None and display_matrix(frame) != info.rotation:
        lost.append("rotation of the picture")
    found = Fraction(picture.sample_aspect_ratio or 1)
    if found != info.sample_aspect_ratio:
        lost.append(f"pixel aspect {info.sample_aspect_ratio}")
    context: Any = picture.codec_context
    converted = info.format.matrix == "rgb" and not frame.format.is_rgb
    if not converted and full_range != (2 in (int(frame.color_range), int(context.color_range))):
        lost.append(f"{'full' if full_range else 'limited'} range")
    for name, wanted, there in (
        ("matrix", info.matrix_code, (frame.colorspace, context.colorspace)),
        ("primaries", info.primaries, (frame.color_primaries, context.color_primaries)),
        ("transfer", info.transfer, (frame.color_trc, context.color_trc)),
    ):
        if wanted not in (0, 2) and wanted not in {int(tag) for tag in there} and not converted:
            lost.append(f"color {name} number {wanted}")
    lost += lost_marks(marks, picture, frame)
    if info.mastering is not None and mastering(frame) is None:
        lost.append("data of the mastering screen")
    if info.content_light is not None and content_light(frame) != info.content_light:
        lost.append("content light levels")
    return lost


def _of_stream(before: StreamFacts, after: Stream, first: bool) -> list[str]:
    lost = []
    missing = before.disposition & ~after.disposition
    if first:  # players start with the first stream of a kind, marked as default or not
        missing &= ~Disposition.default
    lost += [f"role {role}" for role in _ROLES if missing & Disposition[role]]
    there = utf8(after.metadata)
    wanted = utf8(before.metadata)
    if not same_language(wanted.get("language"), there.get("language")):
        lost.append(f"language {wanted.get('language')}")
    title = wanted.get("title") or wanted.get("name")
    if title and title not in (there.get("title"), there.get("name"), there.get("handler_name")):
        lost.append("title")
    keys = {key.lower() for key in there}
    lost += [
        f"tag {key}"
        for key in sorted(describes(wanted))
        if key.lower() not in keys and key.lower() not in _NO_LOSS
    ]
    return lost


def _same_words(there: str | None, wanted: str) -> bool:
    """Whether two tags are equal, but for the fraction of a second that some containers cut from a date."""
    if there is None:
        return not wanted
    return there == wanted or (there[:19] == wanted[:19] and wanted[10:11] == "T")
