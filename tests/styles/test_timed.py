"""Styles that follow each other within a clip: each frame gets that of its time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.commands import Run
from tests.helpers.styles import KNOWING, blobs, clip_of, codes, tiny_style
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.yuv import from_rgb, luma_of
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.references import parse_reference
from vidstyle.styles.load import load_style
from vidstyle.styles.timed import TimedStyle, joined


def frames(count: int) -> FrameBatch:
    fmt = PlaneFormat()
    rgb = torch.stack([blobs(n) for n in range(count)])
    planes = from_rgb(rgb, fmt)
    pts = tuple(range(0, 10 * count, 10))
    return FrameBatch(planes, pts, Fraction(1, 100), fmt, index=3, last_duration=7)


def equal(one: FrameBatch, other: FrameBatch) -> bool:
    same = all(torch.equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))
    return same and replace(one, planes=other.planes) == other


def test_every_frame_gets_the_style_of_its_time(tmp_path: Path) -> None:
    """A change within a batch, at the frame whose time it is, in `restyle` and with batches in flight."""
    first, second = (load_style(tiny_style(tmp_path, f"s{seed}", seed)) for seed in (1, 2))
    timed = TimedStyle([(Fraction(3, 10), second), (Fraction(0), first)])
    batch = frames(6)
    wanted = joined([first.restyle(batch.part(0, 3)), second.restyle(batch.part(3, 6))])
    assert equal(timed.restyle(batch), wanted) and not equal(wanted, first.restyle(batch))
    with timed.at_work():
        flying = [timed.submit(batch.part(0, 4)), timed.submit(batch.part(4, 6))]
        assert equal(joined([f.result().styled for f in flying]), wanted)


def test_a_timed_style_is_a_style(tmp_path: Path) -> None:
    """Stills get the first one; options reach all; its hash knows the styles and the times."""
    first, second = (load_style(tiny_style(tmp_path, f"s{seed}", seed)) for seed in (1, 2))
    timed = TimedStyle([(Fraction(0), first), (Fraction(1, 4), second)])
    rgb = blobs(5)[None]
    assert torch.equal(timed(rgb), first(rgb))
    nothing, batch = timed.with_options(ApplyOptions(strength=0)), frames(4)
    assert nothing.changes_nothing and equal(nothing.restyle(batch), batch)
    later = TimedStyle([(Fraction(0), first), (Fraction(1, 2), second)])
    assert len({timed.content_hash, later.content_hash, first.content_hash}) == 3


def test_parts_of_a_batch_join_to_the_batch() -> None:
    """Also its alpha, and what it knows of its last frame."""
    batch = replace(frames(5), alpha=torch.arange(5 * 48 * 64).view(5, 48, 64).to(torch.uint8))
    again = joined([batch.part(0, 2), batch.part(2, 3), batch.part(3, 5)])
    assert batch.alpha is not None and again.alpha is not None and torch.equal(batch.alpha, again.alpha)
    assert equal(replace(again, alpha=None), replace(batch, alpha=None))


@pytest.mark.parametrize(
    ("text", "seconds", "path"),
    [
        ("still.jpg", None, "still.jpg"),
        ("00:12=still.jpg", Fraction(12), "still.jpg"),
        ("1:02:03.5=a=b.png", Fraction(7447, 2), "a=b.png"),
        ("of=mine.png", None, "of=mine.png"),
    ],
)
def test_a_reference_may_have_a_time(text: str, seconds: Fraction | None, path: str) -> None:
    """Minutes and seconds, with or without hours; names with = stay names."""
    assert parse_reference(text) == (seconds, Path(path))


def test_a_scene_gets_its_own_still(run: Run, tmp_path: Path) -> None:
    """The frames before its time are those without a reference, those from its time on are not."""
    style = tiny_style(tmp_path, **{**KNOWING, "working_size": 128})
    still = blobs(4, 96, 128)
    gray = luma_of(still[None]).expand(6, 3, 96, 128)
    source = clip_of(tmp_path / "in.mkv", codes(gray))
    picture = np.ascontiguousarray(codes(still[None])[0].permute(1, 2, 0).numpy()[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "still.png"), picture)
    made = {}
    for name, options in {
        "plain": (),
        "hinted": ("--reference", f"00:00.16={tmp_path / 'still.png'}"),
    }.items():
        target = tmp_path / f"{name}.mkv"
        code, _, err = run(
            *("apply", source, "-s", style, "-o", target, "--codec", "ffv1", "--smooth", "off"), *options
        )
        assert code == 0, err
        video = cv2.VideoCapture(str(target))
        made[name] = np.stack([video.read()[1] for _ in range(6)]).astype(int)
    apart = np.abs(made["plain"] - made["hinted"]).max(axis=(1, 2, 3))
    assert (apart[:4] == 0).all() and (apart[4:] > 10).all()
