"""Names and layouts of pixel formats, and the format to encode in."""

from __future__ import annotations

import re

import av
import av.error
from av.video.reformatter import Interpolation

from vidstyle.codecs import CodecPreset
from vidstyle.errors import OutputError
from vidstyle.frames import PlaneFormat, VideoInfo
from vidstyle.options import ApplyOptions

_NAME_OF_SHIFT = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}


def layout_name(fmt: PlaneFormat, alpha: bool = False) -> str:
    """FFmpeg's name for planes of this format."""
    suffix = "" if fmt.bit_depth == 8 else f"{fmt.bit_depth}le"
    letter = "a" if alpha else ""
    if fmt.matrix == "gray":
        return f"gray{suffix}"
    if fmt.matrix == "rgb":
        return f"gbr{letter}p{suffix}"
    return f"yuv{letter}{_NAME_OF_SHIFT[fmt.chroma_shift]}p{suffix}"


def choose_pixel_format(info: VideoInfo, options: ApplyOptions) -> tuple[str, list[str]]:
    """The pixel format to encode in, and warnings about what of the source it does not keep.

    Bit depth is never lowered: OutputError for a codec that cannot hold it.
    """
    preset, fmt = options.preset, info.format
    if preset.pictures:
        return picture_format(info, preset, options.codec)
    # Files of 10 to 14 bit are decoded to 16; and ProRes 4444 is decoded to 12, but encoded from 10.
    most = 10 if preset.encoder == "prores_ks" else 12
    needed = fmt.bit_depth if fmt.bit_depth <= most else 10
    best: tuple[tuple[int, ...], str, list[str]] | None = None
    for name in preset.pixel_formats:
        layout = planar_format(name)[1]
        assert layout is not None
        across, down = layout.chroma_shift
        fits = preset.halves_chroma or (info.width % (1 << across) == 0 and info.height % (1 << down) == 0)
        if name.startswith("gray") or layout.bit_depth < needed or not fits:
            continue
        lost = []
        if layout.bit_depth < fmt.bit_depth:
            lost.append(f"{options.codec} keeps {layout.bit_depth} of {fmt.bit_depth} bit per sample")
        if info.has_alpha and "a" not in name[3:4]:
            lost.append(f"{options.codec} keeps no transparency; use --codec prores4444 or ffv1 to keep it")
        if across > fmt.chroma_shift[0] or down > fmt.chroma_shift[1]:
            lost.append(f"{options.codec} keeps color at a lower resolution than the source ({name})")
        other_model = (layout.matrix == "rgb") != (fmt.matrix == "rgb")
        excess_chroma = fmt.chroma_shift[0] - across + fmt.chroma_shift[1] - down
        extra_alpha = "a" in name[3:4] and not info.has_alpha
        cost = (
            len(lost),
            other_model,
            abs(layout.bit_depth - fmt.bit_depth),
            extra_alpha,
            abs(excess_chroma),
        )
        if best is None or cost < best[0]:
            best = cost, name, lost
    if best is not None:
        is_odd = info.width % 2 or info.height % 2
        if is_odd and fmt.chroma_shift != (0, 0) and best[0][4] and not preset.halves_chroma:
            best[2].append(
                f"{info.width}x{info.height} is an odd size, so {options.codec} keeps color at full "
                f"resolution ({best[1]}), which not every player shows; av1 would keep it as it is"
            )
        return best[1], best[2]
    if preset.deepest < needed:
        raise OutputError(
            f"{options.codec}: the source has {fmt.bit_depth} bit per sample, this codec keeps "
            f"{preset.deepest}. "
            f"Use --codec {'hevc, av1, prores or ffv1' if needed <= 10 else 'hevc or ffv1'}."
        )
    raise OutputError(
        f"{options.codec}: it cannot hold {info.width}x{info.height} in {info.pixel_format}. "
        "Use --codec h264, hevc or ffv1."
    )


def narrows_range(info: VideoInfo, preset: CodecPreset) -> bool:
    """Whether samples of full range are brought to limited range: ProRes cannot say which it holds."""
    return info.format.full_range and preset.encoder == "prores_ks"


EXR_FORMAT = "gbrpf32le"


def picture_format(info: VideoInfo, preset: CodecPreset, codec: str) -> tuple[str, list[str]]:
    """The pixel format of numbered pictures, and warnings about what of the source they do not keep."""
    if EXR_FORMAT in preset.pixel_formats:
        lost = [f"{codec} keeps no transparency; use --codec png to keep it"] if info.has_alpha else []
        return EXR_FORMAT, lost
    deep = info.format.bit_depth > 8
    return ("rgba64be" if deep else "rgba") if info.has_alpha else ("rgb48be" if deep else "rgb24"), []


# Flags of swscale for changes of the pixel format: its default is off by half a level on a gray ramp.
ACCURATE = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_PLANAR = re.compile(r"^(yuv|gbr)(a?)(j?)(420|422|444)?p(\d+)?(?:le)?$")
_SHIFT_OF_NAME = {"420": (1, 1), "422": (1, 0), "444": (0, 0), None: (0, 0)}


def planar_format(name: str) -> tuple[str, PlaneFormat | None]:
    """The planar format in which a decoded one is carried: (FFmpeg's name, layout without color facts)."""
    match = _PLANAR.match(name)
    if match and (match[4] or match[1] == "gbr"):
        depth = int(match[5] or 8)
        matrix = "rgb" if match[1] == "gbr" else "bt709"
        return name, PlaneFormat(depth, _SHIFT_OF_NAME[match[4]], matrix, matrix == "rgb" or bool(match[3]))
    if re.match(r"^gray(\d+le)?$", name):
        return name, PlaneFormat(int(name[4:-2] or 8), (1, 1), "bt709")
    try:
        fmt = av.VideoFormat(name, 64, 64)
    except ValueError:
        return name, None
    depth = max(component.bits for component in fmt.components)
    suffix = "" if depth <= 8 else next((f"{bits}le" for bits in (10, 12, 16) if bits >= depth), None)
    if name in ("gbrpf32le", "gbrapf32le", "gbrpf16le", "gbrapf16le"):  # of EXR
        return planar_format("gbrap16le" if "a" in name else "gbrp16le")
    if suffix is None or "f32" in name or "f16" in name or name.startswith(("xyz", "vdpau", "cuda")):
        return name, None
    alpha = "a" if len(fmt.components) == 4 and suffix in ("", "10le", "12le", "16le") else ""
    if fmt.is_rgb or name == "pal8":
        alpha = "a" if name == "pal8" else alpha
        return planar_format(f"gbr{alpha}p{suffix}")
    if len(fmt.components) < 3:
        return planar_format(f"gray{suffix}")
    across, down = 64 // fmt.chroma_width(64), 64 // fmt.chroma_height(64)
    return planar_format(f"yuv{'444' if across == 1 else '420' if down > 1 else '422'}p{suffix}")
