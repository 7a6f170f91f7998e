"""Black bars come out as they went in, and the picture between them is styled to its edge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from tests.helpers.clips import Clip
from tests.helpers.styles import Brighter, clip_of, panned, tiny_style
from vidstyle.frames import PlaneFormat
from vidstyle.imaging.yuv import from_rgb
from vidstyle.media.black_edges import Bars
from vidstyle.media.decode import Decoder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.plan import plan
from vidstyle.pipeline.still import restyle_still
from vidstyle.styles.load import load_style

LOSSLESS = ApplyOptions(codec="ffv1", segment_frames=8, smooth=1.0)


def planes_of(path: Path) -> list[torch.Tensor]:
    with Decoder(path) as decoder:
        return [torch.cat(parts) for parts in zip(*(b.planes for b in decoder.batches(4)), strict=True)]


def letterboxed(path: Path, bars: Bars, frames: int = 12) -> Path:
    """A lossless clip of a scene behind bars, in 4:2:0."""
    scene = panned(0, frames, 1, 72, 96).clamp(min=40).clone()
    height, width = scene.shape[-2:]
    outside = torch.ones(height, width, dtype=torch.bool)
    outside[bars.top : height - bars.bottom, bars.left : width - bars.right] = False
    scene[:, :, outside] = 0
    return yuv_clip(path, scene)


def yuv_clip(path: Path, frames: torch.Tensor) -> Path:
    """Frames [N, 3, H, W] uint8 as a lossless clip in 4:2:0."""
    fmt = PlaneFormat()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        context = stream.codec_context
        context.height, context.width, context.pix_fmt = *frames.shape[2:], "yuv420p"
        context.colorspace, context.color_range = 1, 1
        for number, rgb in enumerate(frames):
            frame = VideoFrame(context.width, context.height, "yuv420p")
            planes = from_rgb(rgb[None].float() / 255, fmt)
            for target, plane in zip(frame.planes, planes, strict=True):
                rows = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, -1)
                rows[:, : target.width] = plane[0].numpy()
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("bars", [Bars(top=9, bottom=8), Bars(left=12, right=12), Bars(8, 7, 5, 6)])
def test_bars_stay_bit_for_bit(tmp_path: Path, bars: Bars):
    """Not one sample of a bar changes, smoothed or not; the picture is what its own clip would give."""
    source = letterboxed(tmp_path / "in.mkv", bars)
    style = load_style(tiny_style(tmp_path))
    apply(source, style, tmp_path / "out.mkv", LOSSLESS)
    before, after = planes_of(source), planes_of(tmp_path / "out.mkv")
    height, width = before[0].shape[1:]
    inside = (
        slice(None),
        slice(bars.top, height - bars.bottom),
        slice(bars.left, width - bars.right),
    )
    changed = (before[0] != after[0]).float()
    assert float(changed[inside].mean()) > 0.9
    for plane_before, plane_after in zip(before, after, strict=True):
        outside = torch.ones_like(plane_before, dtype=torch.bool)
        scale = plane_before.shape[-1] / width
        step = round(1 / scale)
        outside[
            :,
            -(-bars.top // step) : (height - bars.bottom) // step,
            -(-bars.left // step) : (width - bars.right) // step,
        ] = False
        assert torch.equal(plane_before[outside], plane_after[outside])


def test_the_look_sees_the_picture_alone(tmp_path: Path):
    """A letterboxed clip gets the look that the same clip without bars gets."""
    scene = panned(0, 6, 1, 72, 96).clamp(min=40)
    alone = clip_of(tmp_path / "alone.mkv", scene[:, :, 8:-8].contiguous())
    scene[:, :, :8] = scene[:, :, -8:] = 0
    source = clip_of(tmp_path / "in.mkv", scene)
    style = load_style(tiny_style(tmp_path))
    for path in (source, alone):
        apply(path, style, path.with_suffix(".out.mkv"), LOSSLESS)
    framed, whole = (planes_of(path.with_suffix(".out.mkv"))[0].int() for path in (source, alone))
    assert torch.equal(framed[:, 8:-8], whole)


def test_a_tone_mapped_bar_is_black(tmp_path: Path, clip: Clip):
    """Bars of HDR become SDR's black with the rest of the frame, and nothing is put on them."""
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 96, 72, "yuv420p10le"
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 9, 9, 16, 1
        for number in range(6):
            frame = VideoFrame(96, 72, "yuv420p10le")
            for plane, (outer, inner) in zip(
                frame.planes, ((64, 400 + number), (512, 500), (512, 530)), strict=True
            ):
                rows = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)
                edge = 8 * plane.height // 72
                rows[:] = outer
                rows[edge : plane.height - edge] = inner
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    made = plan(path, Brighter(), tmp_path / "out.mkv", LOSSLESS)
    assert made.bars == Bars(top=8, bottom=8)
    apply(path, Brighter(), tmp_path / "out.mkv", replace(LOSSLESS, smooth=0.0))
    luma = planes_of(tmp_path / "out.mkv")[0].int()
    black = int(luma[:, 0, 0][0])
    assert black in (16, 64)
    assert bool((luma[:, :8] == black).all())
    assert bool((luma[:, -8:] == black).all())
    assert bool((luma[:, 8:-8] > black + 20).all())


def test_a_plan_tells_the_bars_and_its_key_depends_on_them(tmp_path: Path):
    """A clip with bars has them in its plan; a clip without has the key that it always had."""
    with_bars = plan(
        letterboxed(tmp_path / "a.mkv", Bars(top=8, bottom=8)), Brighter(), tmp_path / "o.mkv", LOSSLESS
    )
    without = plan(letterboxed(tmp_path / "b.mkv", Bars()), Brighter(), tmp_path / "o.mkv", LOSSLESS)
    assert with_bars.facts["bars"] == {"top": 8, "bottom": 8, "left": 0, "right": 0}
    assert "bars" not in without.facts


def test_bars_of_a_still_stay_black(tmp_path: Path):
    """A still in a letterbox keeps its bars."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:-10] = np.random.default_rng(0).integers(40, 200, (40, 80, 3))
    cv2.imwrite(str(tmp_path / "in.png"), pixels)
    restyle_still(tmp_path / "in.png", lambda rgb: rgb * 0 + 0.9, tmp_path / "out.png")
    found = cv2.imread(str(tmp_path / "out.png"))
    assert not found[:10].any()
    assert not found[-10:].any()
    assert bool((found[10:-10] == 230).all())
