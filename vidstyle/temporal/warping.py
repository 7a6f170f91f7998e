"""E_warp, the warping error, of any number of results with the motion of one source.

The motion is estimated once, on the source, and every result is measured with it. After Lai et al., "Learning
Blind Video Temporal Consistency", ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from vidstyle.temporal.optical_flow import Flow, occlusion_mask, resize_flow, warping_error
from vidstyle.temporal.scenes import scene_change


@dataclass(frozen=True)
class Motion:
    """How the source moves between two frames [1, C, H, W] in [0, 1].

    flow: first -> later; back: later -> first; both [1, 2, H, W] in pixels. hidden: parts of the first frame
    that the later one does not show; hidden_back: the reverse; both bool [1, 1, H, W].
    """

    first: Tensor
    later: Tensor
    flow: Tensor
    back: Tensor
    hidden: Tensor
    hidden_back: Tensor

    @classmethod
    def between(cls, first: Tensor, later: Tensor, estimate: Flow) -> Motion:
        flow, back = estimate(first, later), estimate(later, first)
        return cls(first, later, flow, back, occlusion_mask(flow, back), occlusion_mask(back, flow))

    def is_cut(self) -> bool:
        """Whether a new scene begins with the later frame."""
        hidden = (self.hidden, self.hidden_back)
        return bool(scene_change(self.first, self.later, self.flow, self.back, hidden))

    def errors(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
        """E_warp of pairs of frames (first, later), RGB [1, 3, H, W] in [0, 1] of one size, in [0, 1]^2.

        The frames may be larger than those the motion was estimated on.
        """
        size = (pairs[0][0].shape[-2], pairs[0][0].shape[-1])
        flow, hidden = resize_flow(self.flow, size), self.hidden
        if hidden.shape[-2:] != size:
            hidden = F.interpolate(hidden.float(), size=size, mode="nearest") > 0
        return [float(warping_error(first, later, flow, hidden)[0]) for first, later in pairs]
