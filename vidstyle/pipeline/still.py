"""restyle_still(): restyles one still picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidstyle.errors import OutputError
from vidstyle.files import check_free, check_name, check_writable
from vidstyle.media.black_edges import edges_of, pair_of_bars
from vidstyle.media.image_file import encode_picture, fit_for, read_whole, write_picture
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.amount import between
from vidstyle.pipeline.has_color import color_warnings
from vidstyle.pipeline.still_amount import check_still_options, still_weights


@dataclass(frozen=True)
class StillReport:
    """What restyle_still has done. width, height: of the written picture, in pixels."""

    source: Path
    target: Path
    width: int
    height: int
    seconds: float
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "source": str(self.source), "target": str(self.target), "kind": "still"}


def restyle_still(
    source: Path | str,
    style: Callable[[torch.Tensor], torch.Tensor],
    target: Path | str,
    options: ApplyOptions | None = None,
) -> StillReport:
    """Restyle the picture `source` and write it as `target`; the suffix of the target chooses the format.

    style: RGB [1, 3, H, W] in [0, 1] -> the same; a Style is one. Black bars stay as they are. Pixels stay
    in the orientation in which they are stored, so that a camera's orientation tag still turns them the right
    way. options: mask, region, feather and protect are followed, see ApplyOptions; the matte is a picture.
    Raises InputError and OutputError; then nothing is written.

    >>> import vidstyle
    >>> look = vidstyle.load_style("vlogger").with_(strength=0.5)
    >>> report = vidstyle.restyle_still("still.jpg", look, "still.vlogger.jpg")
    >>> report.width, report.height
    (96, 64)
    """
    started = time.perf_counter()
    source, target, options = Path(source), Path(target), options or ApplyOptions()
    check_still_options(source, options)
    picture = read_whole(source)
    check_name(target)
    if target.exists() and target.samefile(source):
        raise OutputError(f"{target}: source and target are the same file. Choose another target.")
    check_free(target, options.overwrite)
    check_writable(target)
    fit_for(target, picture)  # what it refuses is refused before the work
    weights, notes = still_weights(source, picture, options)
    pixels = _restyled(picture.pixels, style, weights)
    picture = fit_for(target, replace(picture, pixels=pixels))
    write_picture(target, encode_picture(target, picture))
    height, width = pixels.shape[:2]
    warnings = (*color_warnings(source, style), *notes, *picture.warnings)
    return StillReport(source, target, width, height, time.perf_counter() - started, warnings)


def _restyled(
    pixels: NDArray[Any], style: Callable[[torch.Tensor], torch.Tensor], weights: torch.Tensor | None
) -> NDArray[Any]:
    """Pixels [H, W] or [H, W, C] (BGR, then alpha) through a style, in their type.

    weights: how much of the style each gets, [H, W]; what gets none keeps its value.
    Alpha is not changed. A picture with one channel keeps one only if its result is gray.
    """
    white = float(np.iinfo(pixels.dtype).max)
    gray = pixels.ndim == 2
    bgr = np.repeat(pixels[..., None], 3, axis=2) if gray else pixels[..., :3]
    rgb = torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1)[None]
    inner = _picture_in(rgb, white)
    styled = style(rgb[inner].to(torch.float32).div_(white))
    styled = (styled.detach().to("cpu", torch.float32) * white).add_(0.5).clamp_(0, white)
    result = bgr.copy()
    if weights is not None:
        before = rgb[inner].to(torch.float32)
        styled = between(before, styled.floor_(), weights[inner[2:]])
    result[inner[2:]] = styled[0].permute(1, 2, 0).numpy().astype(pixels.dtype)[..., ::-1]
    if (
        gray
        and np.array_equal(result[..., 0], result[..., 1])
        and np.array_equal(result[..., 0], result[..., 2])
    ):
        return np.ascontiguousarray(result[..., 0])
    return np.ascontiguousarray(np.concatenate([result, pixels[..., 3:]], axis=2) if not gray else result)


def _picture_in(rgb: torch.Tensor, white: float) -> tuple[slice, ...]:
    """The part of a picture [1, 3, H, W] that lies inside black bars; all of it where there are none."""
    height, width = rgb.shape[-2:]
    bars = pair_of_bars(edges_of(rgb[0].to(torch.float32).amax(dim=0) * (255 / white)))
    down, across = slice(bars.top, height - bars.bottom), slice(bars.left, width - bars.right)
    return slice(None), slice(None), down, across
