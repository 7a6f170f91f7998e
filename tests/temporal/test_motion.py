"""Motion is searched one way; the way back, what is hidden and where scenes begin follow from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidstyle.temporal.motion import backward, onward, ways_between


def scenery(seed: int = 0, height: int = 72, width: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height // 8, width // 8), dtype=np.float32)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def even_flow(across: float, down: float, height: int = 72, width: int = 96) -> np.ndarray:
    return np.full((height, width, 2), (across, down), np.float32)


def test_the_way_back_leads_back() -> None:
    """A flow that turns and grows, then the one derived from it: back within a twentieth of a pixel."""
    down, across = np.mgrid[0:72, 0:96].astype(np.float32)
    flow = (0.06 * (across - 48) + 0.03 * (down - 36), -0.03 * (across - 48) + 2)
    back = backward(flow)
    x, y = across + back[0], down + back[1]
    again = [cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for part in flow]
    for there, here in zip(again, back, strict=True):
        assert np.abs(there + here)[12:-12, 12:-12].max() < 0.05


def test_a_known_move_is_trusted_both_ways() -> None:
    """Away from the borders every point is found, and brings the other frame's picture over."""
    first = scenery()
    second = np.roll(first, 3, axis=1)
    ways = ways_between(first, second, even_flow(3, 0))
    assert ways is not None
    for way, here, there in ((ways[0], first, second), (ways[1], second, first)):
        assert way.trust[8:-8, 8:-8].min() > 0.99
        np.testing.assert_allclose(way.sampled(there)[8:-8, 8:-8], here[8:-8, 8:-8], atol=1e-5)


def test_what_is_covered_is_not_trusted() -> None:
    """A square moves over still ground: the ground that it covers is not trusted, the rest is."""
    first, flow = scenery() * 0.5, even_flow(0, 0)
    second = first.copy()
    first[24:48, 24:48], second[24:48, 36:60] = 1.0, 1.0
    flow[24:48, 24:48, 0] = 12
    ways = ways_between(first, second, flow)
    assert ways is not None
    assert ways[0].trust[26:46, 50:59].max() < 0.1
    assert ways[1].trust[26:46, 25:34].max() < 0.1
    assert ways[0].trust[:16].min() > 0.99


def test_ways_are_chained() -> None:
    """Two steps of (2, 1) lead to the frame after the next, which is trusted as far as it looks alike."""
    frames = [np.roll(scenery(), (step, 2 * step), axis=(0, 1)) for step in range(3)]
    steps = [ways_between(frames[n], frames[n + 1], even_flow(2, 1)) for n in range(2)]
    assert steps[0] is not None and steps[1] is not None
    way = onward(steps[0][0], steps[1][0], frames[0], frames[2])
    assert way.across[20, 20] == pytest.approx(4) and way.down[20, 20] == pytest.approx(2)
    assert way.trust[8:-8, 8:-8].min() > 0.99
    assert onward(steps[0][0], steps[1][0], frames[0], scenery(5)).trust.mean() < 0.5


def test_a_new_scene_has_no_ways() -> None:
    """Pictures that have nothing in common, whatever flow is claimed between them."""
    noise = np.random.default_rng(3).normal(0, 6, (72, 96, 2)).astype(np.float32)
    assert ways_between(scenery(1), scenery(2), noise) is None


def test_equal_frames_are_brought_over_untouched() -> None:
    """Where nothing moves a picture is itself, and there are no places to sample it at."""
    frame = scenery()
    ways = ways_between(frame, frame, even_flow(0, 0))
    assert ways is not None
    assert ways[0].sampled(frame) is frame
    assert ways[1].places_at((144, 192)) is None


def test_a_way_holds_for_larger_frames() -> None:
    """A move of 3 pixels is one of 6 in a frame of twice the size."""
    first = scenery()
    ways = ways_between(first, np.roll(first, 3, axis=1), even_flow(3, 0))
    assert ways is not None
    places = ways[0].places_at((144, 192))
    assert places is not None
    assert places[0][70, 90] == pytest.approx(96) and places[1][70, 90] == pytest.approx(70)
