"""plan(): what a run will do. Everything that can be refused is refused here, before any work."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import av
import torch

from vidstyle.errors import InputError, OutputError
from vidstyle.files import check_free, check_name, is_url, missing_file
from vidstyle.frames import VideoInfo
from vidstyle.imaging.hdr import HDR_PATH_VERSION, PQ, HdrLight, sdr_info
from vidstyle.imaging.ocio import Spaces
from vidstyle.imaging.scene import SCENE_PATH_VERSION, scene_info
from vidstyle.media.bars import find_bars
from vidstyle.media.black_edges import NO_BARS, Bars
from vidstyle.media.cut import Cut
from vidstyle.media.encode import check_encoder
from vidstyle.media.image_sequence import is_sequence, numbers_there
from vidstyle.media.mux import check_target
from vidstyle.media.pixel_formats import choose_pixel_format, narrows_range
from vidstyle.media.probe import Source, probe, probing
from vidstyle.media.segments import hash_facts, key_facts
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import is_mixed
from vidstyle.pipeline.automatic import resolve_by_name, resolve_by_source
from vidstyle.pipeline.color_spaces import LOOKS_LIKE_LOG, check_spaces, spaces_of
from vidstyle.pipeline.devices import auto_batch_size, device_of
from vidstyle.pipeline.has_color import color_warnings
from vidstyle.pipeline.matte import check_matte
from vidstyle.pipeline.protect import PROTECT_VERSION
from vidstyle.pipeline.ranges import Ranges, ranges_of
from vidstyle.pipeline.scenes import Scenes, find_scenes
from vidstyle.styles.over_time import over_time
from vidstyle.styles.restyler import Restyler
from vidstyle.styles.style import Style

# In the segment key of clips with alpha, of image sequences, and of clips whose frames come faster than the
# clock of their container: how these are decoded has changed, and half-finished work of before must not be
# mixed with new segments.
DECODE_PATH_VERSION = 2
# In the segment key of clips of full range in ProRes: their samples were not converted before.
RANGE_PATH_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """What a run will do: how many segments it renders, into which format, and under which key.

    media: what is known of the source. options: those of the run, without any `auto`. info: facts of the
    frames that will be written. hdr: the light of an HDR source, None for SDR. facts: everything that changes
    a byte of the segments, as JSON values; `key` is its hash and names the work folder. frames_announced,
    segments_announced: as the container claims, for progress only. bars: black bars of the
    source, which stay as they are. ranges: the frames that are restyled, or come out alone; None is all.
    scenes: where they begin, if keyframes have to know it. spaces: color spaces of a source of camera log
    or scene light.
    """

    media: Source
    options: ApplyOptions
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
    spaces: Spaces | None = None
    bars: Bars = NO_BARS
    ranges: Ranges | None = None
    scenes: Scenes | None = None

    @property
    def cut(self) -> Cut | None:
        """The frames that come out, where that are not all; segments are counted in them."""
        return None if self.ranges is None else self.ranges.cut

    @property
    def source(self) -> Path:
        return self.media.path

    def with_warnings(self, more: tuple[str, ...]) -> Plan:
        """The same plan with more warnings in front."""
        return replace(self, warnings=(*more, *self.warnings))

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        facts = asdict(self)
        del facts["media"], facts["options"]  # they are in facts["facts"]
        facts["scenes"] = None if self.scenes is None else len(self.scenes.begins)
        facts["ranges"] = None if self.ranges is None else self.ranges.in_words()
        return plain({"source": self.source, **facts})


def plan(source: Path | str, style: Restyler, target: Path | str, options: ApplyOptions) -> Plan:
    """What apply would do with the same arguments. Nothing that it writes to try the target stays there.

    Raises what apply would raise before its work: InputError, StyleError, DeviceError or OutputError.

    >>> import vidstyle
    >>> style, options = vidstyle.load_style("vlogger"), vidstyle.ApplyOptions(codec="hevc")
    >>> made = vidstyle.plan("in.mp4", style, "out.mp4", options)
    >>> made.frames_announced, made.pixel_format
    (12, 'yuv420p')
    """
    style, options = resolve(style, options)
    made = plan_run(Path(source), style.content_hash, device_of(style), Path(target), options)
    return made.with_warnings(color_warnings(made.media, style))


def resolve(style: Restyler, options: ApplyOptions) -> tuple[Restyler, ApplyOptions]:
    """The style with the dials of the options, and the options with `smooth` as a number.

    Where the options say nothing of a dial, what `Style.with_` has chosen holds.

    `smooth="auto"` is what the style's card recommends, in proportion to the strength; 0 without a card.
    """
    smooth = 0.0 if isinstance(options.smooth, str) else options.smooth
    if isinstance(style, Style):
        options = style.options_with_chosen(options)
        style = over_time(style.with_options(options), options)
        if options.smooth == "auto" and not style.dials.is_identity:
            smooth = style.facts.recommended_smooth * min(1.0, style.dials.strength)
    return style, replace(options, smooth=smooth)


def plan_run(source: Path, style_hash: str, device: str, target: Path, options: ApplyOptions) -> Plan:
    """`plan` for a style of which only the content hash and the device are known. options: resolved."""
    options = resolve_by_name(options, target)
    _check_paths(source, target, options)
    with probing(source, fps=options.fps, light=options.input_space is not None) as (media, opened):
        planned = _plan_media(media, style_hash, device, target, options)
        lost = check_target(media, opened, target, planned.info, planned.options)
    return replace(planned, warnings=(*planned.warnings, *lost))


def plan_segments(
    source: Path | Source, style_hash: str, device: str, target: Path, options: ApplyOptions
) -> Plan:
    """The plan of the segments only: the target is not checked, its name is used in messages.

    source: a path, or what `probe` has found. options: resolved. Raises InputError for a source that cannot
    be restyled, and OutputError where the encoder cannot be opened.
    """
    media = source
    if not isinstance(media, Source):
        media = probe(media, fps=options.fps, light=options.input_space is not None)
    return _plan_media(media, style_hash, device, target, options)


def _plan_media(media: Source, style_hash: str, device: str, target: Path, options: ApplyOptions) -> Plan:
    source, info, asked = media.path, media.info, options
    options, notes = resolve_by_source(options, info)
    warnings = notes + _check_source(source, info, options)
    spaces = spaces_of(options, info)
    if spaces is not None:
        warnings += check_spaces(source, info, options, spaces)
    if options.input_space is None and media.looks_like_log:
        warnings.append(LOOKS_LIKE_LOG)
    if media.left_out:
        warnings.append(f"left out, as no encoder here can write it: {', '.join(media.left_out)}")
    light = HdrLight.of(info) if info.is_hdr and spaces is None else None
    if light is not None and options.hdr == "tonemap":
        if asked.codec != "auto" and info.format.bit_depth > options.preset.deepest:
            warnings.append(
                f"SDR in {options.codec} has {options.preset.deepest} bit, hevc or av1 would keep more"
            )
        info = sdr_info(info, options.preset.deepest)
    if spaces is not None:
        info = scene_info(info, spaces, options.preset.deepest)
    pixel_format, lost = choose_pixel_format(info, options)
    check_encoder(info, options)
    made_with = {
        "av": av.__version__,
        "torch": torch.__version__.partition("+")[0],
        "device": device.partition(":")[0],
    }
    facts = key_facts(media.fingerprint, style_hash, options, made_with)
    if is_mixed(options):
        warnings += check_where(options, media, facts)
    ranges = ranges_of(options, media)
    if ranges is not None:
        facts["ranges"] = ranges.facts()
    bars = find_bars(media)
    if bars:  # without bars the key is that of earlier versions
        facts["bars"] = bars.to_dict()
    facts |= _special_paths(media, info, options, light, spaces)
    scenes = None
    if options.per_scene is not None:
        scenes = find_scenes(media, holds=options.per_scene == "hold")
        facts["scenes"] = list(scenes.begins)
    count = info.frames_announced if ranges is None or ranges.cut is None else ranges.cut.frames
    return Plan(
        media=media,
        options=options,
        target=target,
        info=info,
        key=hash_facts(facts),
        facts=facts,
        batch_size=options.batch_size or auto_batch_size(info, device),
        pixel_format=pixel_format,
        frames_announced=count,
        segments_announced=-(-count // options.segment_frames),
        warnings=(*warnings, *lost),
        hdr=light,
        spaces=spaces,
        bars=bars,
        ranges=ranges,
        scenes=scenes,
    )


def check_where(options: ApplyOptions, media: Source, facts: dict[str, Any]) -> list[str]:
    """What to know of the matte, whose content becomes a fact of the plan.

    InputError for a matte or a region that does not fit the clip.
    """
    info = media.info
    notes: list[str] = []
    if options.protect is not None:
        facts["protect_path"] = PROTECT_VERSION
    if options.mask is not None:
        facts["mask"], notes = check_matte(options.mask, media)
    if options.region is not None:
        turned = info.quarter_turns % 2
        size = (info.height, info.width) if turned else (info.width, info.height)
        try:
            options.region.pixels(*size)
        except ValueError as error:
            raise InputError(f"{media.path}: {error}. Choose a smaller region.") from None
    return notes


def _special_paths(
    media: Source, info: VideoInfo, options: ApplyOptions, light: HdrLight | None, spaces: Spaces | None
) -> dict[str, Any]:
    """Versions of the ways that not every source takes; a source that takes none has the key of before."""
    found: dict[str, Any] = {}
    if light is not None:
        found["hdr_path"] = HDR_PATH_VERSION
    if spaces is not None:
        found["spaces"] = {"path": SCENE_PATH_VERSION, **spaces.facts()}
    if _is_decoded_anew(media):
        found["decode_path"] = DECODE_PATH_VERSION
    if narrows_range(info, options.preset):
        found["range_path"] = RANGE_PATH_VERSION
    return found


def _is_decoded_anew(media: Source) -> bool:
    """Whether the source is of a kind whose decoding or timestamps DECODE_PATH_VERSION counts."""
    return media.info.has_alpha or media.sequence is not None or media.clock_scale != 1


def _check_paths(source: Path, target: Path, options: ApplyOptions) -> None:
    if is_url(str(source)) and not source.exists():
        raise missing_file(source)
    if options.preset.pictures:
        return _check_sequence_target(source, target, options)
    check_name(target)
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise OutputError(f"{target}: source and target are the same file. Choose another target.")
    if target.is_dir():
        raise OutputError(f"{target}: this is a folder. Name a file in it.")
    check_free(target, options.overwrite)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}. Create it first.")


def _check_sequence_target(source: Path, target: Path, options: ApplyOptions) -> None:
    if os.path.abspath(source) == os.path.abspath(target):
        raise OutputError(f"{target}: source and target are the same files. Choose another folder.")
    if not options.overwrite and is_sequence(target) and numbers_there(target):
        raise OutputError(f"{target}: such files exist already. Choose another folder or use --overwrite.")
    # The folder of the pictures itself is created by the run.
    if not target.parent.is_dir() and not target.parent.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent.parent}. Create it first.")


def _check_source(source: Path, info: VideoInfo, options: ApplyOptions) -> list[str]:
    """Warnings about the source. Raises InputError where it cannot be restyled with these options."""
    if info.interlaced and not options.deinterlace:
        raise InputError(
            f"{source}: it is interlaced, and a style would mix its two fields. Add --deinterlace."
        )
    if options.input_space is not None:
        return []
    if info.is_hdr:
        return _check_hdr(source, info, options)
    if info.matrix_was_guessed:
        return [
            f"the source names no color matrix: taken as {info.format.matrix} for its {info.height} lines"
        ]
    return []


def _check_hdr(source: Path, info: VideoInfo, options: ApplyOptions) -> list[str]:
    kind = "PQ" if info.transfer == PQ else "HLG"
    if options.hdr == "refuse":
        raise InputError(
            f"{source}: it is HDR ({kind}) and styles are made for SDR. Use --hdr tonemap to make it SDR, "
            "or --hdr keep to keep it HDR with half of the look."
        )
    if options.hdr == "keep":
        warnings = [f"it stays HDR ({kind}): half of the look is put on it"]
        if info.dynamic_light:
            warnings.append(
                "its HDR10+ or Dolby Vision data describe the frames of the source and are left out"
            )
        return warnings
    return [f"tone mapped from {kind} to SDR in BT.709; --hdr keep keeps it HDR, with half of the look"]


def plain(value: Any) -> Any:
    """The value with only what JSON can hold: dictionaries, lists, numbers, texts; others become text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
