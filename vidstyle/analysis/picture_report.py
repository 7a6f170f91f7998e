"""Compares restyled pictures with their sources, and sets of pictures with a style and three baselines.

Sets are kept in memory as small 8 bit pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.metrics import (
    PairMeans,
    color_distance,
    content_kept,
    texture_distance,
    texture_features,
)
from vidstyle.errors import InputError
from vidstyle.imaging.color_transfer import BASELINES, Transfer, sample_colors
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import still_pictures

SIDE = 320  # short side in pixels at which sets are compared: texture depends on the size
COUNT = 120  # pictures of a folder that are used at most


@dataclass(frozen=True)
class Pictures(Sequence[Tensor]):
    """Pictures stored as uint8 [3, H, W]; an item is RGB in [0, 1], after `transform` if there is one."""

    codes: tuple[Tensor, ...]
    transform: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, at: int) -> Tensor: ...
    @overload
    def __getitem__(self, at: slice) -> Pictures: ...
    def __getitem__(self, at: int | slice) -> Tensor | Pictures:
        if isinstance(at, slice):
            return replace(self, codes=self.codes[at])
        rgb = self.codes[at][None].to(torch.float32) / 255
        return (rgb if self.transform is None else self.transform(rgb))[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[at] for at in range(len(self)))

    def transformed(self, transform: Callable[[Tensor], Tensor]) -> Pictures:
        """The same pictures passed through RGB [1, 3, H, W] -> RGB, each time one is read."""
        return replace(self, transform=transform)


def read_pictures(folder: Path, count: int = COUNT, side: int = SIDE) -> Pictures:
    """Up to `count` pictures spread evenly over a folder, resized to one short side. Raises InputError."""
    paths = still_pictures(folder)
    chosen = [paths[at * len(paths) // min(count, len(paths))] for at in range(min(count, len(paths)))]
    return Pictures(tuple(small_codes(read_picture(path)[None], side) for path in chosen))


def small_codes(frame: Tensor, side: int = SIDE) -> Tensor:
    """A picture uint8 [1, 3, H, W] resized to a short side: [3, h, w]."""
    scale = side / min(frame.shape[-2:])
    size = (round(frame.shape[-2] * scale), round(frame.shape[-1] * scale))
    small = F.interpolate(frame.to(torch.float32), size=size, mode="bilinear", antialias=True)
    return small[0].add_(0.5).clamp_(0, 255).to(torch.uint8)


class FrameSample:
    """Evenly spread frames of a clip of unknown length and of its result: from `most` / 2 to `most` pairs."""

    def __init__(self, most: int = 80, side: int = SIDE) -> None:
        self._most, self._side, self._step, self._seen = most, side, 1, 0
        self._pairs: list[tuple[Tensor, Tensor]] = []

    def add(self, source: Tensor, result: Tensor) -> None:
        """Offer the next pair of frames, uint8 [1, 3, H, W]."""
        if self._seen % self._step == 0:
            self._pairs.append((small_codes(source, self._side), small_codes(result, self._side)))
        self._seen += 1
        if len(self._pairs) > self._most:
            self._pairs = self._pairs[::2]
            self._step *= 2

    def pictures(self) -> tuple[Pictures, Pictures]:
        """(source, result)."""
        return (
            Pictures(tuple(source for source, _ in self._pairs)),
            Pictures(tuple(result for _, result in self._pairs)),
        )


@dataclass(frozen=True)
class StyleReport:
    """How close a result is to pictures of the style, compared with the source and three color transfers.

    rows: "source" (unchanged), "reinhard", "mkl" and "histogram" (fitted to the content and style sets),
    "result". Each has colour (sliced Wasserstein distance in CIELAB), texture (0 the same, 1 as far as the
    style's own pictures spread) and content (see `content_kept`).
    """

    rows: dict[str, dict[str, float]]
    frames: int
    content_pictures: int
    style_pictures: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.inference_mode()
def evaluate_style(
    source: Pictures, result: Pictures, style: Pictures, content: Pictures | None = None
) -> StyleReport:
    """Compare a result with pictures of the style.

    source, result: the same pictures before and after. content: pictures that the color transfers are fitted
    on, by default the source. Raises InputError for a style of a single picture, which has no spread.
    """
    if len(style) < 2:
        raise InputError("pictures of the style: only one picture. Give several; a few hundred are best.")
    content = content or source
    compared = {"source": source}
    compared |= {name: source.transformed(way) for name, way in transfers(content, style).items()}
    compared["result"] = result
    style_texture = texture_features(style)
    rows = {
        name: {
            "colour": color_distance(pictures, style),
            "texture": texture_distance(texture_features(pictures), style_texture),
            "content": mean_content_kept(pictures, source),
        }
        for name, pictures in compared.items()
    }
    return StyleReport(rows, len(source), len(content), len(style))


def transfers(content: Sequence[Tensor], style: Sequence[Tensor]) -> dict[str, Transfer]:
    """The statistical color transfers by name, fitted on two unpaired sets."""
    colors = sample_colors(content), sample_colors(style)
    return {name: fit(*colors) for name, fit in BASELINES.items()}


def mean_content_kept(results: Sequence[Tensor], source: Sequence[Tensor]) -> float:
    kept = [float(content_kept(a[None], b[None])) for a, b in zip(results, source, strict=True)]
    return sum(kept) / len(kept)


@dataclass(frozen=True)
class PicturesReport:
    """Means over restyled pictures; the fields are those of `ClipReport`."""

    source: Path
    result: Path
    pictures: int
    detail_kept: float
    strength: float
    contrast_kept: float
    content_kept: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"source": str(self.source), "result": str(self.result)}


@torch.inference_mode()
def evaluate_pictures(
    pairs: Sequence[tuple[Path, Path]], watch: Callable[[Tensor, Tensor], None] | None = None
) -> PicturesReport:
    """Compare restyled pictures with their sources, given as pairs of files (source, result).

    watch: is called with each pair as uint8 [1, 3, H, W]. Raises InputError where sizes differ.
    """
    metrics = PairMeans()
    for before, after in pairs:
        a, b = read_picture(before)[None], read_picture(after)[None]
        if a.shape != b.shape:
            raise InputError(f"{after}: has another size than {before}. Compare a picture with its result.")
        if watch is not None:
            watch(a, b)
        metrics.add(a.to(torch.float32) / 255, b.to(torch.float32) / 255)
    source, result = pairs[0]
    if len(pairs) > 1:
        source, result = source.parent, result.parent
    return PicturesReport(source=source, result=result, pictures=len(pairs), **metrics.means())
