"""Numbered pictures as results and as sources: every frame, its time, its color, and no gap unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.helpers.clips import SPECS, TURNED_90, ClipSpec, frame_times, left_over, luma, make_clip
from tests.helpers.styles import Brighter, Identity
from vidstyle.errors import InputError, OutputError
from vidstyle.imaging.yuv import to_rgb
from vidstyle.media.decode import Decoder
from vidstyle.media.image_sequence import file_of, is_sequence, parse_rate, pattern_of, sidecar_of
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.plan import plan

PNG = ApplyOptions(codec="png", segment_frames=4, batch_size=2)
EXR = replace(PNG, codec="exr")


def rgb_of(source: Path, fps: Fraction | None = None) -> np.ndarray:
    """All frames as signal in [0, 1], [N, 3, H, W]."""
    with Decoder(source, fps=fps) as decoder:
        return np.concatenate([to_rgb(batch.planes, batch.format).numpy() for batch in decoder.batches(8)])


def half_floats(frame: av.VideoFrame) -> np.ndarray:
    """The green plane of a picture from EXR."""
    assert frame.format.name == "gbrpf16le"
    return np.frombuffer(memoryview(frame.planes[0]), np.float16).reshape(frame.height, -1).astype(float)


def pictures(folder: Path, suffix: str = ".png") -> list[np.ndarray]:
    """RGB of all files in a folder in order of their names, as another library reads them."""
    return [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1] for path in sorted(folder.glob(f"*{suffix}"))
    ]


def test_png_is_every_frame_within_rounding(tmp_path: Path, clip: Callable[..., Path]):
    """Every frame has its number, no frame more or less, and its RGB is that of the clip within a level."""
    source, target = clip("sound.mp4", frames=10), tmp_path / "shot" / "f_%04d.png"
    report = apply(source, Identity(), target, replace(PNG, start_number=1001))
    assert sorted(p.name for p in target.parent.iterdir()) == [
        "f.json",
        *(f"f_{number}.png" for number in range(1001, 1011)),
    ]
    assert report.frames == 10 and left_over(tmp_path) == ["shot"]
    found = np.stack(pictures(target.parent)).transpose(0, 3, 1, 2) / 255
    assert np.abs(found - rgb_of(source)).max() <= 0.51 / 255
    assert "pictures hold no audio (1): take them from the source" in report.warnings


def test_the_sidecar_says_what_pictures_do_not(tmp_path: Path, clip: Callable[..., Path]):
    """Rate, exact times, color, pixel aspect and rotation of the source."""
    source = clip("vfr.mp4", color=(1, 1, 1, 1), rotation=TURNED_90, aspect=Fraction(4, 3))
    apply(source, Identity(), tmp_path / "%06d.png", PNG)
    facts = json.loads((tmp_path / "sequence.json").read_text())
    assert [pts * Fraction(facts["time_base"]) for pts in facts["pts"]] == frame_times(source)
    assert (facts["frames"], facts["first"], facts["even"], facts["files"]) == (30, 1, False, "%06d.png")
    assert (facts["primaries"], facts["transfer"]) == ("bt709", "bt709")
    assert (facts["sample_aspect_ratio"], tuple(facts["rotation"])) == ("4/3", TURNED_90)
    apply(clip("ntsc.mp4"), Identity(), tmp_path / "even" / "%d.png", PNG)
    assert json.loads((tmp_path / "even" / "sequence.json").read_text())["fps"] == "30000/1001"


def test_deep_sources_give_sixteen_bit(tmp_path: Path, clip: Callable[..., Path]):
    """Above 8 bit a PNG has 16."""
    source = clip("ten_bit.mp4", frames=4)
    apply(source, Identity(), tmp_path / "%d.png", PNG)
    found = np.stack(pictures(tmp_path))
    assert found.dtype == np.uint16
    assert np.abs(found.transpose(0, 3, 1, 2) / 65535 - rgb_of(source)).max() < 1e-4


def test_transparency_is_kept_in_png_and_named_for_exr(tmp_path: Path):
    """PNG keeps opacity; EXR does not, and a warning says so."""
    source = make_clip(
        tmp_path / "keep.mkv", ClipSpec(codec="ffv1", pixel_format="yuva420p", options={}, frames=3)
    )
    report = apply(source, Identity(), tmp_path / "png" / "%d.png", PNG)
    assert pictures(tmp_path / "png")[0].shape[2] == 4
    assert "transparency" not in " ".join(report.warnings)
    report = apply(source, Identity(), tmp_path / "exr" / "%d.exr", EXR)
    assert "exr keeps no transparency" in " ".join(report.warnings)


def test_exr_is_linear_light(tmp_path: Path, clip: Callable[..., Path]):
    """1.0 is SDR's white; the light that BT.1886 shows is in the file; read back it is the signal."""
    source = clip("plain.mp4", frames=5)
    apply(source, Identity(), tmp_path / "%05d.exr", EXR)
    signal = rgb_of(source)
    with av.open(str(tmp_path / "00001.exr")) as file:
        frame = next(file.decode(video=0))
        green = half_floats(frame)[:, :64]
    assert np.abs(green - signal[0, 1] ** 2.4).max() < 1e-3
    back = rgb_of(tmp_path / "%05d.exr", Fraction(30))
    assert np.abs(back - signal).max() < 2e-3


def test_kept_hdr_goes_beyond_white_in_exr(tmp_path: Path, clip: Callable[..., Path]):
    """Linear light above diffuse white is not cut off."""
    apply(clip("hdr10.mp4", frames=2), Identity(), tmp_path / "%d.exr", replace(EXR, hdr="keep"))
    with av.open(str(tmp_path / "1.exr")) as file:
        frame = next(file.decode(video=0))
        light = half_floats(frame)
    assert 1.5 < light.max() < 50


class Dies(Brighter):
    def restyle(self, batch):
        if self.frames >= 9:
            raise RuntimeError("the style failed")
        return super().restyle(batch)


@pytest.mark.parametrize("options", [PNG, EXR], ids=["png", "exr"])
def test_a_stopped_sequence_goes_on(tmp_path: Path, clip: Callable[..., Path], options: ApplyOptions):
    """No picture has its name before all are made; resumed, the files are those of an undisturbed run."""
    source, suffix = clip("plain.mp4"), options.preset.suffixes[0]
    whole, again = tmp_path / "whole" / f"%d{suffix}", tmp_path / "again" / f"%d{suffix}"
    apply(source, Brighter(), whole, options)
    with pytest.raises(RuntimeError, match="the style failed"):
        apply(source, Dies(), again, options)
    assert not list(again.parent.glob(f"*{suffix}")) and not sidecar_of(again).exists()
    report = apply(source, Brighter(), again, options)
    assert report.segments_resumed >= 1
    names = sorted(p.name for p in whole.parent.iterdir())
    assert names == sorted(p.name for p in again.parent.iterdir()) and len(names) == 31
    assert all((again.parent / name).read_bytes() == (whole.parent / name).read_bytes() for name in names)


def test_a_run_that_fails_at_once_leaves_no_folder(tmp_path: Path, clip: Callable[..., Path]):
    """Folders that a failed run made are removed."""

    class Fails(Identity):
        def restyle(self, batch):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        apply(clip("plain.mp4"), Fails(), tmp_path / "shot" / "%d.png", PNG)
    assert left_over(tmp_path) == []


def test_files_are_replaced_only_when_asked_and_then_wholly(tmp_path: Path, clip: Callable[..., Path]):
    """Old pictures of the same name are refused before any work; overwritten, none of them stays behind."""
    target = tmp_path / "%d.png"
    apply(clip("plain.mp4"), Identity(), target, PNG)
    before = (tmp_path / "3.png").read_bytes()
    short = clip("plain.mp4", frames=5)
    with pytest.raises(OutputError, match="--overwrite"):
        apply(short, Brighter(), target, PNG)
    assert (tmp_path / "3.png").read_bytes() == before
    (tmp_path / "notes.png").write_bytes(b"mine")
    apply(short, Brighter(), target, replace(PNG, overwrite=True))
    assert left_over(tmp_path) == ["1.png", "2.png", "3.png", "4.png", "5.png", "notes.png", "sequence.json"]
    assert (tmp_path / "3.png").read_bytes() != before


@pytest.mark.parametrize(
    ("name", "words"), [("x.png", "numbered pictures"), ("%d.exr", "numbered"), ("no/no/%d.png", "no folder")]
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, clip: Callable[..., Path], name: str, words: str):
    """A target without a number, or with a wrong suffix, is an error before any work."""
    with pytest.raises(OutputError, match=words):
        plan(clip("plain.mp4"), Identity(), tmp_path / name, PNG)
    assert left_over(tmp_path) == []


# Sequences as sources


def frames(folder: Path, clip: Callable[..., Path], name: str = "f_%04d.png", first: int = 1) -> Path:
    """Ten frames of a clip as numbered pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pattern = folder / name
    for number, picture in enumerate(luma(clip("plain.mp4", frames=10)), first):
        assert cv2.imwrite(str(file_of(pattern, number)), np.stack([picture] * 3, 2))
    return pattern


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_numbered_pictures_are_a_clip(tmp_path: Path, clip: Callable[..., Path], suffix: str):
    """Every picture once, in the order of the numbers, at the rate that was asked for."""
    pattern = frames(tmp_path / "shot", clip, f"f%d{suffix}", first=8)  # 8, 9, 10: not in the order of names
    fps = Fraction(24000, 1001)
    apply(
        pattern,
        Identity(),
        tmp_path / "out.mkv",
        ApplyOptions(codec="ffv1", fps=fps, segment_frames=4, batch_size=4),
    )
    found = frame_times(tmp_path / "out.mkv")
    assert len(found) == 10
    assert all(abs(t - number / fps) <= Fraction(1, 2000) for number, t in enumerate(found))
    wanted = rgb_of(pattern, fps)
    assert np.abs(rgb_of(tmp_path / "out.mkv") - wanted).max() <= 1.01 / 255
    gray = np.stack([cv2.imread(str(file_of(pattern, n)), cv2.IMREAD_GRAYSCALE) for n in range(8, 18)])
    assert np.abs(wanted[:, 1] * 255 - gray).mean() < 1.5


def test_there_and_back(tmp_path: Path, clip: Callable[..., Path]):
    """A clip as PNG and back is the clip: its frames within a level, its rate from the sidecar."""
    source = clip("ntsc.mp4", frames=8)
    apply(source, Identity(), tmp_path / "%05d.png", PNG)
    apply(tmp_path / "%05d.png", Identity(), tmp_path / "out.mov", ApplyOptions(codec="prores4444"))
    assert frame_times(tmp_path / "out.mov") == frame_times(source)
    assert np.abs(rgb_of(tmp_path / "%05d.png") - rgb_of(source)).max() <= 0.51 / 255


def test_sixteen_bit_pictures_become_deep_video_with_a_word(tmp_path: Path, clip: Callable[..., Path]):
    """Nobody films 16 bit: the files hold 10 to 14, and a codec of 10 takes them, and says so."""
    apply(clip("ten_bit.mp4", frames=4), Identity(), tmp_path / "%d.png", PNG)
    options = ApplyOptions(codec="prores", fps=Fraction(25))
    report = apply(tmp_path / "%d.png", Identity(), tmp_path / "out.mov", options)
    assert "prores keeps 10 of 16 bit per sample" in " ".join(report.warnings)
    with pytest.raises(OutputError, match="16 bit per sample"):
        apply(tmp_path / "%d.png", Identity(), tmp_path / "out.mp4", replace(options, codec="h264"))


def test_a_missing_picture_is_refused_by_its_number(tmp_path: Path, clip: Callable[..., Path]):
    """A gap in the numbers is an error that names the number."""
    pattern = frames(tmp_path, clip)
    file_of(pattern, 4).unlink()
    with pytest.raises(InputError, match="picture 4 is missing, 1 in all between 1 and 10"):
        Decoder(pattern, fps=Fraction(24))


def test_pictures_need_a_rate(tmp_path: Path, clip: Callable[..., Path]):
    """Without --fps and without a sidecar the rate is asked for."""
    with pytest.raises(InputError, match="Add --fps"):
        Decoder(frames(tmp_path, clip))


def test_a_picture_of_another_size_is_refused(tmp_path: Path, clip: Callable[..., Path]):
    """All pictures of a sequence have one size."""
    pattern = frames(tmp_path, clip)
    cv2.imwrite(str(file_of(pattern, 6)), np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(InputError, match="64x48 to 20x20"), Decoder(pattern, fps=Fraction(24)) as decoder:
        list(decoder.batches(4))


def test_a_changed_picture_is_another_source(tmp_path: Path, clip: Callable[..., Path]):
    """Segments of an earlier run count only as long as every picture is the same."""
    pattern, options = frames(tmp_path, clip), ApplyOptions(codec="ffv1", fps=Fraction(24))
    keys = [plan(pattern, Identity(), tmp_path / "a.mkv", options).key]
    cv2.imwrite(str(file_of(pattern, 6)), np.zeros((48, 64, 3), np.uint8))
    keys.append(plan(pattern, Identity(), tmp_path / "a.mkv", options).key)
    keys.append(plan(pattern, Identity(), tmp_path / "a.mkv", replace(options, fps=Fraction(25))).key)
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a001.png", "a002.png"], "a%03d.png"),
        (["a9.png", "a10.png"], "a%d.png"),
        (["0001.exr", "0002.exr", "notes.txt"], "%04d.exr"),
        (["take2_007.jpg", "take2_008.jpg"], "take2_%03d.jpg"),
    ],
)
def test_a_folder_is_understood(tmp_path: Path, names: list[str], found: str):
    """A folder and a glob name the pattern of their pictures."""
    for name in names:
        (tmp_path / name).touch()
    assert pattern_of(str(tmp_path)) == tmp_path / found
    assert pattern_of(f"{tmp_path}/*{Path(found).suffix}") == tmp_path / found
    assert is_sequence(tmp_path / found)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a1.png", "b1.png"], "several sequences"),
        (["a1.png", "cover.png"], "cover.png has no number"),
        (["notes.txt"], "no pictures"),
    ],
)
def test_a_folder_that_is_no_sequence_is_refused(tmp_path: Path, names: list[str], words: str):
    """Pictures without numbers, or of several sequences, are an error in words."""
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=words):
        pattern_of(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("24", 24),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("12.5", Fraction(25, 2)),
    ],
)
def test_rates_are_what_they_stand_for(text: str, rate: Fraction):
    """23.976 is 24000/1001, and 24 is 24."""
    assert parse_rate(text) == rate
    assert SPECS["ntsc.mp4"].rate == parse_rate("30000/1001")
    for wrong in ("fast", "0", "1/0", "-24"):
        with pytest.raises(ValueError, match="fps must be"):
            parse_rate(wrong)
