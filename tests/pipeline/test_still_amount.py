"""Mattes, regions and protection of faces for stills: in place however they are held, exact outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from tests.helpers.commands import Run
from tests.helpers.faces import FACE, tile
from tests.media.test_image_file import exif, save
from vidstyle.errors import InputError
from vidstyle.media.image_file import read_picture, read_whole
from vidstyle.media.orientation import orientation_of
from vidstyle.options import ApplyOptions, Region
from vidstyle.pipeline.still import StillReport, restyle_still
from vidstyle.when import Keyframes
from vidstyle.where import Protect


def lighter(rgb: Tensor) -> Tensor:
    return rgb + 40 / 255


def flat(kind: type = np.uint8, channels: int = 3) -> NDArray[Any]:
    pixels = np.full((40, 60, channels), 90 * (257 if kind is np.uint16 else 1), kind)
    return pixels[..., 0] if channels == 1 else pixels


def restyled(source: Path, **options: Any) -> tuple[StillReport, NDArray[Any]]:
    """(report, pixels as they are stored) of 40 levels more light."""
    target = source.with_name(f"out{source.suffix}")
    report = restyle_still(source, lighter, target, ApplyOptions(overwrite=True, **options))
    return report, read_whole(target).pixels.astype(int)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_outside_a_matte_nothing_changes(tmp_path: Path, kind: type, channels: int):
    """Not by one level, whatever the kind; inside it is what it is without, and gray is in between."""
    source = save(tmp_path / "in.png", flat(kind, channels))
    matte = np.zeros((40, 60), np.uint8)
    matte[:, 20:40], matte[:, 40:] = 255, 128
    cv2.imwrite(str(tmp_path / "matte.png"), matte)
    _, whole = restyled(source)
    before = read_whole(source).pixels.astype(int)
    _, after = restyled(source, mask=str(tmp_path / "matte.png"))
    assert np.array_equal(after[:, :20], before[:, :20])
    assert np.array_equal(after[:, 20:40], whole[:, 20:40])
    most = np.abs(whole - before).max()
    half = (after[:, 40:] - before[:, 40:]).max() / most
    assert half == pytest.approx(0.5, abs=0.02)
    _, turned = restyled(source, mask=str(tmp_path / "matte.png"), invert_mask=True)
    assert np.array_equal(turned[:, 20:40], before[:, 20:40])
    assert np.array_equal(turned[:, :20], whole[:, :20])


def test_its_own_opacity_may_be_the_matte(tmp_path: Path):
    """Where nothing is to be seen nothing changes."""
    pixels = flat(channels=4)
    pixels[:, :30, 3], pixels[:, 30:, 3] = 0, 255
    _, after = restyled(save(tmp_path / "in.png", pixels), mask="alpha")
    assert int(after[:, :30, :3].max()) == 90 and int(after[:, 30:, :3].min()) == 130
    with pytest.raises(InputError, match="no alpha"):
        restyled(save(tmp_path / "opaque.png", flat()), mask="alpha")


@pytest.mark.parametrize("way", range(1, 9))
def test_a_region_is_where_it_is_seen(tmp_path: Path, way: int):
    """In the upper left of the picture as it is shown, in each of the eight ways to hold a camera."""
    source = save(tmp_path / "in.jpg", flat(), {cv2.IMAGE_METADATA_EXIF: exif(way)})
    assert (orientation_of(read_whole(source))[0] % 2 == 1) == (way >= 5)
    restyled(source, region=Region.from_text("0%,0%,30%,50%"))
    seen = read_picture(tmp_path / "out.jpg").float().mean(0)
    high, wide = seen.shape
    assert float(seen[: high // 2 - 4, : int(wide * 0.3) - 4].min()) > 120
    assert float(seen[high // 2 + 4 :].max()) < 100
    assert float(seen[:, int(wide * 0.3) + 4 :].max()) < 100


@pytest.mark.parametrize("way", [1, 3, 6, 8])
def test_a_face_keeps_its_look_however_it_is_held(tmp_path: Path, way: int):
    """It is found upright; the middle of it does not change, what is far from it changes as ever."""
    shown = tile(0).permute(1, 2, 0).numpy()[..., ::-1]
    stored = np.rot90(shown, {1: 0, 3: 2, 6: 1, 8: 3}[way])
    source = save(tmp_path / "in.png", np.ascontiguousarray(stored), {cv2.IMAGE_METADATA_EXIF: exif(way)})
    report, after = restyled(source, protect=Protect(faces=1.0))
    assert not report.warnings
    before = read_whole(source).pixels.astype(int)
    back = {1: 0, 3: 2, 6: 3, 8: 1}[way]
    change = np.rot90(after - before, back).max(axis=2)
    x, y = FACE
    assert int(change[y - 5 : y + 5, x - 5 : x + 5].max()) == 0
    assert float(np.median(change[100:])) == 40


def test_a_picture_without_a_face_is_styled_and_that_is_said(tmp_path: Path):
    """As without the option."""
    source = save(tmp_path / "in.png", flat())
    report, after = restyled(source, protect=Protect(faces=1.0))
    assert any("no face was found" in warning for warning in report.warnings)
    assert int(after.min()) == 130


def test_what_does_not_fit_is_refused(tmp_path: Path, run: Run):
    """Keyframes, a clip as the matte, another size, a region beyond the picture; in a dry run too."""
    source = save(tmp_path / "in.png", flat())
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 30), np.uint8))
    for options, what in (
        ({"keyframes": Keyframes.from_text("0=1")}, "for clips"),
        ({"mask": str(tmp_path / "matte.mp4")}, "must be one picture"),
        ({"mask": str(tmp_path / "small.png")}, "30x20 and must be 60x40"),
        ({"region": Region(0, 0, 70, 10)}, "reach beyond the picture, which is 60x40"),
    ):
        with pytest.raises(InputError, match=what):
            restyled(source, **options)
    code, _, err = run("apply", source, "-s", "vlogger", "--region", "0,0,70,10", "--dry-run")
    assert code == InputError.exit_code and "60x40" in err
    code, out, _ = run("apply", source, "-s", "vlogger", "--protect", "faces", "--dry-run")
    assert code == 0 and "less style on faces by 70 %" in out
