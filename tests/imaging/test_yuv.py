"""Color: planes to RGB and back. Law 4 without the codec."""

from __future__ import annotations

import itertools
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import Interpolation
from torch import Tensor

from vidstyle.frames import PlaneFormat
from vidstyle.imaging.yuv import from_rgb, to_rgb

MATRICES = ("bt601", "bt709", "bt2020")
SHIFTS = ((1, 1), (1, 0), (0, 0))
DEPTHS = (8, 10, 12, 16)
PATCHES = torch.tensor(
    [*itertools.product((0.0, 0.25, 0.5, 0.75, 1.0), repeat=3), (0.9, 0.62, 0.5), (0.02, 0.03, 0.01)]
)


def smooth_planes(fmt: PlaneFormat, height: int, width: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Planes of random low-contrast content well inside the gamut of RGB."""
    generator = torch.Generator().manual_seed(seed)
    step, count = 1 << (fmt.bit_depth - 8), 2
    low, high = (100, 156) if fmt.matrix not in ("rgb", "gray") else (30, 220)
    sizes = [(height, width)] + [fmt.chroma_size(height, width)] * (fmt.plane_count - 1)
    return tuple(
        torch.randint(low * step, high * step, (count, *size), generator=generator).to(fmt.dtype)
        for size in sizes
    )


@pytest.mark.parametrize("matrix", [*MATRICES, "rgb"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("depth", DEPTHS)
def test_every_color_patch_comes_back(matrix: str, full_range: bool, depth: int) -> None:
    """Law 4: as code values exactly, as RGB within what rounding three planes to half a level costs."""
    spans = (255, 255) if full_range else (219, 224)
    step = 1 << (depth - 8)
    # Half a level of luma plus half a level of the chroma that weighs most (blue, 1.8814 in BT.2020).
    tolerance = 0.5 * 255 / spans[0] + (0.5 * 255 / spans[1] * 1.8814 if matrix != "rgb" else 0)
    picture = PATCHES[:, :, None, None].expand(-1, 3, 4, 6)
    for shift in SHIFTS if matrix != "rgb" else ((0, 0),):
        for location in ("left", "center", "topleft"):
            fmt = PlaneFormat(depth, shift, matrix, full_range, location)
            planes = from_rgb(picture, fmt)
            again = to_rgb(planes, fmt)
            assert (again - picture).abs().max() * 255 <= tolerance / step + 1e-3
            # Colors beyond RGB, as rounding makes them of pure ones, are cut off: one level at most.
            for before, after in zip(planes, from_rgb(again, fmt), strict=True):
                assert (before.int() - after.int()).abs().max() <= 1


@pytest.mark.parametrize("shift", [(1, 1), (1, 0), (0, 1), (0, 0), (2, 0), (2, 2)])
@pytest.mark.parametrize("location", ["left", "center", "topleft"])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (1, 1), (2, 2), (3, 1), (1, 6), (5, 8)])
@pytest.mark.parametrize("full_range", [False, True])
def test_planes_pass_through_unchanged(
    shift: tuple[int, int], location: str, size: tuple[int, int], full_range: bool
) -> None:
    """Halving chroma undoes doubling it: noise in the planes survives, to the border, at any size."""
    exact = all(s < 2 for s in shift) or size == (8, 12)
    for matrix, depth in itertools.product(MATRICES, (8, 10)):
        fmt = PlaneFormat(depth, shift, matrix, full_range, location)
        planes = smooth_planes(fmt, *size)
        again = from_rgb(to_rgb(planes, fmt), fmt)
        for before, after in zip(planes, again, strict=True):
            assert after.shape == before.shape and after.dtype == before.dtype
            if exact:
                assert torch.equal(before.int(), after.int())


@pytest.mark.parametrize(
    ("matrix", "full_range", "depth", "rgb", "codes"),
    [
        ("bt709", False, 8, (1, 0, 0), (63, 102, 240)),
        ("bt709", False, 8, (0, 1, 0), (173, 42, 26)),
        ("bt709", False, 8, (0, 0, 1), (32, 240, 118)),
        ("bt601", False, 8, (1, 0, 0), (81, 90, 240)),
        ("bt601", False, 8, (0, 1, 0), (145, 54, 34)),
        ("bt601", False, 8, (0, 0, 1), (41, 240, 110)),
        ("bt601", True, 8, (1, 0, 0), (76, 85, 255)),
        ("bt709", True, 8, (0, 0, 1), (18, 255, 116)),
        ("bt2020", False, 10, (1, 0, 0), (294, 387, 960)),
        ("bt709", False, 8, (1, 1, 1), (235, 128, 128)),
        ("bt709", False, 10, (1, 1, 1), (940, 512, 512)),
        ("bt709", False, 10, (0, 0, 0), (64, 512, 512)),
        ("bt709", True, 10, (1, 1, 1), (1023, 512, 512)),
    ],
)
def test_known_codes(
    matrix: str, full_range: bool, depth: int, rgb: tuple[int, ...], codes: tuple[int, ...]
) -> None:
    """Primaries, black and white have the code values of the standards."""
    fmt = PlaneFormat(depth, (1, 1), matrix, full_range)
    picture = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    planes = from_rgb(picture, fmt)
    assert tuple(int(p[0, 0, 0]) for p in planes) == codes
    assert all(p.dtype == fmt.dtype and bool((p == p[0, 0, 0]).all()) for p in planes)
    assert (to_rgb(planes, fmt) - picture).abs().max() < 1.5 / 255


def test_planes_of_an_rgb_video_stand_in_the_order_green_blue_red() -> None:
    """gbrp, as FFmpeg calls it."""
    planes = tuple(torch.full((1, 2, 2), value, dtype=torch.uint8) for value in (10, 20, 30))
    rgb = to_rgb(planes, PlaneFormat(8, (0, 0), "rgb", True))
    assert (rgb[0, :, 0, 0] * 255).round().tolist() == [30, 10, 20]


def test_gray_video_stays_gray() -> None:
    """One plane in, three equal channels inside, one plane out."""
    for full_range, depth in itertools.product((False, True), (8, 10, 16)):
        fmt = PlaneFormat(depth, (0, 0), "gray", full_range)
        planes = smooth_planes(fmt, 5, 7)
        rgb = to_rgb(planes, fmt)
        assert rgb.shape == (2, 3, 5, 7) and rgb.is_contiguous()
        assert torch.equal(rgb[:, 0], rgb[:, 1]) and torch.equal(rgb[:, 0], rgb[:, 2])
        (again,) = from_rgb(rgb, fmt)
        assert torch.equal(again.int(), planes[0].int())


@pytest.mark.parametrize(
    ("location", "x", "y"), [("left", 0.0, 0.5), ("center", 0.5, 0.5), ("topleft", 0.0, 0.0)]
)
def test_chroma_lies_where_its_location_says(location: str, x: float, y: float) -> None:
    """A chroma plane that is a plane in space gives one in RGB, shifted by the siting and by nothing else."""
    fmt = PlaneFormat(16, (1, 1), "bt709", True, location)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    ramp = 32768 + 200 * (2 * columns[:8, :12] + x) + 300 * (2 * rows[:8, :12] + y)
    planes = (torch.full((1, 16, 24), 32768.0), torch.full((1, 8, 12), 32768.0), ramp[None])
    rgb = to_rgb(tuple(p.to(torch.uint16) for p in planes), fmt)
    wanted = 0.5 + (200 * columns + 300 * rows) / 65535 * 2 * (1 - 0.2126)
    assert (rgb[0, 0] - wanted)[1:-1, 1:-1].abs().max() < 3e-5
    luma, _, cr = from_rgb(rgb, fmt)
    assert (luma.int() - 32768).abs().max() <= 1
    assert (cr[0].float() - ramp).abs().max() <= 1


def test_out_of_range_is_held_and_not_wrapped_round() -> None:
    """Colors beyond white and black end at the last legal code."""
    picture = torch.tensor([2.0, -1.0, 2.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    for depth in (8, 10):
        step = 1 << (depth - 8)
        for full_range, low, high in ((False, step, 255 * step - 1), (True, 0, 256 * step - 1)):
            for rgb in (picture, 1 - picture, picture * 10, picture.new_full(picture.shape, 9.0)):
                for plane in from_rgb(rgb, PlaneFormat(depth, (1, 1), "bt709", full_range)):
                    assert low <= int(plane.int().min()) and int(plane.int().max()) <= high
    bright = from_rgb(torch.full((1, 3, 2, 2), 9.0), PlaneFormat())[0]
    assert int(bright[0, 0, 0]) == 254


def test_half_precision_is_exact_enough_for_eight_bits() -> None:
    """Half precision rounds at 1/2048 near white: it never costs more than a level."""
    fmt = PlaneFormat()
    planes = smooth_planes(fmt, 16, 16)
    rgb = to_rgb(planes, fmt, dtype=torch.float16)
    assert rgb.dtype is torch.float16
    again = from_rgb(rgb, fmt)
    assert all((a.int() - b.int()).abs().max() <= 1 for a, b in zip(planes, again, strict=True))


def test_batches_equal_single_frames_and_inputs_stay_untouched() -> None:
    """Law 7 for color; neither planes nor RGB are written to."""
    fmt = PlaneFormat(10, (1, 1), "bt2020")
    planes = smooth_planes(fmt, 6, 10)
    copies = [p.clone() for p in planes]
    rgb = to_rgb(planes, fmt)
    kept = rgb.clone()
    one = to_rgb(tuple(p[1:] for p in planes), fmt)
    assert torch.equal(rgb[1:], one)
    back = from_rgb(rgb, fmt)
    assert all(torch.equal(b[1:].int(), o.int()) for b, o in zip(back, from_rgb(one, fmt), strict=True))
    assert torch.equal(rgb, kept)
    assert all(torch.equal(p.int(), c.int()) for p, c in zip(planes, copies, strict=True))
    for matrix in ("rgb", "gray"):
        flat = PlaneFormat(8, (0, 0), matrix, True)
        rgb = torch.rand(1, 3, 4, 4)
        kept = rgb.clone()
        from_rgb(rgb, flat)
        assert torch.equal(rgb, kept)


def swscale_rgb(planes: tuple[Tensor, ...], fmt: PlaneFormat) -> np.ndarray:
    """The same picture through FFmpeg's scaler with its accurate path: [H, W, 3], 0 to 255."""
    height, width = planes[0].shape[-2:]
    name = {(1, 1): "yuv420p", (1, 0): "yuv422p", (0, 0): "yuv444p"}[fmt.chroma_shift]
    frame = av.VideoFrame(width, height, name + ("" if fmt.bit_depth == 8 else "10le"))
    for plane, source in zip(frame.planes, planes, strict=True):
        item = source.element_size()
        view = np.frombuffer(plane, dtype=np.uint8 if item == 1 else np.uint16)
        view = view.reshape(plane.height, plane.line_size // item)
        view[:, : plane.width] = source[0].numpy()
    flags = (
        Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.FULL_CHR_H_INP
    )
    names = {"bt601": "ITU601", "bt709": "ITU709"}
    again = frame.reformat(
        format="rgb24",
        interpolation=flags,
        src_colorspace=names[fmt.matrix],
        dst_colorspace=names[fmt.matrix],
        src_color_range="JPEG" if fmt.full_range else "MPEG",
        dst_color_range="JPEG",
    )
    return again.to_ndarray().astype(np.float64)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("shift", SHIFTS)
def test_agrees_with_ffmpeg(matrix: str, full_range: bool, depth: int, shift: tuple[int, int]) -> None:
    """FFmpeg's scaler, asked to be accurate, gives the same RGB within its rounding on a soft picture.

    It takes chroma for centerd whatever the stream says, and full range at 10 bits for a little wider.
    """
    fmt = PlaneFormat(depth, shift, matrix, full_range, "center")
    rows, columns = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 5, 64), indexing="ij")
    waves = [
        0.5 + 0.28 * torch.sin(rows * a + columns * b + c)
        for a, b, c in ((1, 0.6, 0), (0.4, 1, 1), (1, 1, 2))
    ]
    planes = from_rgb(torch.stack(waves)[None], fmt)
    ours = to_rgb(planes, fmt)[0].permute(1, 2, 0).numpy() * 255
    difference = (ours - swscale_rgb(planes, fmt))[2:-2, 2:-2]
    assert np.abs(difference).max() < (1.1 if shift == (0, 0) else 2.2)
    assert np.abs(difference.mean((0, 1))).max() < (0.5 if full_range and depth == 10 else 0.1)


@pytest.mark.cuda
def test_cuda_gives_the_same_planes() -> None:
    """The device changes no code value by more than one."""
    for matrix, depth in itertools.product(MATRICES, (8, 10)):
        fmt = PlaneFormat(depth, (1, 1), matrix)
        planes = smooth_planes(fmt, 18, 22)
        rgb = to_rgb(tuple(p.cuda() for p in planes), fmt)
        assert (rgb.cpu() - to_rgb(planes, fmt)).abs().max() < 1e-5
        for before, after in zip(planes, from_rgb(rgb, replace(fmt)), strict=True):
            assert (before.int() - after.cpu().int()).abs().max() <= 1
