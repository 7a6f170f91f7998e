"""Metrics of pictures beside their sources, and of sets beside a style and three baselines.

Reads pictures, writes nothing. A set is kept small, as 8 bit, and never whole as numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.analysis.metrics import color_distance, content_kept, detail, lab_error, texture_gap, textures
from vidstyle.errors import InputError
from vidstyle.imaging.color_transfer import BASELINES, Transfer, sample_colors
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import still_pictures

# Short side in pixels at which sets are compared: texture changes with size, so all come to one.
SIDE = 320
COUNT = 120


@dataclass(frozen=True)
class Pictures(Sequence[Tensor]):
    """Pictures kept as uint8 [3, H, W] and given out as RGB in [0, 1], through a look where there is one."""

    codes: tuple[Tensor, ...]
    look: Callable[[Tensor], Tensor] | None = None

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
        return (rgb if self.look is None else self.look(rgb))[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[at] for at in range(len(self)))

    def through(self, look: Callable[[Tensor], Tensor]) -> Pictures:
        """The same pictures through a look RGB [1, 3, H, W] -> RGB, painted when they are asked for."""
        return replace(self, look=look)


def read_pictures(folder: Path, count: int = COUNT, side: int = SIDE) -> Pictures:
    """Up to `count` pictures spread evenly over a folder, at one short side. Raises InputError."""
    paths = still_pictures(folder)
    chosen = [paths[at * len(paths) // min(count, len(paths))] for at in range(min(count, len(paths)))]
    return Pictures(tuple(small_codes(read_picture(path)[None], side) for path in chosen))


def small_codes(frame: Tensor, side: int = SIDE) -> Tensor:
    """uint8 [1, 3, H, W] -> [3, h, w] of the given short side."""
    scale = side / min(frame.shape[-2:])
    size = (round(frame.shape[-2] * scale), round(frame.shape[-1] * scale))
    small = F.interpolate(frame.to(torch.float32), size=size, mode="bilinear", antialias=True)
    return small[0].add_(0.5).clamp_(0, 255).to(torch.uint8)


class FrameSample:
    """Some frames of a clip of unknown length and of its result, spread evenly: `most` / 2 to `most`."""

    def __init__(self, most: int = 80, side: int = SIDE) -> None:
        self._most, self._side, self._step, self._seen = most, side, 1, 0
        self._pairs: list[tuple[Tensor, Tensor]] = []

    def add(self, source: Tensor, result: Tensor) -> None:
        """The next frames, uint8 [1, 3, H, W]."""
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
    """How near a result is to a set of pictures of the style, beside other ways to get there.

    rows: "source" (untouched), "reinhard", "mkl" and "histogram" (fitted to the content and style sets),
    "result". Each has color (sliced Wasserstein distance in CIELAB), texture (0 the same, 1 as far as the
    style's own pictures spread) and content (share of the source's drawing that is kept).
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
    """source, result: the same pictures before and after. content: what the transfers are fitted on.

    Raises InputError for a style of a single picture: it has no spread to measure by.
    """
    if len(style) < 2:
        raise InputError("the style: one picture tells no style. Give several; a few hundred are good.")
    content = content or source
    ways = {"source": source}
    ways |= {name: source.through(look) for name, look in transfers(content, style).items()}
    ways["result"] = result
    wanted = textures(style)
    rows = {
        name: {
            "colour": color_distance(pictures, style),
            "texture": texture_gap(textures(pictures), wanted),
            "content": mean_content_kept(pictures, source),
        }
        for name, pictures in ways.items()
    }
    return StyleReport(rows, len(source), len(content), len(style))


def transfers(content: Sequence[Tensor], style: Sequence[Tensor]) -> dict[str, Transfer]:
    """The plain transfers by name, fitted on two unpaired sets."""
    colors = sample_colors(content), sample_colors(style)
    return {name: fit(*colors) for name, fit in BASELINES.items()}


def mean_content_kept(results: Sequence[Tensor], source: Sequence[Tensor]) -> float:
    kept = [float(content_kept(a[None], b[None])) for a, b in zip(results, source, strict=True)]
    return sum(kept) / len(kept)


@dataclass(frozen=True)
class PicturesReport:
    """Means over restyled pictures; the words mean what they mean in ClipReport."""

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
    """Compare restyled pictures with their sources, one after the other.

    watch is given each pair as uint8 [1, 3, H, W]. Raises InputError when a pair does not belong together.
    """
    sums = torch.zeros(6, dtype=torch.float64)
    for before, after in pairs:
        a, b = read_picture(before)[None], read_picture(after)[None]
        if a.shape != b.shape:
            raise InputError(f"{after}: its size is not that of {before}. Compare whole results.")
        if watch is not None:
            watch(a, b)
        sums += pair_figures(a.to(torch.float32) / 255, b.to(torch.float32) / 255)
    source, result = pairs[0]
    if len(pairs) > 1:
        source, result = source.parent, result.parent
    return PicturesReport(source=source, result=result, pictures=len(pairs), **mean_figures(sums, len(pairs)))


def pair_figures(source: Tensor, result: Tensor, reference: Tensor | None = None) -> Tensor:
    """Of RGB [1, 3, H, W]: six numbers to be summed over frames for `mean_figures`."""
    figures = (
        *(detail(result), detail(source if reference is None else reference)),
        *(lab_error(result, source), content_kept(result, source)),
        *(result.mean(1).std(), source.mean(1).std()),
    )
    return torch.tensor([figure.item() for figure in figures], dtype=torch.float64)


def mean_figures(sums: Tensor, count: int) -> dict[str, float]:
    """detail_kept, strength, contrast_kept and content_kept from sums of `pair_figures`."""
    sharp, sharp_before, strength, kept, contrast, contrast_before = (sums / count).tolist()
    return {
        "detail_kept": sharp / max(sharp_before, 1e-9),
        "strength": strength,
        "contrast_kept": contrast / max(contrast_before, 1e-9),
        "content_kept": kept,
    }
