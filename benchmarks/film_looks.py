"""Film looks whose recipe is known: 3D LUTs of film stocks, some with what film does besides color.

The LUTs are those of the RawTherapee film simulation collection (CC BY-SA 4.0), from an .npz that holds
`names` and `luts` (uint8 [N, 17, 17, 17, 3], axes blue, green, red, values R, G, B of sRGB). They are not a
part of this project. `mono` needs none. Pictures are as in looks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from looks import Picture, _blur, _clip, _curve, _smooth

from vidstyle.imaging.lut import apply_tetrahedral

FILM = "hald/Film Simulation/Color/"


def plain(x: Picture, source: Picture) -> Picture:
    return x


def faded(x: Picture, source: Picture) -> Picture:
    """Instant film: lifted blacks, cream whites, soft light around highlights, darker corners."""
    height, width = x.shape[:2]
    side = min(height, width)
    glow = _blur(_smooth(x, 0.55, 1.0), side * 0.04)
    x = 1 - (1 - x) * (1 - 0.10 * glow)
    x = np.array([0.055, 0.05, 0.045], np.float32) + x * np.array([0.915, 0.910, 0.875], np.float32)
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((across + 0.5) / width * 2 - 1, (down + 0.5) / height * 2 - 1) / np.sqrt(2)
    return x * (1 - 0.20 * _smooth(radius, 0.45, 1.1)[..., None])


def printed(x: Picture, source: Picture) -> Picture:
    """Paper: a curve with a soft shoulder, cool shadows, warm lights, a white that is not quite white."""
    x = _curve(x, gamma=0.93, contrast=0.40)
    gray = x.mean(axis=2, keepdims=True)
    dark, light = 1 - _smooth(gray, 0.0, 0.55), _smooth(gray, 0.4, 1.0)
    x = x + dark * np.array([-0.022, 0.006, 0.022], np.float32) * 1.2
    x = x + light * np.array([0.026, 0.006, -0.040], np.float32)
    return np.array([0.028, 0.030, 0.034], np.float32) + x * np.array([0.935, 0.930, 0.915], np.float32)


def silver(x: Picture, source: Picture) -> Picture:
    """Silver left in the film: a shoulder, so that lights do not clip where the source's do not."""
    return np.where(x > 0.72, 0.72 + 0.26 * np.tanh((x - 0.72) / 0.26), x)


def gray(x: Picture, source: Picture) -> Picture:
    """Panchromatic film behind a yellow filter, on neutral paper with a trace of warmth."""
    y = (x @ np.array([0.36, 0.54, 0.10], np.float32))[..., None]
    y = 0.018 + 0.965 * _curve(y, gamma=0.90, contrast=0.45)
    return y * np.array([1.0, 0.992, 0.978], np.float32)


@dataclass(frozen=True)
class Film:
    """stocks: name in the collection -> its share. finish: what comes after, (picture, source) -> picture."""

    stocks: dict[str, float]
    finish: Callable[[Picture, Picture], Picture] = plain


FILMS = {
    "bleach": Film({"CreativePack-1/BleachBypass3": 1.0}, silver),
    "instant": Film({"Polaroid/Polaroid PX-680 Warm 2 -": 0.2, "Fuji/Fuji FP-100c 3": 0.8}, faded),
    "mono": Film({}, gray),
    "print": Film({"Fuji/Fuji Superia 100 2": 1.0}, printed),
    "slide": Film({"Fuji/Fuji Velvia 100 Generic": 0.5, "Fuji/Fuji Provia 100 Generic": 0.5}),
    "warm-negative": Film({"Kodak/Kodak Portra 400 UC 4 ++": 1.0}),
}


def film_look(name: str, luts: Path | None) -> Callable[[Picture, int], Picture]:
    """The look as the functions of looks.py are; luts: the .npz, which all but `mono` need."""
    film = FILMS[name]
    table = None
    if film.stocks:
        if luts is None:
            raise SystemExit(f"{name}: it needs LUTs of film stocks. Give their file with --luts.")
        with np.load(luts) as data:
            where = {str(known): number for number, known in enumerate(data["names"])}
            shares = [share * data["luts"][where[FILM + stock]] for stock, share in film.stocks.items()]
        table = torch.from_numpy(np.sum(shares, axis=0, dtype=np.float32) / 255).permute(3, 0, 1, 2)

    def look(rgb: Picture, seed: int = 0) -> Picture:
        x = rgb
        if table is not None:
            planes = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
            x = np.ascontiguousarray(apply_tetrahedral(planes, table)[0].permute(1, 2, 0).numpy())
        return _clip(film.finish(x, rgb))

    return look
