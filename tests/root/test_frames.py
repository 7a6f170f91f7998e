"""Batches check themselves, and can be cut and padded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo


def batch(count: int = 3, height: int = 5, width: int = 7, fmt: PlaneFormat | None = None) -> FrameBatch:
    fmt = fmt or PlaneFormat()
    sizes = [(height, width), fmt.chroma_size(height, width), fmt.chroma_size(height, width)]
    planes = tuple(
        torch.randint(0, 255, (count, *size), dtype=torch.int32).to(fmt.dtype)
        for size in sizes[: fmt.plane_count]
    )
    return FrameBatch(planes, tuple(range(count)), Fraction(1, 25), fmt)


def test_what_belongs_to_the_end_goes_with_the_last_frame():
    """A part that does not hold the last frame has neither its duration nor its border digest."""
    whole = replace(batch(), last_duration=40, border_digest="abc")
    assert (whole.part(1, 3).last_duration, whole.part(1, 3).border_digest) == (40, "abc")
    assert (whole.part(0, 2).last_duration, whole.part(0, 2).border_digest) == (0, "")
    ended = batch().with_end_of(whole)
    assert (ended.last_duration, ended.border_digest) == (40, "abc")


def test_odd_pictures_have_a_whole_chroma_sample_at_the_border():
    """Chroma planes of odd sizes are rounded up."""
    assert PlaneFormat().chroma_size(5, 7) == (3, 4)
    assert PlaneFormat(chroma_shift=(1, 0)).chroma_size(5, 7) == (5, 4)


@pytest.mark.parametrize(
    "fmt",
    [PlaneFormat(), PlaneFormat(10), PlaneFormat(8, (0, 0), "rgb", True), PlaneFormat(8, (0, 0), "gray")],
)
def test_a_batch_of_each_kind_is_accepted(fmt: PlaneFormat):
    """Gray, subsampled, full and RGB formats."""
    made = batch(fmt=fmt)
    assert (len(made), made.height, made.width) == (3, 5, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"planes": ()},
        {"pts": (1, 2)},
        {"time_base": Fraction(0)},
        {"format": PlaneFormat(10)},
        {"format": PlaneFormat(chroma_shift=(0, 0))},
        {"format": PlaneFormat(chroma_shift=(0, 0), matrix="gray")},
        {"alpha": torch.zeros(3, 5, 6, dtype=torch.uint8)},
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(change: dict):
    """Planes, times and format must fit each other."""
    with pytest.raises(ValueError, match=r"must|need"):
        replace(batch(), **change)


@pytest.mark.parametrize(
    "arguments",
    [
        {"bit_depth": 7},
        {"matrix": "bt470"},
        {"matrix": "rgb"},
        {"chroma_location": "right"},
        {"chroma_shift": (3, 0)},
    ],
)
def test_an_impossible_format_is_refused(arguments: dict):
    """Unknown matrices, depths and subsamplings are errors."""
    with pytest.raises(ValueError, match="must"):
        PlaneFormat(**arguments)


def test_padding_repeats_the_last_frame_and_part_takes_it_off_again():
    """Padded batches have the frames that they began with."""
    short = batch(3)
    padded = short.padded(8)
    assert len(padded) == 8
    assert all(torch.equal(plane[i], plane[2]) for plane in padded.planes for i in range(3, 8))
    back = padded.part(0, 3)
    assert back.pts == short.pts
    assert all(torch.equal(a, b) for a, b in zip(back.planes, short.planes, strict=True))
    assert short.padded(3) is short


def test_a_part_knows_its_place_in_the_clip():
    """The index and the times of its first frame are right."""
    part = replace(batch(3), index=40).part(1, 3)
    assert (part.index, part.pts) == (41, (1, 2))


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [
        (None, 0),
        ((65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), 0),
        ((0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30), 1),
        ((-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30), 2),
        ((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30), 3),
    ],
)
def test_quarter_turns_of_a_display_matrix(matrix: tuple[int, ...] | None, turns: int) -> None:
    """What FFmpeg calls a rotation by -90, 0, 90 or 180 degrees, counted counter-clockwise."""
    info = VideoInfo(
        width=4,
        height=2,
        average_fps=Fraction(25),
        time_base=Fraction(1, 25),
        duration_seconds=1.0,
        pixel_format="yuv420p",
        format=PlaneFormat(),
        rotation=matrix,
    )
    assert info.quarter_turns == turns


def test_a_batch_prints_its_shapes_and_not_its_samples():
    """A debugger or a failing test shows one short line."""
    text = repr(replace(batch(count=2), index=7))
    assert text.startswith(
        "FrameBatch(planes=[(2, 5, 7), (2, 3, 4), (2, 3, 4)], dtype=torch.uint8, device=cpu"
    )
    assert "index=7, pts=0..1, time_base=1/25" in text
    assert "tensor" not in text and "\n" not in text and len(text) < 300
