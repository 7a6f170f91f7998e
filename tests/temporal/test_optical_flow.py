"""Known motion gives the known flow; what hides is masked; a cut is found; E_warp is the published one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.temporal.optical_flow import (
    chain,
    dis_flow,
    occlusion_mask,
    photometric_confidence,
    raft_flow,
    resize_flow,
    warp,
    warping_error,
)
from vidstyle.temporal.scenes import scene_change


def scenery(seed: int = 0, height: int = 120, width: int = 160) -> Tensor:
    """Smooth colored noise of strong contrast."""
    noise = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, size=(height, width), mode="bicubic").clamp(0, 1)


def shifted(x: Tensor, dx: int, dy: int) -> Tensor:
    """The same picture with everything moved by (dx, dy) pixels."""
    return torch.roll(x, (dy, dx), dims=(2, 3))


def inner(x: Tensor, margin: int = 20) -> Tensor:
    return x[..., margin:-margin, margin:-margin]


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium", None])
def test_known_shift_gives_known_flow(preset: str | None) -> None:
    """A picture moved 5 to the right and 3 up has the flow (5, -3), also in a batch."""
    x = torch.cat((scenery(0), scenery(1)))
    flow = dis_flow(preset)(x, shifted(x, 5, -3))
    assert flow.shape == (2, 2, 120, 160)
    expected = torch.tensor([5.0, -3.0]).view(1, 2, 1, 1).expand_as(flow)
    assert inner((flow - expected).abs()).mean() < 0.15


def test_flow_does_not_depend_on_threads() -> None:
    """One thread or eight: the same flow, or segments would differ from machine to machine."""
    import cv2

    x = scenery()
    before = cv2.getNumThreads()
    try:
        flows = []
        for threads in (1, 8):
            cv2.setNumThreads(threads)
            flows.append(dis_flow("medium")(x, shifted(x, 4, 2)))
    finally:
        cv2.setNumThreads(before)
    assert torch.equal(*flows)


def test_a_still_clip_has_no_flow() -> None:
    """Exactly none; nothing is hidden, nothing has changed, and E_warp is exactly 0."""
    x = scenery()
    flow = dis_flow()(x, x)
    assert not flow.any()
    assert not occlusion_mask(flow, flow).any()
    assert not scene_change(x, x, flow, flow).any()
    assert warping_error(x, x, flow, occlusion_mask(flow, flow)).item() == 0


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (23, 30)])
def test_tiny_frames(size: tuple[int, int]) -> None:
    """Smaller than the search's pyramid: still a flow."""
    x = torch.rand(1, 3, *size)
    assert dis_flow()(x, 1 - x).shape == (1, 2, *size)


def test_warp_takes_from_where_the_flow_points() -> None:
    """warp(x, flow)(p) = x(p + flow(p)); half pixels are means; the border repeats."""
    x = torch.arange(12.0).view(1, 1, 3, 4)
    right = torch.zeros(1, 2, 3, 4)
    right[:, 0] = 1
    torch.testing.assert_close(warp(x, right)[0, 0, 0], torch.tensor([1.0, 2, 3, 3]))
    torch.testing.assert_close(warp(x, right / 2)[0, 0, 0, :3], torch.tensor([0.5, 1.5, 2.5]))
    down = right.flip(1)
    torch.testing.assert_close(warp(x, down)[0, 0, :, 0], torch.tensor([4.0, 8, 8]))
    assert torch.equal(warp(x, torch.zeros(1, 2, 3, 4)), x)


def test_chained_and_resized_flows() -> None:
    """Two steps add up; at twice the size vectors are twice as long."""
    first, second = torch.full((2, 1, 2, 30, 40), 2.0).unbind(0)
    torch.testing.assert_close(chain(first, second), torch.full((1, 2, 30, 40), 4.0))
    large = resize_flow(first, (60, 120))
    assert large.shape == (1, 2, 60, 120)
    torch.testing.assert_close(large[0, :, 0, 0], torch.tensor([6.0, 4.0]))


def test_what_gets_hidden_is_masked() -> None:
    """A block moves right over a still ground: what it will cover is masked, most of the rest is not."""
    ground = scenery(0)
    block = scenery(1)[..., :40, :40]
    first, second = ground.clone(), ground.clone()
    first[..., 40:80, 40:80] = block
    second[..., 40:80, 52:92] = block
    flow, back = dis_flow("medium")(first, second), dis_flow("medium")(second, first)
    hidden = occlusion_mask(flow, back)
    assert hidden[..., 48:72, 82:90].float().mean() > 0.7
    assert hidden[..., :25, :].float().mean() < 0.1
    assert hidden[..., 90:, :].float().mean() < 0.1


def test_the_mask_has_the_constants_of_the_paper() -> None:
    """|F + B|^2 over 0.01 (|F|^2 + |B|^2) + 0.5 is hidden, just under it is not; steps in the flow are."""
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 3.0
    limit = (0.01 * (9 + 9) + 0.5) ** 0.5  # about, for B = -F + limit
    assert not occlusion_mask(flow, -flow).any()
    back = -flow.clone()
    back[:, 1] = limit * 0.99
    assert not occlusion_mask(flow, back).any()
    back[:, 1] = limit * 1.01
    assert occlusion_mask(flow, back).all()
    stepped = flow.clone()
    stepped[..., 4:] += 0.5  # 0.25 > 0.01 * 9 + 0.002
    assert occlusion_mask(stepped, -stepped)[..., 3].all()


def test_confidence_falls_with_difference() -> None:
    """1 for the same, exp(-50 * 0.04) for a difference of 0.2."""
    x = torch.full((1, 3, 4, 4), 0.5)
    assert (photometric_confidence(x, x) == 1).all()
    torch.testing.assert_close(
        photometric_confidence(x, x + 0.2), torch.full((1, 1, 4, 4), 0.1353), atol=1e-3, rtol=0
    )


def test_cuts_are_found_and_motion_is_none() -> None:
    """Another scene is a cut; motion, a change of light and a still frame are not."""
    x = scenery(0)
    flow = dis_flow()

    def is_cut(a: Tensor, b: Tensor) -> bool:
        return bool(scene_change(a, b, flow(a, b), flow(b, a)).item())

    assert is_cut(x, scenery(1))
    assert is_cut(x, scenery(2))
    assert not is_cut(x, shifted(x, 6, 2))
    assert not is_cut(x, (x * 1.15).clamp(0, 1))
    assert not is_cut(x, x)


def test_warping_error_of_a_shifted_clip_is_near_zero() -> None:
    """What moves with the source is calm; the same clip with flicker is not."""
    x = scenery()
    later = shifted(x, 4, 0)
    flow, back = dis_flow("medium")(x, later), dis_flow("medium")(later, x)
    hidden = occlusion_mask(flow, back)
    calm = warping_error(x, later, flow, hidden).item()
    assert calm < 5e-4
    assert warping_error(x, later * 0.9, flow, hidden).item() > 4 * calm


def test_warping_error_counts_what_is_seen() -> None:
    """The sum over what is visible, over the visible samples of all three channels; 0 if nothing is."""
    a, b = torch.zeros(2, 3, 2, 4), torch.zeros(2, 3, 2, 4)
    b[0, :, 0] = 0.5
    b[1] = 1.0
    hidden = torch.zeros(2, 1, 2, 4, dtype=torch.bool)
    hidden[0, :, 1, :2] = True
    hidden[1] = True
    still = torch.zeros(2, 2, 2, 4)
    # first pair: 4 of 6 visible pixels differ by 0.5; second pair: nothing visible
    torch.testing.assert_close(warping_error(a, b, still, hidden), torch.tensor([0.25 * 4 / 6, 0.0]))


def test_raft_needs_its_weights(tmp_path: Path) -> None:
    """Without them, or with others, an error in words; nothing is downloaded."""
    pytest.importorskip("torchvision")
    with pytest.raises(InputError, match="cannot be read as weights"):
        raft_flow(tmp_path / "none.pth")
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, other)
    with pytest.raises(InputError, match="raft_small"):
        raft_flow(other)


def test_raft_runs_on_any_size(tmp_path: Path) -> None:
    """With (random) weights from a file, on a frame smaller than its pyramid and of odd size."""
    models = pytest.importorskip("torchvision.models.optical_flow")
    weights = tmp_path / "raft.pth"
    torch.save(models.raft_small(weights=None).state_dict(), weights)
    x = scenery(0, 72, 96)[..., :71, :91]
    flow = raft_flow(weights)(x, x)
    assert flow.shape == (1, 2, 71, 91)
    assert flow.isfinite().all()
