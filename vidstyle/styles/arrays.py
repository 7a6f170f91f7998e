"""Pictures as people have them (numpy, PIL, torch; integers or floats) to RGB tensors, and back in kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

_WHITE = {torch.uint8: 255, torch.uint16: 65535}
_KINDS = (
    "Give a torch tensor [N, 3, H, W] or [3, H, W], a numpy array [H, W, 3] or [N, H, W, 3], "
    "or a PIL picture, as uint8, uint16 or floats in 0..1."
)


def restyle_any(picture: Any, restyle: Callable[[Tensor], Tensor]) -> Any:
    """Put `restyle`, RGB [N, 3, H, W] in [0, 1] -> the same, on a picture of any kind.

    The result is of the kind of the picture: its type, shape, dtype. Of PIL, transparency is kept. A tensor
    stays on the device that restyle leaves it on. ValueError or TypeError, in a sentence, for what is no
    picture.
    """
    if isinstance(picture, Tensor):
        return _tensor(picture, restyle)
    if isinstance(picture, np.ndarray):
        return _array(picture, restyle)
    if hasattr(picture, "convert") and hasattr(picture, "getbands"):
        return _pil(picture, restyle)
    raise TypeError(f"picture: a {type(picture).__name__} is none. {_KINDS}")


def _tensor(picture: Tensor, restyle: Callable[[Tensor], Tensor]) -> Tensor:
    if picture.ndim not in (3, 4) or picture.shape[-3] != 3 or 0 in picture.shape:
        raise ValueError(f"RGB must be [N, 3, H, W], not {tuple(picture.shape)}. {_KINDS}")
    batch = picture if picture.ndim == 4 else picture[None]
    if picture.dtype in _WHITE:
        white = _WHITE[picture.dtype]
        styled = restyle(batch.to(torch.float32) / white).mul(white).add(0.5).clamp(0, white)
        styled = styled.to(torch.int32).to(picture.dtype)
    elif picture.is_floating_point():
        low, high = float(batch.min()), float(batch.max())
        if not (low >= -0.5 and high <= 1.5):  # a look or a filter may overshoot a little
            raise ValueError(f"RGB as floats must lie in 0..1, not in {low:g}..{high:g}. {_KINDS}")
        styled = restyle(batch.to(torch.float32)).to(picture.dtype)
    else:
        raise TypeError(f"RGB cannot be {picture.dtype}. {_KINDS}")
    return styled if picture.ndim == 4 else styled[0]


def _array(picture: np.ndarray[Any, Any], restyle: Callable[[Tensor], Tensor]) -> np.ndarray[Any, Any]:
    if picture.ndim not in (3, 4) or picture.shape[-1] != 3:
        raise ValueError(f"RGB as numpy must be [H, W, 3], not {picture.shape}. {_KINDS}")
    if picture.dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise TypeError(f"RGB cannot be {picture.dtype}. {_KINDS}")
    tensor = torch.from_numpy(np.array(picture, order="C"))  # a copy: it may be read-only or reversed
    styled = _tensor(tensor.movedim(-1, -3), restyle)
    return np.ascontiguousarray(styled.movedim(-3, -1).cpu().numpy())


def _pil(picture: Any, restyle: Callable[[Tensor], Tensor]) -> Any:
    from importlib import import_module

    image = import_module("PIL.Image")
    mode = picture.mode
    styled = image.fromarray(_array(np.asarray(picture.convert("RGB")), restyle))
    if "A" in picture.getbands():
        styled.putalpha(picture.getchannel("A"))
    return styled if mode in ("RGB", "RGBA", "P", "1", "L") else styled.convert(mode)
