"""The options that change pixels: decorators for `apply`, `farm plan`, `farm export`, and their parsing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from typing import Any

import click

from vidstyle.cli.keyframe_file import read_keyframes
from vidstyle.cli.shared_options import (
    Decorator,
    device_option,
    dial_option,
    field_option,
    flag_option,
    pictures_option,
    style_option,
    together,
)
from vidstyle.cli.when_options import set_ranges, when_options
from vidstyle.codecs import AUTO, CODECS, QUALITIES
from vidstyle.media.image_sequence import parse_rate
from vidstyle.options import HDR_WAYS, SCENE_WAYS, ApplyOptions, Region, Tone
from vidstyle.where import Protect


def styles_of(wanted: tuple[str, ...], options: ApplyOptions) -> tuple[str, ...]:
    """Each style once; where none is named, the first look of the shots. UsageError where there is none."""
    first = next((part.look for part in options.ranges if part.look), None)
    if not wanted and first is None:
        context = click.get_current_context()
        style = next(option for option in context.command.params if option.name == "wanted")
        raise click.MissingParameter(ctx=context, param=style)
    return tuple(dict.fromkeys(wanted or (str(first),)))


# The parameters that `pixel_options` adds, beside the style.
PIXEL_PARAMETERS = {f.name for f in fields(ApplyOptions)} - {
    *("overwrite", "work_dir", "speed", "segment_frames", "encoder_threads")
}
WHERE_PARAMETERS = ("mask", "invert_mask", "region", "feather", "keyframes", "per_scene", "protect")


def apply_options(batch_size: str, values: dict[str, Any]) -> ApplyOptions:
    """ApplyOptions from the values as typed. Raises click.UsageError."""
    if batch_size != "auto" and not batch_size.isdecimal():
        raise click.UsageError(f"--batch-size must be a number or auto, not {batch_size!r}.")
    with suppress(ValueError):  # a word; ApplyOptions checks it
        values["smooth"] = float(values["smooth"])
    try:
        values["fps"] = None if values["fps"] is None else parse_rate(values["fps"])
        values["encoder_options"] = _encoder_options(values["encoder_options"])
        values["tone"] = Tone.from_text(values["tone"])
        values |= _where_values(values)
        set_ranges(values)
        return ApplyOptions(batch_size=None if batch_size == "auto" else int(batch_size), **values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def where_of(values: dict[str, Any]) -> ApplyOptions:
    """ApplyOptions of what `where_options` adds, which is taken out of values. Raises click.UsageError."""
    own = {name: values.pop(name) for name in WHERE_PARAMETERS}
    try:
        return ApplyOptions(**own | _where_values(own))
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _where_values(values: dict[str, Any]) -> dict[str, Any]:
    """The values of region, keyframes and protect from their texts. ValueError."""
    region, keyframes, protect = (values[name] for name in ("region", "keyframes", "protect"))
    return {
        "region": None if region is None else Region.from_text(region),
        "keyframes": None if keyframes is None else read_keyframes(keyframes),
        "protect": Protect.from_text(",".join(protect)) if protect else None,
    }


def _encoder_options(texts: Iterable[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ValueError(f"--encoder-option must be NAME=VALUE, not {text!r}")
        found[name] = value
    return found


def _field(name: str, help_text: str, **attributes: Any) -> Decorator:
    return field_option(ApplyOptions, name, help_text, **attributes)


def _dial(name: str, help_text: str) -> Decorator:
    return dial_option(ApplyOptions, name, help_text)


def _short(names: Iterable[str]) -> str:
    """`prores[4444]` for prores and prores4444, so that all names fit in one line."""
    kept: list[str] = []
    for name in names:
        if kept and name.startswith(kept[-1]):
            kept[-1] += f"[{name.removeprefix(kept[-1])}]"
        else:
            kept.append(name)
    return ", ".join(kept)


_STYLE_HELP = "A style, its file, FILE#LOOK, or a blend of them."
apply_style_option = style_option(_STYLE_HELP, required=True)
several_styles_option = style_option(
    "A style, a file, FILE#LOOK or a blend; repeatable.  [required]", multiple=True
)

look_options = together(
    _dial("strength", "How far to go from the source to the full look."),
    _dial("grade", "Share of the look's color."),
    _dial("light", "Share of the look's light: local brightness, glow."),
    _dial("texture", "Share of what drawn looks draw."),
    _field(
        "variation",
        "Another take of the look, the same over all of a clip.",
        shown="",
        type=int,
        metavar="SEED",
    ),
    _dial("sharpen", "Sharpen the result, without halos."),
    _dial("deblur", "Take back a little blur."),
    click.option(
        "--tone",
        metavar="TEXT",
        default=str(ApplyOptions.tone),
        help="exposure=0.3,contrast=1.1,warmth=0.2,saturation=1.1",
    ),
)

where_options = together(
    _field("mask", "Restyle where a matte is white: a clip, pictures, or alpha.", shown="", metavar="MATTE"),
    flag_option("--invert-mask", help_text="Restyle where the matte is black."),
    _field("region", "Restyle in a rectangle: pixels, or all four in %.", shown="", metavar="X,Y,W,H"),
    _field("feather", "Soft edge of the region, in pixels.", shown="0", type=float, metavar="PX"),
    _field(
        "keyframes",
        "Strength over time: 0=0,2.5=1; .json or .csv: all dials, styles.",
        shown="",
        metavar="TEXT",
    ),
    _field(
        "per_scene",
        "Keyframes at cuts: reset begins anew, hold changes only there.",
        shown="",
        type=click.Choice(SCENE_WAYS),
        metavar="HOW",
    ),
    click.option(
        "--protect",
        metavar="WHAT",
        multiple=True,
        help="Less style on faces or skin: faces=0.5, skin; repeatable.",
    ),
)

encoding_options = together(
    _field(
        "codec",
        f"auto, {_short(CODECS)}.",
        shown="",
        type=click.Choice([AUTO, *CODECS]),
        metavar="NAME",
    ),
    _field("crf", "Quality of clips, lower is better.", shown="by codec", type=int, metavar="N"),
    _field(
        "quality",
        f"Instead of a number: {', '.join(QUALITIES)}.",
        type=click.Choice(list(QUALITIES)),
        metavar="NAME",
    ),
    _field("encoder", "Encode in hardware: h264_nvenc, hevc_qsv, ...", shown="no", metavar="NAME"),
    _field("hwaccel", "Decode in hardware: cuda (NVDEC), qsv, ...", shown="no", metavar="NAME"),
    click.option(
        "--encoder-option",
        "encoder_options",
        metavar="K=V",
        multiple=True,
        help="One of the encoder's own, such as tune=film; may be repeated.",
    ),
)

source_options = together(
    pictures_option(),
    _field(
        "start_number",
        "First number of png and exr results.",
        shown="input's or 1",
        type=int,
        metavar="N",
    ),
    _field("smooth", "Average along the motion: auto, off or 0..1.", metavar="HOW"),
    flag_option("--deinterlace", help_text="Deinterlace the source."),
    _field(
        "hdr",
        "HDR sources: auto, tonemap, keep (half of the look), refuse.",
        shown="",
        type=click.Choice(HDR_WAYS),
        metavar="HOW",
    ),
    _field("input_space", "Camera log or light: slog3, logc3, logc4, vlog, ...", shown="", metavar="NAME"),
    _field("output_space", "Color space of the result.", shown="BT.709", metavar="NAME"),
    _field("ocio", "OpenColorIO config that has these spaces.", shown="built-in", metavar="CONFIG"),
)

batch_size_option = click.option(
    "--batch-size", metavar="N", default="auto", show_default=True, help="Frames in one step."
)


reference_option = click.option(
    "--reference",
    "references",
    metavar="FILE",
    multiple=True,
    help="For colour: still in color; 00:12=STILL for a scene; repeatable.",
)


def pixel_options(command: Any) -> Any:
    """Decorator: all options that change a pixel of the result, and those of how it is computed."""
    return together(
        apply_style_option,
        look_options,
        where_options,
        when_options,
        encoding_options,
        source_options,
        reference_option,
        device_option(ApplyOptions),
        batch_size_option,
    )(command)
