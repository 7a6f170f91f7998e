"""Optical flow (DIS, RAFT), warping, occlusion masks and the warping error of two frames.

A flow is float [N, 2, H, W], (dx, dy) in pixels of its own size; warp(x, flow)(p) = x(p + flow(p)). Flow is
estimated on the source, never on a styled frame.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.imaging.yuv import luminance_of

# (first, second), both [N, C, H, W] in [0, 1] with C 1 or 3 -> flow [N, 2, H, W] from first to second
Flow = Callable[[Tensor, Tensor], Tensor]

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
_LIGHT_STRIDE, _LIGHT_STEPS, _LIGHT_REFINEMENTS = 4, 12, 2  # of "medium": 3, 25 and 5
_SMALLEST = 24  # pixels: below this DIS has no pyramid to search


def dis_flow(preset: str | None = None) -> Flow:
    """A function that estimates flow by dense inverse search on luminance: milliseconds on a CPU, no weights.

    preset: "ultrafast", "fast" or "medium"; "light" is "medium" with fewer patches and steps, in half of its
    time; None chooses by the short side, so that a frame costs about the same at any size. Several threads
    may call the function. After Kroeger, Timofte, Dai and Van Gool, ECCV 2016 (OpenCV's implementation).
    """

    def estimate(first: Tensor, second: Tensor) -> Tensor:
        name = preset or preset_for(min(first.shape[-2:]))
        # The object keeps buffers, so each call has one of its own: threads must not share it.
        search = cv2.DISOpticalFlow.create(_PRESETS["medium" if name == "light" else name])
        if name == "light":
            search.setPatchStride(_LIGHT_STRIDE)
            search.setGradientDescentIterations(_LIGHT_STEPS)
            search.setVariationalRefinementIterations(_LIGHT_REFINEMENTS)
        pairs = zip(_luma_codes(first), _luma_codes(second), strict=True)
        flows = [_search_flow(search, a, b) for a, b in pairs]
        return torch.stack(flows).to(first.device)

    return estimate


def preset_for(short_side: int) -> str:
    """The best DIS preset that stays near 20 ms a frame on one CPU thread. short_side: pixels."""
    return "medium" if short_side <= 288 else "fast" if short_side <= 720 else "ultrafast"


def raft_flow(weights: Path, device: str | torch.device = "cpu") -> Flow:
    """A function that estimates flow with RAFT (small): more exact than DIS and far slower.

    weights: a local file as torchvision publishes it; nothing is downloaded. Raises InputError when it cannot
    be used. After Teed and Deng, ECCV 2020.
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
    """x sampled at p + flow(p), bilinear; beyond the frame the border is repeated.

    x: float [N, C, H, W], flow: [N, 2, H, W] in pixels. A frame in which nothing moves is returned unchanged,
    bit by bit.
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
    """The flow a -> c from the flows a -> b and b -> c, all [N, 2, H, W]."""
    return first + warp(second, first)


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow for another frame size (height, width): its vectors are scaled with the frame."""
    height, width = flow.shape[-2:]
    if (height, width) == tuple(size):
        return flow
    scale = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * scale


def occlusion_mask(flow: Tensor, back: Tensor) -> Tensor:
    """Where the first frame cannot be seen in the second: bool [N, 1, H, W], True is hidden.

    flow: first -> second, back: second -> first, both [N, 2, H, W] in pixels. A pixel is hidden where the two
    flows do not cancel, or at a motion boundary.
    Constants of Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018 (from Ruder et al., 2016).
    """
    returned = warp(back, flow)
    round_trip = (flow + returned).square().sum(1, keepdim=True)
    length, length_back = (v.square().sum(1, keepdim=True) for v in (flow, returned))
    hidden = round_trip > 0.01 * (length + length_back) + 0.5
    across = F.pad(flow[..., :, 1:] - flow[..., :, :-1], (0, 1)).square().sum(1, keepdim=True)
    down = F.pad(flow[..., 1:, :] - flow[..., :-1, :], (0, 0, 0, 1)).square().sum(1, keepdim=True)
    return hidden | (across + down > 0.01 * length + 0.002)


def photometric_confidence(first: Tensor, returned: Tensor, sharpness: float = 50.0) -> Tensor:
    """How well a warped frame matches the frame it was warped to: [N, 1, H, W], 1 for equal, towards 0.

    first, returned: [N, C, H, W] in [0, 1]. exp(-sharpness * mean squared difference over the channels).
    """
    return torch.exp(-sharpness * (first - returned).square().mean(1, keepdim=True))


def warping_error(result: Tensor, later_result: Tensor, flow: Tensor, hidden: Tensor) -> Tensor:
    """E_warp of pairs of frames: [N], the mean squared difference of warp(later) to first where visible.

    result, later_result: [N, 3, H, W] in [0, 1]. flow (first -> later) and hidden (from `occlusion_mask`) are
    those of the *source* clip. 0 where nothing is visible. The figure of a clip is the mean over its pairs,
    see `warping.clip_warping_errors`. As evaluate_WarpError of Lai et al., "Learning Blind Video Temporal
    Consistency", ECCV 2018.
    """
    seen = (~hidden).to(result.dtype).expand_as(result)
    count = seen.sum((1, 2, 3))
    squares = warped_squares(result, later_result, flow, seen)
    return squares / torch.where(count > 0, count, float(result[0].numel()))


def warped_squares(frame: Tensor, other: Tensor, flow: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of squared differences of warp(other, flow) to frame: [N].

    Frames [N, 3, H, W] in [0, 1]; flow: frame -> other; weight [N, 1 or 3, H, W], 1 visible, 0 hidden.
    """
    return ((warp(other, flow) - frame).square() * weight).sum((1, 2, 3))


def _luma_codes(frames: Tensor) -> np.ndarray:
    """Luminance as uint8 [N, H, W], on the CPU."""
    return (luminance_of(frames.float()) * 255).add_(0.5).clamp_(0, 255)[:, 0].to("cpu", torch.uint8).numpy()


def _search_flow(search: cv2.DISOpticalFlow, first: np.ndarray, second: np.ndarray) -> Tensor:
    """The flow [2, H, W] between two planes of uint8."""
    height, width = first.shape
    if np.array_equal(first, second):
        return torch.zeros(2, height, width)  # exactly still, which a search only nearly finds
    down, across = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
    if down or across:
        first, second = (np.pad(x, ((0, down), (0, across)), mode="edge") for x in (first, second))
    found = np.zeros((*first.shape, 2), np.float32)
    search.calc(np.ascontiguousarray(first), np.ascontiguousarray(second), found)
    return torch.from_numpy(found[:height, :width].transpose(2, 0, 1).copy())
