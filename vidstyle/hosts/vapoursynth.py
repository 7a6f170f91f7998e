"""restyle(): a style on a clip of VapourSynth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Look = Callable[[NDArray[Any]], NDArray[Any]]


def restyle(clip: Any, style: str | Look = "vlogger", *, device: str = "auto", **settings: Any) -> Any:
    """A clip of RGB24, RGB48 or RGBS, restyled; it keeps its format, length and properties.

    style: what `vidstyle.load_style` takes, or a function of pictures [H, W, 3]. settings: those of
    `Style.with_`, such as strength=0.5. Frames may be asked for in any order, so there is no smoothing over
    time. ValueError for another format: convert it first, as in core.resize.Bicubic(clip, format=vs.RGB24).
    """
    kind = np.dtype(f"{'f' if int(clip.format.sample_type) else 'u'}{clip.format.bytes_per_sample}")
    if clip.format.num_planes != 3 or clip.format.subsampling_w or not clip.format.name.startswith("RGB"):
        raise ValueError(f"clip must be RGB24, RGB48 or RGBS, not {clip.format.name}. Convert it first.")
    if clip.format.bits_per_sample != 8 * kind.itemsize or kind not in ("u1", "u2", "f4"):
        raise ValueError(f"clip must be RGB24, RGB48 or RGBS, not {clip.format.name}. Convert it first.")
    look = _look(style, device, settings) if isinstance(style, str) else style

    def paint(n: int, f: Any) -> Any:
        made = look(np.stack([np.asarray(f[plane]) for plane in range(3)], axis=-1))
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[:] = made[..., plane]
        return out

    return clip.std.ModifyFrame(clips=clip, selector=paint)


def _look(style: str, device: str, settings: dict[str, Any]) -> Look:
    from vidstyle.styles.load import load_style

    return load_style(style, device=device).with_(**settings)
