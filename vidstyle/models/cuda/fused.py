"""YUV planes to restyled YUV planes on a GPU, in three passes over the frame.

The result is that of `yuv.to_rgb`, `Generator.paint_baked` and `yuv.from_rgb` one after the other, which
remain the reference. Every pixel is read and written a few times instead of about forty times. Triton is
needed and is loaded with the first frame; `trouble` and `reason_not` tell whether the kernels can be used.
"""

from __future__ import annotations

import functools
import sysconfig
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from vidstyle.frames import PlaneFormat
from vidstyle.imaging.dither import SIDE, Dither
from vidstyle.imaging.resize import shrink
from vidstyle.imaging.yuv import LUMA_OF_MATRIX, chroma_siting, code_levels
from vidstyle.models.base import Controls, Dials
from vidstyle.models.generator import DETAIL_SIZE
from vidstyle.models.texture import inked

# Rows and columns of pixels per program. The lookup of colors needs many registers, so its tile is smaller.
_GRADE_TILE = (2, 128)
_PAINT_TILE = (4, 128)
_OLDEST_GPU = (7, 5)  # compute capability; the tests compile the kernels for it and for newer ones


@dataclass(frozen=True)
class Graded:
    """Frames after the grade, float32: source rgb and graded [N, 3, H, W], luma of graded [N, 1, H, W]."""

    rgb: Tensor
    graded: Tensor
    luma: Tensor


class Fused(Protocol):
    """What a style needs of fused kernels; see `FusedPaint`, which is the real one."""

    def graded(self, planes: Sequence[Tensor], fmt: PlaneFormat) -> Graded: ...

    def graded_rgb(self, rgb: Tensor) -> Graded: ...

    def planes(
        self, graded: Graded, controls: Controls, fmt: PlaneFormat, *, dither: Dither | None = None
    ) -> tuple[Tensor, ...]: ...

    def rgb(self, graded: Graded, controls: Controls) -> Tensor: ...


class FusedPaint:
    """A grade with its dials, applied to batch after batch. Not for dials that change nothing.

    All work is queued on the current stream of the frames' device, without waiting for it, so it can be
    recorded as a CUDA graph. Frames and table must be on one device.
    """

    def __init__(self, lut: Tensor, dials: Dials) -> None:
        """lut: [3, B, G, R] as `Generator.lut` gives it. ValueError for other shapes."""
        size = lut.shape[-1]
        if tuple(lut.shape) != (3, size, size, size) or size < 2:
            raise ValueError(f"a table must be [3, S, S, S] with S >= 2, not {tuple(lut.shape)}")
        # Four numbers for each color, so that it can be read at once.
        self._table = torch.zeros((size, size, size, 4), dtype=torch.float32, device=lut.device)
        self._table[..., :3] = lut.detach().permute(1, 2, 3, 0)
        self._dials = dials

    def graded(self, planes: Sequence[Tensor], fmt: PlaneFormat) -> Graded:
        """Planes [N, H, W], [N, Hc, Wc] x 2 as `fmt` describes them, graded. See `reason_not`. ValueError."""
        luma, cb, cr = (plane.contiguous() for plane in planes)
        count, height, width = luma.shape
        if any(tuple(plane.shape) != (count, *fmt.chroma_size(height, width)) for plane in (cb, cr)):
            raise ValueError(f"chroma {tuple(cb.shape)} does not fit luma {tuple(luma.shape)}")
        rgb = torch.empty((count, 3, height, width), dtype=torch.float32, device=luma.device)
        black, luma_span, neutral, chroma_span = code_levels(fmt)
        red, _, blue = LUMA_OF_MATRIX[fmt.matrix]
        green = 1 - red - blue
        matrix = (
            1 / luma_span,
            -black / luma_span,
            neutral,
            2 * (1 - red) / chroma_span,
            -2 * blue * (1 - blue) / green / chroma_span,
            -2 * red * (1 - red) / green / chroma_span,
            2 * (1 - blue) / chroma_span,
        )
        return self._graded((luma, cb, cr), rgb, cb.shape[1:], matrix, _sitings(fmt))

    def graded_rgb(self, rgb: Tensor) -> Graded:
        """RGB [N, 3, H, W] in [0, 1], float32, graded. ValueError for other shapes or types."""
        rgb = rgb.contiguous()
        if rgb.ndim != 4 or rgb.shape[1] != 3 or rgb.dtype != torch.float32:
            raise ValueError(f"RGB must be float32 [N, 3, H, W], not {rgb.dtype} {tuple(rgb.shape)}")
        return self._graded((None, None, None), rgb, (0, 0), (0.0,) * 7, _sitings(None))

    def planes(
        self, graded: Graded, controls: Controls, fmt: PlaneFormat, *, dither: Dither | None = None
    ) -> tuple[Tensor, ...]:
        """Painted planes, luma [N, H, W] and two of chroma, as `fmt` describes them.

        dither: as of `yuv.from_rgb`.
        """
        count, _, height, width = graded.rgb.shape
        device = graded.rgb.device
        luma = torch.empty((count, height, width), dtype=fmt.dtype, device=device)
        cb, cr = (
            torch.empty((count, *fmt.chroma_size(height, width)), dtype=fmt.dtype, device=device)
            for _ in range(2)
        )
        black, luma_span, neutral, chroma_span = code_levels(fmt)
        red, _, blue = LUMA_OF_MATRIX[fmt.matrix]
        chroma = (
            chroma_span / (2 * (1 - blue)),
            chroma_span / (2 * (1 - red)),
            neutral,
            *(float(code) for code in fmt.code_range),
        )
        numbers = (red, 1 - red - blue, blue, luma_span, black, *chroma)
        noise = dither.tiles if dither is not None and fmt.bit_depth == 8 else None
        if fmt.chroma_shift == (0, 0):
            self._paint(graded, controls, (luma, None, cb, cr), numbers, noise)
            return luma, cb, cr
        difference = torch.empty((count, 2, height, width), dtype=torch.float32, device=device)
        self._paint(graded, controls, (luma, difference, None, None), numbers, noise)
        size = (height, width, *cb.shape[1:])
        kernel = _kernels().subsample_chroma
        flags = {**_sitings(fmt), "dithered": noise is not None, "noise_side": SIDE}
        _launch(kernel, cb, _GRADE_TILE, (difference, cb, cr, noise, *size, *chroma), flags)
        return luma, cb, cr

    def rgb(self, graded: Graded, controls: Controls) -> Tensor:
        """Painted RGB [N, 3, H, W] in [0, 1], float32."""
        painted = torch.empty_like(graded.rgb)
        self._paint(graded, controls, (painted, None, None, None), (0.0,) * 10)
        return painted

    def _graded(
        self,
        planes: tuple[Tensor | None, ...],
        rgb: Tensor,
        chroma_size: Sequence[int],
        matrix: tuple[float, ...],
        sitings: dict[str, Any],
    ) -> Graded:
        luma = torch.empty_like(rgb[:, :1], memory_format=torch.contiguous_format)
        made = Graded(rgb, torch.empty_like(rgb), luma)
        pictures = (*planes, rgb, self._table, made.graded, luma)
        numbers = (*rgb.shape[-2:], *chroma_size, *matrix, 1 - self._dials.grade)
        flags = {**sitings, "planes": planes[0] is not None, "size": self._table.shape[0]}
        _launch(_kernels().grade, rgb, _GRADE_TILE, (*pictures, *numbers), flags)
        return made

    def _paint(
        self,
        graded: Graded,
        controls: Controls,
        out: tuple[Tensor | None, ...],
        numbers: tuple[float, ...],
        noise: Tensor | None = None,
    ) -> None:
        """out: rgb, or luma with either the differences or both chroma planes. noise: `Dither.tiles`."""
        dials, rgb = self._dials, graded.rgb
        size = (rgb.shape[-2], rgb.shape[-1])
        light = base = drawing = None
        enlarged = False
        if dials.light and controls.light is not None:
            light = _maps(controls.light, rgb, 7)
            base = shrink(graded.luma, DETAIL_SIZE).contiguous()
        if dials.texture and controls.drawing is not None:
            drawing = _maps(controls.drawing, rgb, 5)
            # A drawing that is not smaller than the frame is resized by `inked` to the frame's size.
            enlarged = (drawing.shape[-2], drawing.shape[-1]) < size
            if not enlarged:
                drawing = inked(rgb, drawing)(0, size[0]).contiguous()
        flags = {
            "lit": light is not None,
            "inked": drawing is not None,
            "enlarged": enlarged,
            "mixed": dials.strength != 1,
            "planes": out[0] is not None and out[0].ndim == 3,
            "subsampled": out[1] is not None,
            "dithered": noise is not None,
            "noise_side": SIDE,
        }
        pictures = (rgb, graded.graded, light, base, drawing, *out, noise)
        sizes = (*size, *_scale(light, size), *_scale(base, size), *_scale(drawing, size))
        amounts = (dials.light, dials.texture, 1 - dials.strength)
        _launch(_kernels().paint, rgb, _PAINT_TILE, (*pictures, *sizes, *amounts, *numbers), flags)


def reason_not(fmt: PlaneFormat, height: int, width: int) -> str | None:
    """Why the kernels cannot be used for planes of this kind, in words; None if they can."""
    if fmt.matrix == "rgb":
        return "its planes hold RGB"
    if fmt.matrix == "gray":
        return "it has no chroma"
    if max(fmt.chroma_shift) > 1:
        return "its chroma has a quarter of the samples along a side"
    sides = (width, height)
    if any(side % 2 for side, shift in zip(sides, fmt.chroma_shift, strict=True) if shift):
        return f"a side of {width} x {height} is odd and its chroma is subsampled"
    return None


@functools.cache
def trouble(device: torch.device) -> str | None:
    """Why the kernels cannot be used on a device, in words; None if they can.

    The first call may take a second: Triton then compiles its launcher.
    """
    if device.type != "cuda" or torch.version.hip is not None:
        return f"{device} is no NVIDIA GPU"
    if torch.cuda.get_device_capability(device) < _OLDEST_GPU:
        return "the GPU is older than the Turing generation"
    # Checked first, since the compiler would print an error to the screen.
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "Triton needs the C headers of Python (python3-dev)"
    try:
        from triton.runtime import driver  # type: ignore[import-untyped, import-not-found, unused-ignore]

        with torch.cuda.device(device):
            driver.active.utils  # noqa: B018 - reading it builds it, with a C compiler
    except ImportError:
        return "Triton is not installed"
    except Exception as error:  # of many kinds: no compiler, no folder for its files, an unknown driver
        return f"Triton does not start: {error}"
    return None


@dataclass(frozen=True)
class Kernels:
    """The Triton kernels of the three passes."""

    grade: Any
    paint: Any
    subsample_chroma: Any


def _kernels() -> Kernels:
    """Loads Triton, which takes a second."""
    from vidstyle.models.cuda.chroma import subsample_chroma
    from vidstyle.models.cuda.grade import grade
    from vidstyle.models.cuda.paint import paint

    return Kernels(grade, paint, subsample_chroma)


def _launch(
    kernel: Any, like: Tensor, tile: tuple[int, int], arguments: tuple[Any, ...], flags: dict[str, Any]
) -> None:
    """Start a kernel with one program for each tile of frames of the size of `like` [N, ..., H, W]."""
    rows, columns = tile
    grid = (-(-like.shape[-1] // columns), -(-like.shape[-2] // rows), like.shape[0])
    here: AbstractContextManager[None] = nullcontext()
    if like.device.type == "cuda":
        here = torch.cuda.device(like.device)  # Triton launches on the current one
    with here:
        kernel[grid](*arguments, rows=rows, columns=columns, **flags)


def _sitings(fmt: PlaneFormat | None) -> dict[str, Any]:
    """The chroma siting of a format as arguments of the kernels; None where there is no chroma."""
    (shift_x, cosited_x), (shift_y, cosited_y) = ((0, False),) * 2
    if fmt is not None:
        (shift_x, cosited_x), (shift_y, cosited_y) = chroma_siting(fmt, -1), chroma_siting(fmt, -2)
    return {"shift_x": shift_x, "shift_y": shift_y, "cosited_x": cosited_x, "cosited_y": cosited_y}


def _maps(maps: Tensor, rgb: Tensor, channels: int) -> Tensor:
    """Maps of the networks, float32 and contiguous. ValueError for shapes that a kernel would read past."""
    if maps.ndim != 4 or tuple(maps.shape[:2]) != (rgb.shape[0], channels):
        raise ValueError(f"maps must be [{rgb.shape[0]}, {channels}, h, w], not {tuple(maps.shape)}")
    return maps.to(rgb.device, torch.float32).contiguous()


def _scale(maps: Tensor | None, size: tuple[int, int]) -> tuple[float, ...]:
    """Height and width of maps, and how many of their pixels fit a pixel of the frame, down and across."""
    if maps is None:
        return 0, 0, 0.0, 0.0
    height, width = maps.shape[-2:]
    return height, width, height / size[0], width / size[1]
