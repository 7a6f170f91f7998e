"""A preview shows mattes, regions, strength over time and protected faces as `apply` paints them."""

from __future__ import annotations

import base64
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.analysis.test_preview import data_of, decoded
from tests.helpers.clips import TURNED_90, Clip, matte_of
from tests.helpers.commands import Run
from tests.helpers.faces import tile, walk, write_yuv
from tests.helpers.styles import tiny_style
from vidstyle.analysis.preview.build import preview
from vidstyle.errors import InputError
from vidstyle.media.image_file import read_picture, write_png
from vidstyle.options import ApplyOptions, PreviewOptions, Region
from vidstyle.pipeline.grab import grab_frame
from vidstyle.styles.load import load_style
from vidstyle.when import Keyframes
from vidstyle.where import Protect


def shown(source: Path, style: Path, folder: Path, where: ApplyOptions, **options: Any) -> dict[str, Any]:
    """The data of the page."""
    asked = PreviewOptions(where=where, device="cpu", overwrite=True, **options)
    return data_of(preview(source, [str(style)], folder, asked).page)


@pytest.mark.parametrize("kind", ["region", "matte over time", "faces"])
def test_stills_are_those_of_apply(kind: str, tmp_path: Path) -> None:
    """At full strength they equal the frame that `apply --at` gives, but for the loss of JPEG."""
    source, style = write_yuv(tmp_path / "in.mkv", walk(6)), tiny_style(tmp_path)
    mattes = torch.zeros(6, 192, 192, dtype=torch.uint8)
    mattes[:, 60:140, 40:150] = 255
    where = {
        "region": ApplyOptions(region=Region.from_text("10%,10%,60%,60%"), feather=10.0),
        "matte over time": ApplyOptions(
            mask=str(matte_of(tmp_path / "m.mkv", mattes, rate=25)),
            invert_mask=True,
            keyframes=Keyframes.from_text("0=0.4"),
        ),
        "faces": ApplyOptions(protect=Protect(faces=1.0, skin=0.5)),
    }[kind]
    data = shown(source, style, tmp_path, where, seconds=0, frames=1)
    seconds = data["stills"][0]["label"].partition(":")[2]
    grab_frame(source, load_style(style), tmp_path / "at.png", seconds, where)
    wanted = read_picture(tmp_path / "at.png").permute(1, 2, 0).numpy().astype(float)
    made = decoded(data["stills"][0]["styles"][0][-1]).astype(float)
    plain = decoded(
        shown(source, style, tmp_path, ApplyOptions(), seconds=0, frames=1)["stills"][0]["styles"][0][-1]
    ).astype(float)
    off, without = (cv2.blur(np.abs(picture - wanted), (9, 9)) for picture in (made, plain))
    assert off.mean() < 2.5 and off.mean() < 0.5 * without.mean()


def test_moving_pictures_follow_it_too(clip: Clip, tmp_path: Path) -> None:
    """Outside the region the video is the source's; the command asks for the same, and works."""
    source, style = clip("plain.mp4", rotation=TURNED_90, width=96, height=64), tiny_style(tmp_path)
    where = ApplyOptions(region=Region.from_text("0%,0%,100%,50%"))
    data = shown(source, style, tmp_path, where)
    before, after = (
        _frames_of(packed, tmp_path) for packed in (data["video"]["source"], data["video"]["styles"][0])
    )
    high = before.shape[1]
    away = np.abs(before.astype(float) - after).mean((0, 2, 3))
    assert away[high // 2 + 4 :].mean() < 0.3 * away[: high // 2 - 4].mean()
    words = shlex.split(" ".join(data["styles"][0]["command"]))
    assert words[words.index("--region") + 1] == "0%,0%,100%,50%"


def _frames_of(packed: str, folder: Path) -> np.ndarray[Any, Any]:
    path = folder / "page.mp4"
    path.write_bytes(base64.b64decode(packed))
    frames = []
    film = cv2.VideoCapture(str(path))
    while True:
        there, frame = film.read()
        if not there:
            return np.stack(frames)
        frames.append(frame)


def test_a_picture_follows_it(tmp_path: Path, run: Run) -> None:
    """Its face stays; the options are those of `apply`, and what does not fit is refused as there."""
    style = tiny_style(tmp_path)
    write_png(tmp_path / "in.png", tile(0).permute(1, 2, 0).contiguous().numpy())
    data = shown(tmp_path / "in.png", style, tmp_path, ApplyOptions(protect=Protect(faces=1.0)))
    before, after = (
        decoded(packed).astype(float)
        for packed in (data["stills"][0]["source"], data["stills"][0]["styles"][0][-1])
    )
    change = np.abs(after - before).mean(2)
    assert change[22:32, 97:107].mean() < 3 < change[100:].mean()
    code, _, err = run("preview", tmp_path / "in.png", "--keyframes", "0=1", "-o", tmp_path / "a.html")
    assert code == 3 and "for clips" in err
    code, _, err = run("preview", tmp_path / "in.png", "--protect", "eyes", "-o", tmp_path / "a.html")
    assert code == 2 and "faces or skin" in err


def test_a_matte_that_does_not_fit_is_refused(clip: Clip, tmp_path: Path) -> None:
    """Before anything is rendered, in the sentence of `apply`."""
    style = tiny_style(tmp_path)
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 30), np.uint8))
    with pytest.raises(InputError, match="30x20 and must be 64x48"):
        shown(clip("plain.mp4"), style, tmp_path, ApplyOptions(mask=str(tmp_path / "small.png")))


@pytest.mark.parametrize("keyframes", ["style", "per scene"])
def test_what_a_preview_cannot_show_is_refused(keyframes: str) -> None:
    """Keyframes of more than the strength, and keyframes by scene."""
    style = Keyframes.from_json('[{"time": 0, "style": "cinema"}]')
    strength = Keyframes.from_text("0=0,1=1")
    where = (
        ApplyOptions(keyframes=style)
        if keyframes == "style"
        else ApplyOptions(keyframes=strength, per_scene="reset")
    )
    with pytest.raises(ValueError, match="strength alone"):
        PreviewOptions(where=where)
