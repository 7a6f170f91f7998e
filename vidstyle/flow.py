"""Where things move between two frames, what gets hidden, and where a scene ends; the only optical flow here.

A flow is [N, 2, H, W], (dx, dy) in pixels of its own size; warp(x, flow)(p) = x(p + flow(p)). It is estimated
on the source, never on a styled frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError

# first, second [N, C, H, W] in [0, 1], C 1 or 3 -> flow [N, 2, H, W] from each first to its second frame
Flow = Callable[[Tensor, Tensor], Tensor]

# Sampling positions, [H, W, 2] whole pixels and [H, W] their fractions, as cv2.convertMaps packs them.
Places = tuple[np.ndarray, np.ndarray]

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
_LUMA = (0.2126, 0.7152, 0.0722)
# Share hidden plus mismatch. On real clips at most 0.4 from frame to frame, 1.0 skipping 8 frames, and at
# least 1.4 from scene to scene.
_CUT = 1.2
_SMALLEST = 24  # pixels: below this DIS has no pyramid to search


def dis_flow(preset: str | None = None) -> Flow:
    """Dense inverse search on luminance: no weights, milliseconds on a CPU.

    preset: "ultrafast", "fast" or "medium"; None chooses by the short side, so that a frame costs about the
    same at any size. After Kroeger, Timofte, Dai and Van Gool, ECCV 2016 (OpenCV's implementation).
    """

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        name = preset or preset_for(min(first.shape[-2:]))
        # A search of its own each time: the object keeps buffers, and one thread must not see another's.
        search = cv2.DISOpticalFlow.create(_PRESETS[name])
        flows = [_one(search, a, b) for a, b in zip(_codes(first), _codes(second), strict=True)]
        return torch.stack(flows).to(first.device)

    return estimate


def preset_for(short_side: int) -> str:
    """The best preset that stays near 20 ms a frame on one CPU thread."""
    return "medium" if short_side <= 288 else "fast" if short_side <= 720 else "ultrafast"


def raft_flow(weights: Path, device: str | torch.device = "cpu") -> Flow:
    """RAFT (small) with weights from a local file as torchvision names them; more exact, far slower.

    Nothing is downloaded. Raises InputError. After Teed and Deng, ECCV 2020.
    """
    try:
        from torchvision.models.optical_flow import raft_small  # optional: extra `train`
    except ImportError as error:
        raise InputError(
            f"{weights}: RAFT needs torchvision, which is not installed. Install it with the extra train."
        ) from error
    network = raft_small(weights=None)
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # torch raises a dozen kinds; all mean the same to the caller
        raise InputError(
            f"{weights}: cannot be read as weights of raft_small ({type(error).__name__}). "
            "Give the file that torchvision publishes for it."
        ) from error
    network = network.eval().to(device)

    @torch.inference_mode()
    def estimate(first: Tensor, second: Tensor) -> Tensor:
        height, width = first.shape[-2:]
        # The network divides by 8 and looks at a pyramid of 4 levels: 128 pixels at least.
        pad = (0, max(-width % 8, 128 - width), 0, max(-height % 8, 128 - height))
        a, b = (
            F.pad(x.to(device).expand(-1, 3, -1, -1) * 2 - 1, pad, mode="replicate") for x in (first, second)
        )
        return network(a, b)[-1][..., :height, :width].to(first.device)

    return estimate


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """x(p + flow(p)), bilinear, the border repeated beyond the frame; x [N, C, H, W], flow [N, 2, H, W].

    Where nothing moves in a whole frame it comes back bit by bit.
    """
    moving = flow.flatten(1).any(dim=1)
    if not moving.any():
        return x
    height, width = x.shape[-2:]
    across = torch.arange(width, device=x.device, dtype=flow.dtype)
    down = torch.arange(height, device=x.device, dtype=flow.dtype)[:, None]
    grid_x = (flow[:, 0] + across) * (2 / max(width - 1, 1)) - 1
    grid_y = (flow[:, 1] + down) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack((grid_x, grid_y), dim=-1).to(x.dtype)
    warped = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return warped if moving.all() else torch.where(moving.view(-1, 1, 1, 1), warped, x)


def chain(first: Tensor, second: Tensor) -> Tensor:
    """The flow a -> c from a -> b and b -> c."""
    return first + warp(second, first)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow for another frame size: its vectors grow with the frame."""
    height, width = flow.shape[-2:]
    if (height, width) == tuple(size):
        return flow
    scale = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * scale


def occlusion_mask(flow: Tensor, back: Tensor) -> Tensor:
    """What of the first frame is not to be found in the second: bool [N, 1, H, W], True is hidden.

    flow: first -> second, back: second -> first. True where the two do not cancel, or at a motion boundary.
    Constants of Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018 (from Ruder et al., 2016).
    """
    returned = warp(back, flow)
    mismatch = (flow + returned).square().sum(1, keepdim=True)
    length, length_back = (v.square().sum(1, keepdim=True) for v in (flow, returned))
    hidden = mismatch > 0.01 * (length + length_back) + 0.5
    across = F.pad(flow[..., :, 1:] - flow[..., :, :-1], (0, 1)).square().sum(1, keepdim=True)
    down = F.pad(flow[..., 1:, :] - flow[..., :-1, :], (0, 0, 0, 1)).square().sum(1, keepdim=True)
    return hidden | (across + down > 0.01 * length + 0.002)


def photometric_confidence(first: Tensor, returned: Tensor, sharpness: float = 50.0) -> Tensor:
    """How much a warped frame looks like the one it was warped to: [N, 1, H, W], 1 alike, 0 not at all."""
    return torch.exp(-sharpness * (first - returned).square().mean(1, keepdim=True))


def scene_change(
    first: Tensor,
    second: Tensor,
    flow: Tensor,
    back: Tensor,
    hidden: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Whether a new scene begins with each second frame: bool [N].

    hidden: `occlusion_mask` both ways, where it is known. A cut is where the flow explains nothing: most of
    the frame finds no counterpart either way, and what is found does not match, measured against the frame's
    own contrast.
    """
    there, here = hidden or (occlusion_mask(flow, back), occlusion_mask(back, flow))
    lost = torch.minimum(there.float().mean((1, 2, 3)), here.float().mean((1, 2, 3)))
    return lost + mismatch(first, second, flow, back) > _CUT


def mismatch(first: Tensor, second: Tensor, flow: Tensor, back: Tensor) -> Tensor:
    """What warping leaves of the difference of two frames, over their contrast: [N], 0 to 1 and more."""
    a, b = _luma(first), _luma(second)
    left = torch.minimum((warp(b, flow) - a).abs().mean((1, 2, 3)), (warp(a, back) - b).abs().mean((1, 2, 3)))
    contrast = torch.maximum(a.std((1, 2, 3)), b.std((1, 2, 3))).clamp(min=0.02)
    return left / contrast


def warping_error(result: Tensor, later_result: Tensor, flow: Tensor, hidden: Tensor) -> Tensor:
    """E_warp of pairs of frames [N]: mean squared difference of warp(later) to first where it can be seen.

    Frames [N, 3, H, W] in [0, 1]; flow (first -> later) and hidden (`occlusion_mask`) come from the *source*
    clip. Over a clip the figure is the mean over its pairs. Exactly as evaluate_WarpError of Lai et al., ECCV
    2018: where nothing is visible the error is 0.
    """
    seen = (~hidden).to(result.dtype).expand_as(result)
    squares = ((warp(later_result, flow) - result) * seen).square().sum((1, 2, 3))
    count = seen.sum((1, 2, 3))
    return squares / torch.where(count > 0, count, float(result[0].numel()))


def places(flow: Tensor, size: tuple[int, int]) -> Places | None:
    """Where a flow [1, 2, h, w] points to in planes of `size`, for `sample`; None if nothing moves."""
    if not flow.numpy().any():
        return None
    height, width = size
    across, down = (resized(part, size).numpy() for part in flow[0])
    across = across * np.float32(width / flow.shape[3]) + np.arange(width, dtype=np.float32)
    down = down * np.float32(height / flow.shape[2]) + np.arange(height, dtype=np.float32)[:, None]
    return cv2.convertMaps(across, down, cv2.CV_16SC2)


def sample(plane: Tensor, where: Places | None, cubic: bool = False) -> Tensor:
    """A plane [H, W], float32, at `places`, bilinearly or bicubically: to 1/32 of a pixel.

    Much faster on a CPU than `warp`; where nothing moves the plane comes back as it is.
    """
    if where is None:
        return plane
    kind = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.remap(plane.numpy(), *where, kind, borderMode=cv2.BORDER_REPLICATE))


def local_mean(x: Tensor, radius: int) -> Tensor:
    """Mean over a square of 2 * radius + 1 pixels around each, [H, W] float32, the border mirrored."""
    return torch.from_numpy(cv2.blur(x.numpy(), (2 * radius + 1, 2 * radius + 1)))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map [H, W], of float32, uint8 or uint16, at another size: averaged if smaller, else bilinear."""
    if tuple(x.shape) == tuple(size):
        return x
    smaller = size[0] <= x.shape[0] and size[1] <= x.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(x.numpy(), (size[1], size[0]), interpolation=kind))


@contextmanager
def on_one_core() -> Iterator[None]:
    """While the block runs OpenCV works on one core: for those who share out whole frames over threads.

    Its own threads wait actively for work, which costs a fifth of two cores while others need them.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def less(plane: Tensor, other: Tensor, share: float) -> Tensor:
    """plane - share * other, [H, W] of uint8 or uint16: float32."""
    return torch.from_numpy(cv2.addWeighted(plane.numpy(), 1, other.numpy(), -share, 0, dtype=cv2.CV_32F))


def changed(plane: Tensor, change: Tensor, low: int, high: int) -> Tensor:
    """plane + change, [H, W] of uint8 or uint16 and float32: rounded, from low to high, as the plane is."""
    depth = cv2.CV_8U if plane.dtype == torch.uint8 else cv2.CV_16U
    return torch.from_numpy(cv2.add(plane.numpy(), change.numpy(), dtype=depth).clip(low, high))


def _luma(rgb: Tensor) -> Tensor:
    if rgb.shape[1] == 1:
        return rgb
    return torch.einsum("nchw,c->nhw", rgb, rgb.new_tensor(_LUMA))[:, None]


def _codes(frames: Tensor) -> np.ndarray:
    """uint8 luminance [N, H, W]."""
    return (_luma(frames.float()) * 255).add_(0.5).clamp_(0, 255)[:, 0].to("cpu", torch.uint8).numpy()


def _one(search: cv2.DISOpticalFlow, first: np.ndarray, second: np.ndarray) -> Tensor:
    height, width = first.shape
    if np.array_equal(first, second):
        return torch.zeros(2, height, width)  # exactly still, which a search only nearly finds
    down, across = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
    if down or across:
        first, second = (np.pad(x, ((0, down), (0, across)), mode="edge") for x in (first, second))
    found = np.zeros((*first.shape, 2), np.float32)
    search.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), found)
    return torch.from_numpy(found[:height, :width].transpose(2, 0, 1).copy())
