"""Camera log and light of the scene to what a screen shows, and back, by OpenColorIO (extra `ocio`).

The curves and matrices are those of its configuration, by default one that is built into it; none is written
here. Its own processing takes seconds for a frame, so it is baked into a table, see `NODES`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.imaging.lut import Entry, Lut3D, apply_tetrahedral
from vidstyle.threads import usable_cores

# Pinned, so that another version of OpenColorIO does not bring another look. Its view is ACES 2.0.
BUILTIN = "ocio://studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
_DISPLAY, _VIEW = "Rec.1886 Rec.709 - Display", "ACES 2.0 - SDR 100 nits (Rec.709)"
# What people call them -> their names in the built-in configuration.
SPACES = {
    "slog3": "S-Log3 S-Gamut3.Cine",
    "logc3": "ARRI LogC3 (EI800)",
    "logc4": "ARRI LogC4",
    "vlog": "V-Log V-Gamut",
    "clog3": "CanonLog3 CinemaGamut D55",
    "acescct": "ACEScct",
    "aces": "ACES2065-1",
    "acescg": "ACEScg",
}
# A square, as FFmpeg's haldclut wants it. With 100, 99 % of natural colors are within 0.2 to 0.5 (CIEDE2000)
# of what OpenColorIO itself makes, by space (`benchmarks/scene_figures.py`). With 64 it is twice as much.
NODES = 100
_PACKING = "CURVE - ACEScct-LOG_to_LINEAR"
_CURVE_NODES = 65536
_Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Spaces:
    """Which color space frames come in, and which they are written in."""

    source: str
    """A name of SPACES, or of the configuration."""
    result: str | None = None
    """The same; None is what a screen shows (BT.709)."""
    config: str | None = None
    """Path or ocio:// address of a configuration; None is BUILTIN."""
    packed: bool = False
    """Whether frames hold light of the scene (EXR), packed by `pack`, and not code values of `source`."""

    def check(self) -> None:
        """InputError for a missing package, a configuration that cannot be read, or an unknown space."""
        config = _config(self.config)
        for name in (self.source, self.result):
            if name is not None:
                _named(config, name, self.config)

    def result_is_linear(self) -> bool:
        """Whether what is written is light of the scene."""
        return self.result is not None and _is_linear(_config(self.config), self.result, self.config)

    def facts(self) -> dict[str, str]:
        """What decides the result, as JSON values, for the key of a segment."""
        import PyOpenColorIO

        found = {"opencolorio": PyOpenColorIO.__version__, "to_display": self._processor(False).getCacheID()}
        if self.result is not None:
            found["from_display"] = self._processor(True).getCacheID()
        return found | {"nodes": str(NODES)}

    def in_words(self) -> str:
        """A sentence for the user."""
        config = _config(self.config)
        _, view = _screen(config, self.config)
        words = f"read as {_named(config, self.source, self.config)}, and seen as {view} shows it"
        if self.result is None:
            return words
        return f"{words}; written as {_named(config, self.result, self.config)}"

    def to_display(self, pixels: _Pixels) -> _Pixels:
        """Code values [..., 3] of `source` as a screen shows them, by OpenColorIO itself; a new array."""
        return _applied(self._processor(False), pixels)

    def from_display(self, pixels: _Pixels) -> _Pixels:
        """What a screen shows [..., 3] as code values of `result`, by OpenColorIO itself; a new array."""
        return _applied(self._processor(True), pixels)

    def _processor(self, back: bool) -> Any:
        """OpenColorIO's own from the packed frames or code values to the screen, or back."""
        import PyOpenColorIO

        config = _config(self.config)
        display, view = _screen(config, self.config)
        name = self.result if back else self.source
        assert name is not None
        steps = [
            PyOpenColorIO.DisplayViewTransform(
                src=_named(config, name, self.config),
                display=display,
                view=view,
                direction=PyOpenColorIO.TRANSFORM_DIR_INVERSE
                if back
                else PyOpenColorIO.TRANSFORM_DIR_FORWARD,
            )
        ]
        if self.result_is_linear() if back else self.packed:
            way = PyOpenColorIO.TRANSFORM_DIR_INVERSE if back else PyOpenColorIO.TRANSFORM_DIR_FORWARD
            curve = PyOpenColorIO.BuiltinTransform(style=_PACKING, direction=way)
            steps = [*steps, curve] if back else [curve, *steps]
        return config.getProcessor(PyOpenColorIO.GroupTransform(steps)).getDefaultCPUProcessor()

    @property
    def needs_shaper(self) -> bool:
        """Whether code values are light, of which a table needs its nodes near black."""
        return not self.packed and _is_linear(_config(self.config), self.source, self.config)


@lru_cache(maxsize=8)
def table_to_display(spaces: Spaces) -> tuple[Tensor, Tensor | None]:
    """(table [3, B, G, R], curve [C] before it or None): `Spaces.to_display`, baked."""
    if not spaces.needs_shaper:
        return _baked(spaces.to_display), None
    packed = Spaces(spaces.source, spaces.result, spaces.config, packed=True)
    light = np.linspace(0, 1, _CURVE_NODES, dtype=np.float32)
    curve = torch.from_numpy(pack(light).clip(0, 1))
    return _baked(packed.to_display), curve


@lru_cache(maxsize=8)
def table_from_display(spaces: Spaces) -> Tensor:
    """`Spaces.from_display`, baked: [3, B, G, R]."""
    return _baked(spaces.from_display)


def grading_of(table: Tensor, curve: Tensor | None, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A table as a function of RGB [N, 3, H, W] on a device."""
    entry = None
    if curve is not None:
        entry = Entry(torch.zeros(3), torch.ones(3), curve.expand(3, -1).contiguous().to(device))
    if device.type == "cpu":
        return Lut3D(table, entry)
    table = table.to(device)

    def graded(rgb: Tensor) -> Tensor:
        return apply_tetrahedral(rgb if entry is None else entry(rgb), table)

    return graded


def pack(light: _Pixels) -> _Pixels:
    """Light of the scene (0.18 is gray, no upper end) in [0, 1], by the curve of ACEScct; a new array."""
    return _applied(_packing(True), light)


def unpack(packed: _Pixels) -> _Pixels:
    """The inverse of `pack`."""
    return _applied(_packing(False), packed)


@lru_cache(maxsize=2)
def _packing(inverse: bool) -> Any:
    import PyOpenColorIO

    way = PyOpenColorIO.TRANSFORM_DIR_INVERSE if inverse else PyOpenColorIO.TRANSFORM_DIR_FORWARD
    curve = PyOpenColorIO.BuiltinTransform(style=_PACKING, direction=way)
    return _config(None).getProcessor(curve).getDefaultCPUProcessor()


def _applied(processor: Any, pixels: _Pixels) -> _Pixels:
    flat = np.array(pixels, np.float32, order="C").reshape(-1)
    padded = np.concatenate((flat, np.zeros(-len(flat) % 3, np.float32)))  # a curve takes any count
    processor.applyRGB(padded)
    return padded[: len(flat)].reshape(pixels.shape)


def _baked(function: Callable[[_Pixels], _Pixels]) -> Tensor:
    """A function of colors as a table [3, B, G, R] in [0, 1]."""
    axis = np.linspace(0, 1, NODES, dtype=np.float32)

    def slice_of(blue: np.float32) -> _Pixels:
        green, red = np.meshgrid(axis, axis, indexing="ij")
        return function(np.stack((red, green, np.full_like(red, blue)), axis=-1))

    with ThreadPoolExecutor(usable_cores(), "vidstyle-ocio") as pool:  # it works outside of Python's lock
        made = np.stack(list(pool.map(slice_of, axis)))
    with torch.inference_mode(False):
        return torch.from_numpy(np.nan_to_num(made).clip(0, 1)).permute(3, 0, 1, 2).contiguous()


@lru_cache(maxsize=8)
def _config(path: str | None) -> Any:
    if importlib.util.find_spec("PyOpenColorIO") is None:
        raise InputError("input-space: the package opencolorio is missing. Run pip install 'vidstyle[ocio]'.")
    import PyOpenColorIO

    if path is not None and not path.startswith("ocio://") and not os.path.isfile(path):
        raise InputError(f"{path}: there is no such file. Name a configuration of OpenColorIO.")
    try:
        return PyOpenColorIO.Config.CreateFromFile(path or BUILTIN)
    except PyOpenColorIO.Exception as error:
        why = str(error).splitlines()[0]
        raise InputError(f"{path or BUILTIN}: OpenColorIO cannot read it ({why}). Check the file.") from error


def _named(config: Any, name: str, path: str | None) -> str:
    """The configuration's own name of a space; InputError where it has none of this name."""
    space = config.getColorSpace(SPACES.get(name.lower(), name) if path is None else name)
    if space is None and name.lower() in SPACES:  # a configuration that knows the common names
        space = config.getColorSpace(SPACES[name.lower()])
    if space is None:
        known = ", ".join(SPACES) if path is None else ", ".join(config.getColorSpaceNames())
        raise InputError(f"{name}: there is no such color space in {path or 'OpenColorIO'}. Use {known}.")
    return str(space.getName())


def _is_linear(config: Any, name: str, path: str | None) -> bool:
    return str(config.getColorSpace(_named(config, name, path)).getEncoding()) == "scene-linear"


def _screen(config: Any, path: str | None) -> tuple[str, str]:
    """(display, view): BT.709 with BT.1886, or what a configuration of the user names as its default."""
    if path is None:
        return _DISPLAY, _VIEW
    display = config.getDefaultDisplay()
    return display, config.getDefaultView(display)
