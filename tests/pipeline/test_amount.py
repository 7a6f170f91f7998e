"""Mattes, regions and strength over time: what gets none of the style keeps every sample."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.helpers.clips import TURNED_90, Clip, matte_of, planes_of
from tests.helpers.commands import Run
from tests.helpers.styles import clip_of, panned, tiny_style
from vidstyle.errors import InputError
from vidstyle.media.decode import Decoder
from vidstyle.options import ApplyOptions, Region
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.plan import plan
from vidstyle.styles.load import load_style
from vidstyle.when import Keyframes, seconds_of

FFV1 = ApplyOptions(codec="ffv1", segment_frames=8, smooth=1.0)


def restyled(source: Path, folder: Path, **changes: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """(planes of the source, planes of the result)."""
    folder.mkdir(exist_ok=True)
    apply(
        source, load_style(tiny_style(folder)), folder / "out.mkv", replace(FFV1, overwrite=True, **changes)
    )
    return planes_of(source), planes_of(folder / "out.mkv")


@pytest.mark.parametrize("name", ["plain.mp4", "chroma_444.mp4", "ten_bit.mp4", "odd.mkv"])
def test_outside_a_moving_matte_not_one_sample_changes(clip: Clip, tmp_path: Path, name: str):
    """Neither luma nor chroma, smoothed or not; inside, the picture is what it is without a matte."""
    source = clip(name)
    height, width = planes_of(source)[0].shape[1:]
    mattes = torch.zeros(30, height, width, dtype=torch.uint8)
    for number in range(30):
        mattes[number, 10:30, number : number + 20] = 255
    matte = matte_of(tmp_path / "matte.mkv", mattes)
    before, after = restyled(source, tmp_path / "masked", mask=str(matte))
    _, whole = restyled(source, tmp_path / "whole")
    inside = mattes > 0
    assert torch.equal(before[0][~inside], after[0][~inside])
    assert torch.equal(whole[0][inside], after[0][inside])
    assert not torch.equal(before[0][inside], after[0][inside])
    high, wide = before[1].shape[1:]
    down, across = -(-height // high), -(-width // wide)
    for plane in (1, 2):
        for y, x in ((0, 0), (high - 1, wide - 1), (10 // down - 1, 5), (-(-30 // down), 5)):
            assert torch.equal(before[plane][:, y, x], after[plane][:, y, x])
        touched = torch.nn.functional.max_pool2d(inside[:, None].float(), (down, across), ceil_mode=True)[
            :, 0
        ]
        assert torch.equal(before[plane][touched == 0], after[plane][touched == 0])


def test_an_inverted_matte_swaps_the_sides(clip: Clip, tmp_path: Path):
    """What was restyled stays, and what stayed is restyled."""
    picture = np.zeros((48, 64), np.uint8)
    picture[:, :32] = 255
    cv2.imwrite(str(tmp_path / "matte.png"), picture)
    before, after = restyled(
        clip("plain.mp4"), tmp_path / "a", mask=str(tmp_path / "matte.png"), invert_mask=True
    )
    assert torch.equal(before[0][:, :, :32], after[0][:, :, :32])
    assert float((before[0] != after[0])[:, :, 32:].float().mean()) > 0.8


def test_a_gray_matte_is_in_between(clip: Clip, tmp_path: Path):
    """Half white is half way."""
    cv2.imwrite(str(tmp_path / "matte.png"), np.full((48, 64), 128, np.uint8))
    before, after = restyled(clip("plain.mp4"), tmp_path / "a", mask=str(tmp_path / "matte.png"))
    _, whole = restyled(clip("plain.mp4"), tmp_path / "b")
    wanted = before[0] + (whole[0] - before[0]) * (128 / 255)
    assert float((after[0] - wanted).abs().max()) < 1.1


def test_a_region_of_a_turned_clip_is_the_one_that_is_seen(clip: Clip, tmp_path: Path):
    """The left half of the picture as it is shown, whatever way it is stored."""
    source = clip("plain.mp4", rotation=TURNED_90)
    before, after = restyled(source, tmp_path / "a", region=Region.from_text("0%,0%,50%,100%"))
    with Decoder(source) as decoder:
        turns = decoder.info.quarter_turns
    changed = torch.rot90((before[0] != after[0]).float(), turns, (1, 2)).mean(dim=(0, 1))
    assert float(changed[: len(changed) // 2].mean()) > 0.8
    assert float(changed[len(changed) // 2 :].max()) == 0


def test_a_feathered_region_has_no_step(clip: Clip, tmp_path: Path):
    """From the edge inwards the change grows; the soft edge lies inside the region."""
    region = Region.from_text("16,12,40,30")
    before, after = restyled(clip("plain.mp4"), tmp_path / "a", region=region, feather=8.0)
    _, whole = restyled(clip("plain.mp4"), tmp_path / "b")
    share = (after[0] - before[0]).abs().float().mean(0) / (whole[0] - before[0]).abs().float().mean(0).clamp(
        1
    )
    assert float(share[:12].max()) == 0
    row = share[26, 16:26]
    assert float(row[0]) < 0.2 < float(row[4]) < 0.9
    assert float(share[22:30, 26:46].min()) > 0.9


def test_strength_follows_the_keyframes(clip: Clip, tmp_path: Path):
    """Nothing before the ramp, all of it behind it, and no frame takes more than its share of the way."""
    keyframes = Keyframes.from_text("0.2=0,0.8=1")
    before, after = restyled(clip("plain.mp4"), tmp_path / "a", keyframes=keyframes, smooth=0.0)
    _, whole = restyled(clip("plain.mp4"), tmp_path / "b", smooth=0.0)
    assert torch.equal(before[0][:7], after[0][:7])
    assert torch.equal(whole[0][24:], after[0][24:])
    share = (after[0] - before[0]).float().flatten(1).norm(dim=1) / (whole[0] - before[0]).float().flatten(
        1
    ).norm(dim=1)
    steps = share.diff()
    assert float(steps.min()) > -0.02
    assert float(steps.max()) < 2 / 18


def test_pieces_and_workers_give_the_same_bytes(clip: Clip, tmp_path: Path):
    """A matte and keyframes in one segment, in four, and resumed behind the first."""
    mattes = torch.zeros(30, 48, 64, dtype=torch.uint8)
    mattes[:, :, 20:50] = torch.arange(30)[:, None, None] * 8
    changes = {
        "mask": str(matte_of(tmp_path / "m.mkv", mattes)),
        "keyframes": Keyframes.from_text("smooth:0=1,1=0"),
    }
    _, one = restyled(clip("plain.mp4"), tmp_path / "a", segment_frames=240, **changes)
    _, four = restyled(clip("plain.mp4"), tmp_path / "b", **changes)
    assert all(torch.equal(a, b) for a, b in zip(one, four, strict=True))


def test_bars_and_a_matte_go_together(tmp_path: Path):
    """The matte lies on the whole frame; the bars stay where it is white, too."""
    scene = panned(0, 10, 1, 72, 96).clamp(min=40)
    scene[:, :, :8] = scene[:, :, -8:] = 0
    source = clip_of(tmp_path / "in.mkv", scene)
    mattes = torch.zeros(10, 72, 96, dtype=torch.uint8)
    mattes[:, :, 48:] = 255
    before, after = restyled(source, tmp_path / "a", mask=str(matte_of(tmp_path / "m.mkv", mattes, rate=25)))
    scale = 257 if after[0].max() > 255 else 1
    for plane_before, plane_after in zip(before, after, strict=True):
        assert torch.equal(plane_before[:, :, :48] * scale // 1, plane_after[:, :, :48]) or scale != 1
        assert int(plane_after[:, :8].max()) == 0
    assert int((after[0][:, 8:-8, 48:] - before[0][:, 8:-8, 48:] * scale).abs().max()) > 0


def test_a_matte_that_does_not_fit_is_refused(clip: Clip, tmp_path: Path):
    """Of another size, of another rate, missing; a shorter one is held, and that is said."""
    style = load_style(tiny_style(tmp_path))
    small = matte_of(tmp_path / "small.mkv", torch.zeros(30, 24, 32, dtype=torch.uint8))
    slow = matte_of(tmp_path / "slow.mkv", torch.zeros(30, 48, 64, dtype=torch.uint8), rate=12)
    short = matte_of(tmp_path / "short.mkv", torch.zeros(10, 48, 64, dtype=torch.uint8))
    for path, what in (
        (small, "32x24 and must be 64x48"),
        (slow, "12.000 frames"),
        (tmp_path / "no.mkv", "no.mkv"),
    ):
        with pytest.raises(InputError, match=what):
            plan(clip("plain.mp4"), style, tmp_path / "o.mkv", replace(FFV1, mask=str(path)))
    with pytest.raises(InputError, match="no alpha"):
        plan(clip("plain.mp4"), style, tmp_path / "o.mkv", replace(FFV1, mask="alpha"))
    with pytest.raises(InputError, match="reach beyond the picture, which is 64x48"):
        plan(clip("plain.mp4"), style, tmp_path / "o.mkv", replace(FFV1, region=Region(0, 0, 65, 10)))
    before, after = restyled(clip("plain.mp4"), tmp_path / "a", mask=str(short))
    assert torch.equal(before[0], after[0])


def test_the_content_of_a_matte_is_part_of_the_key(clip: Clip, tmp_path: Path):
    """Another matte under the same name is other work."""
    style = load_style(tiny_style(tmp_path))

    def key(level: int) -> str:
        path = matte_of(tmp_path / "m.mkv", torch.full((30, 48, 64), level, dtype=torch.uint8))
        return plan(clip("plain.mp4"), style, tmp_path / "o.mkv", replace(FFV1, mask=str(path))).key

    assert key(0) != key(255)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "times with strengths"),
        ("1=0,0=1", "in order of time"),
        ("0=0,0=1", "in order of time"),
        ("0=2", "from 0 to 1"),
        ("a=1", "times with strengths"),
        ("0=nan", "from 0 to 1"),
        ("-1=0", "times with strengths"),
    ],
)
def test_bad_keyframes_are_a_sentence(text: str, what: str):
    """Each says what is wrong."""
    with pytest.raises(ValueError, match=what):
        Keyframes.from_text(text)


@pytest.mark.parametrize(
    "text", ["1,2,3", "a,b,c,d", "0,0,0,10", "-1,0,5,5", "60%,0%,50%,50%", "10%,10%,5,5"]
)
def test_a_bad_region_is_a_sentence(text: str):
    """Too few numbers, words, nothing in it, outside, units mixed."""
    with pytest.raises(ValueError, match="region must"):
        Region.from_text(text)


def test_texts_come_back():
    """What is stored in a plan reads as it was written."""
    for region in ("10,20,30,40", "10%,12.5%,50%,25%"):
        assert str(Region.from_text(region)) == region
    for keyframes in ("0=0,2.5=1", "smooth:0=1,64=0.5"):
        assert str(Keyframes.from_text(keyframes)) == keyframes
    assert seconds_of("1:02:03.5") == 3723.5


def test_keyframes_come_from_files(clip: Clip, tmp_path: Path, run: Run):
    """JSON and CSV, typed and in a plan; what is wrong in a file names the file."""
    (tmp_path / "k.json").write_text(
        json.dumps({"interpolation": "smooth", "keyframes": [{"time": "0:00", "strength": "50%"}]})
    )
    (tmp_path / "k.csv").write_text("time,strength\n0,0\n1,1\n")
    (tmp_path / "bad.csv").write_text("when,much\n0,0\n")
    for name, text in (("k.json", "smooth:0=0.5"), ("k.csv", "0=0,1=1")):
        code, out, _ = run(
            "apply", clip("plain.mp4"), "-s", "vlogger", "--keyframes", tmp_path / name, "--dry-run", "--json"
        )
        assert code == 0
        assert json.loads(out)["results"][0]["facts"]["options"]["keyframes"] == text
    for name, code in (("bad.csv", 2), ("none.csv", InputError.exit_code)):
        found, _, err = run("apply", clip("plain.mp4"), "-s", "vlogger", "--keyframes", tmp_path / name)
        assert found == code
        assert name in err
