"""Camera log, scene light and OpenColorIO configurations through whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vidstyle
from tests.helpers.clips import Clip
from tests.helpers.styles import Identity, tiny_style
from vidstyle import ApplyOptions, InputError, OutputError, Writer
from vidstyle.imaging.ocio import BUILTIN, Spaces
from vidstyle.pipeline.color_spaces import LOOKS_LIKE_LOG

DOWN, ACROSS = np.mgrid[0:48, 0:64].astype(np.float32)
SHOWN = np.stack([ACROSS / 64, DOWN / 48, (ACROSS + DOWN) / 112], axis=-1) * 0.8 + 0.1


@pytest.fixture(scope="module")
def log_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SHOWN as S-Log3, four frames of 10 bits without a tag."""
    path = tmp_path_factory.mktemp("log") / "log.mov"
    codes = Spaces("slog3", "slog3").from_display(SHOWN).clip(0, 1)
    with Writer(path, codec="prores4444") as writer:
        for _ in range(4):
            writer.write(codes)
    return path


def first(source: Path, style: Any, **options: Any) -> vidstyle.Frame:
    with vidstyle.restyle(source, style, smooth=False, **options) as frames:
        return next(frames)


def test_log_comes_to_the_screen_before_the_look(log_clip: Path, tmp_path: Path) -> None:
    """Without a look the picture is what OpenColorIO shows; with one, the look of that picture."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    plain = first(log_clip, style, input_space="slog3", strength=0.0)
    assert plain.info.transfer == 1 and plain.info.format.bit_depth >= 10
    assert np.abs(plain.array(np.float32) - SHOWN).mean() < 0.004
    styled = first(log_clip, style, input_space="slog3").array(np.float32)
    wanted = style(plain.array(np.float32))
    assert np.abs(styled - wanted).mean() < 0.004
    assert np.abs(first(log_clip, style).array(np.float32) - wanted).mean() > 0.02


def test_and_back_where_asked(log_clip: Path, tmp_path: Path) -> None:
    """--output-space: the codes of the source where nothing changes, 10 bits, without other tags."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    before = first(log_clip, style, strength=0.0)
    back = first(log_clip, style, input_space="slog3", output_space="slog3", strength=0.0)
    assert back.info == before.info
    assert np.abs(back.array(np.float32) - before.array(np.float32)).mean() < 0.004


def test_a_run_says_what_it_takes_it_for(log_clip: Path, tmp_path: Path) -> None:
    """Untagged log is guessed in a word and not converted; named, it is said, and it has a key of its own."""
    style = vidstyle.load_style(tiny_style(tmp_path))

    def planned(**options: Any) -> Any:
        return vidstyle.plan(log_clip, style, tmp_path / "out.mov", ApplyOptions(codec="prores", **options))

    assert LOOKS_LIKE_LOG in planned().warnings and "spaces" not in planned().facts
    named = planned(input_space="slog3")
    assert LOOKS_LIKE_LOG not in named.warnings
    assert any(words.startswith("read as S-Log3 S-Gamut3.Cine") for words in named.warnings)
    keys = {made.key for made in (planned(), named, planned(input_space="logc3"))}
    assert len(keys) == 3
    report = vidstyle.apply(log_clip, style, tmp_path / "out.mov", codec="prores", input_space="slog3")
    assert report.frames == 4
    with vidstyle.open(tmp_path / "out.mov") as made:
        assert (made.info.format.bit_depth, made.info.transfer, made.info.primaries) == (10, 1, 1)
        assert not made.media.looks_like_log


def test_clips_that_are_shown_as_they_are_do_not_look_like_log(clip: Clip) -> None:
    """Of 8 bits, tagged, or with the contrast of a picture."""
    for name in ("plain.mp4", "ten_bit.mp4", "pq.mp4", "twelve_bit.mov"):
        with vidstyle.open(clip(name)) as reader:
            assert not reader.media.looks_like_log


def test_a_style_that_knows_planes_only(log_clip: Path, tmp_path: Path) -> None:
    """It is given what a screen shows."""
    vidstyle.apply(log_clip, Identity(), tmp_path / "out.mov", codec="prores4444", input_space="slog3")
    with vidstyle.open(tmp_path / "out.mov") as made:
        assert np.abs(next(made).array(np.float32) - SHOWN).mean() < 0.006


def test_light_of_the_scene_from_exr(tmp_path: Path) -> None:
    """EXR in ACEScg, brighter than white too, to the screen, and to EXR in ACEScg again."""
    light = Spaces("acescg", "acescg", packed=False)
    packed = Spaces("acescg", "acescg", packed=True)
    shown = SHOWN.copy()
    style = vidstyle.load_style(tiny_style(tmp_path))
    from vidstyle.imaging.ocio import unpack

    scene = unpack(packed.from_display(shown))
    scene[:8, :8] = 40.0  # a lamp
    (tmp_path / "in").mkdir()
    write_exr(tmp_path / "in" / "f_%03d.exr", [scene] * 3)
    source = tmp_path / "in" / "f_%03d.exr"
    frame = first(source, style, input_space="acescg", strength=0.0, fps=24)
    made = frame.array(np.float32)
    assert np.abs(made[8:, 8:] - shown[8:, 8:]).mean() < 0.005 and made[:6, :6].min() > 0.97
    options = ApplyOptions(
        input_space="acescg", output_space="acescg", strength=0.0, fps=24, codec="exr", smooth="off"
    )
    vidstyle.apply(source, style, tmp_path / "out" / "f_%03d.exr", options)
    again = first(tmp_path / "out" / "f_%03d.exr", style, input_space="acescg", strength=0.0, fps=24)
    assert np.abs(again.array(np.float32)[8:, 8:] - shown[8:, 8:]).mean() < 0.01
    with pytest.raises(OutputError, match="holds no light of the scene"):
        vidstyle.apply(source, style, tmp_path / "o.mp4", input_space="acescg", output_space="aces", fps=24)
    assert light.needs_shaper and not packed.needs_shaper


def write_exr(pattern: Path, frames: list[np.ndarray[Any, Any]]) -> None:
    """RGB [H, W, 3] float32 as numbered EXR files."""
    import av

    for number, pixels in enumerate(frames, 1):
        height, width = pixels.shape[:2]
        with av.open(str(pattern) % number, "w", format="image2", options={"update": "1"}) as out:
            stream = out.add_stream("exr", rate=24)
            stream.width, stream.height, stream.pix_fmt = width, height, "gbrpf32le"
            frame = av.VideoFrame(width, height, "gbrpf32le")
            for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
                rows = np.frombuffer(memoryview(plane), "<f4").reshape(height, -1)
                rows[:, :width] = pixels[..., channel]
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))


def test_a_configuration_of_the_user(log_clip: Path, tmp_path: Path) -> None:
    """--ocio: its spaces by their own names, on its default display."""
    style = vidstyle.load_style(tiny_style(tmp_path))
    here = first(log_clip, style, input_space="ACEScct", ocio=BUILTIN, strength=0.0)
    assert here.info.transfer == 1
    with pytest.raises(InputError, match=r"no such color space in ocio://"):
        first(log_clip, style, input_space="nothing", ocio=BUILTIN)
    with pytest.raises(ValueError, match="need an input_space"):
        ApplyOptions(ocio=BUILTIN)


def test_a_cube_for_log(tmp_path: Path) -> None:
    """`export --cube --input-space`: each node is the look of what that code shows."""
    from vidstyle.styles.export.cube import cube_text, scene_table

    look = vidstyle.load_style(tiny_style(tmp_path)).with_(light=0.0)
    spaces = Spaces("logc3")
    table = scene_table(look, 9, spaces)
    code = np.full((1, 1, 3), 0.5, np.float32)
    wanted = look(spaces.to_display(code).clip(0, 1))
    assert torch.allclose(table[:, 4, 4, 4], torch.from_numpy(wanted)[0, 0], atol=0.01)
    text = cube_text(look, 9, spaces=spaces)
    assert "for logc3: read as ARRI LogC3 (EI800)" in " ".join(text.replace("# ", "").split())
