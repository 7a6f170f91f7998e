"""plan(): what a run would do, and everything that can be refused before it starts."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import av
import torch

from vidstyle.errors import InputError, OutputError
from vidstyle.frames import FrameBatch, VideoInfo
from vidstyle.imaging.hdr import PQ, HdrLight, sdr_info
from vidstyle.media.encode import check_encoder
from vidstyle.media.image_sequence import is_sequence, numbers_there
from vidstyle.media.mux import check_target
from vidstyle.media.pixel_formats import choose_pixel_format
from vidstyle.media.probe import Source, probe, probing
from vidstyle.media.segments import hash_facts, key_facts
from vidstyle.options import ApplyOptions
from vidstyle.styles.style import Style
from vidstyle.threads import cpu_workers


def about_hdr(source: Path, info: VideoInfo, options: ApplyOptions) -> list[str]:
    """What must be said of an HDR source and these options. InputError where they say to refuse it."""
    kind = "PQ" if info.transfer == PQ else "HLG"
    if options.hdr == "refuse":
        raise InputError(
            f"{source}: it is HDR ({kind}) and styles are made for SDR. Use --hdr tonemap to make it SDR, "
            "or --hdr keep to keep it HDR with half of the look."
        )
    if options.hdr == "keep":
        words = [f"it stays HDR ({kind}): half of the look is put on it"]
        if info.dynamic_light:
            words.append("its HDR10+ or Dolby Vision data speak of other pictures and are left out")
        return words
    words = [f"tone mapped from {kind} to SDR in BT.709"]
    if info.format.bit_depth > options.preset.deepest:
        words.append(f"SDR in {options.codec} has {options.preset.deepest} bit, hevc or av1 would keep more")
    return words


class Restyler(Protocol):
    """What apply needs of a Style."""

    @property
    def content_hash(self) -> str: ...

    def restyle(self, batch: FrameBatch) -> FrameBatch: ...


@dataclass(frozen=True)
class Plan:
    """What apply would do.

    media: what is known of the source. info: of the pictures to be written. hdr: the light of a source in
    HDR. facts: all that makes the bytes of the segments, hashed to key.
    """

    media: Source
    target: Path
    info: VideoInfo
    key: str
    facts: dict[str, Any]
    batch_size: int
    pixel_format: str
    frames_announced: int
    segments_announced: int
    warnings: tuple[str, ...]
    hdr: HdrLight | None = None

    @property
    def source(self) -> Path:
        return self.media.path

    def to_dict(self) -> dict[str, Any]:
        facts = asdict(self)
        del facts["media"]
        return plain({"source": self.source, **facts})


def plan(source: Path | str, style: Restyler, target: Path | str, options: ApplyOptions) -> Plan:
    """Look at all that can be refused before any work and raise what apply would raise. Writes nothing."""
    style, options = settled(style, options)
    return plan_with(Path(source), style.content_hash, device_of(style), Path(target), options)


def settled(style: Restyler, options: ApplyOptions) -> tuple[Restyler, ApplyOptions]:
    """The style with the dials of the options, and the options with `smooth` as a number.

    "auto" is what the style's card recommends, less with less of the look; nothing where there is no card.
    """
    smooth = 0.0 if isinstance(options.smooth, str) else options.smooth
    if isinstance(style, Style):
        style = style.with_options(options)
        if options.smooth == "auto" and not style.dials.is_identity:
            smooth = style.facts.recommended_smooth * min(1.0, style.dials.strength)
    return style, replace(options, smooth=smooth)


def plan_with(source: Path, style_hash: str, device: str, target: Path, options: ApplyOptions) -> Plan:
    """plan, for a style of which only the hash and the device are known."""
    _check_paths(source, target, options)
    with probing(source, fps=options.fps) as (media, opened):
        made = _plan_pictures(media, style_hash, device, target, options)
        said = check_target(media, opened, target, preset=options.preset, codec=options.codec)
    return replace(made, warnings=(*made.warnings, *said))


def look(source: Path, style_hash: str, device: str, target: Path, options: ApplyOptions) -> Plan:
    """A plan as far as the pictures go; of the target only the name counts, for messages."""
    return _plan_pictures(probe(source, fps=options.fps), style_hash, device, target, options)


def _plan_pictures(media: Source, style_hash: str, device: str, target: Path, options: ApplyOptions) -> Plan:
    source, info = media.path, media.info
    warnings = _check_source(source, info, options)
    light = HdrLight.of(info) if info.is_hdr else None
    if light is not None and options.hdr == "tonemap":
        info = sdr_info(info, options.preset.deepest)
    pixel_format, lost = choose_pixel_format(info, options)
    check_encoder(info, options)
    made_with = {
        "av": av.__version__,
        "torch": torch.__version__.partition("+")[0],
        "device": device.partition(":")[0],
    }
    facts = key_facts(media.fingerprint, style_hash, options, made_with)
    return Plan(
        media=media,
        target=target,
        info=info,
        key=hash_facts(facts),
        facts=facts,
        batch_size=options.batch_size or auto_batch_size(info, device),
        pixel_format=pixel_format,
        frames_announced=info.frames_announced,
        segments_announced=-(-info.frames_announced // options.segment_frames),
        warnings=(*warnings, *lost),
        hdr=light,
    )


def device_of(style: Restyler) -> str:
    return str(getattr(style, "device", "cpu"))


def auto_batch_size(info: VideoInfo, device: str) -> int:
    """Frames per batch: enough to keep a GPU busy; on a CPU one for each core that works on them."""
    gpu = device.startswith("cuda")
    most, pixels = (16, 32_000_000) if gpu else (cpu_workers(), 16_000_000)
    return max(1, min(most, pixels // (info.width * info.height)))


def _check_paths(source: Path, target: Path, options: ApplyOptions) -> None:
    if options.preset.pictures:
        return _check_pictures(source, target, options)
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise OutputError(f"{target}: source and target are the same file. Choose another target.")
    if target.is_dir():
        raise OutputError(f"{target}: this is a folder. Name a file in it.")
    if target.exists() and not options.overwrite:
        raise OutputError(f"{target}: it exists already. Choose another target or use --overwrite.")
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}. Create it first.")


def _check_pictures(source: Path, target: Path, options: ApplyOptions) -> None:
    if os.path.abspath(source) == os.path.abspath(target):
        raise OutputError(f"{target}: source and target are the same files. Choose another folder.")
    if not options.overwrite and is_sequence(target) and numbers_there(target):
        raise OutputError(f"{target}: such files exist already. Choose another folder or use --overwrite.")
    if not target.parent.is_dir() and not target.parent.parent.is_dir():  # the last one is made on the way
        raise OutputError(f"{target}: there is no folder {target.parent.parent}. Create it first.")


def _check_source(source: Path, info: VideoInfo, options: ApplyOptions) -> list[str]:
    if info.interlaced and not options.deinterlace:
        raise InputError(
            f"{source}: it is interlaced, and a style would smear its fields. Add --deinterlace."
        )
    if info.is_hdr:
        return about_hdr(source, info, options)
    if info.matrix_was_guessed:
        return [
            f"the source names no color matrix: taken as {info.format.matrix} for its {info.height} lines"
        ]
    return []


def plain(value: Any) -> Any:
    """Only what JSON knows."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
