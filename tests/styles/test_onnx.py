"""Whole styles as ONNX: what onnxruntime paints with them, and what the files say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from tests.helpers.styles import COLORIST, KNOWING, blobs, tiny_style
from vidstyle.cli import main
from vidstyle.options import ONNX_OPSET, ApplyOptions
from vidstyle.styles.export.onnx_model import onnx_model
from vidstyle.styles.library import STYLE_FOLDER
from vidstyle.styles.load import load_style, read_style
from vidstyle.styles.style import MOVING_PAPER, Style

DRAWN = {"light_scale": 0, "texture_width": 8, "texture_blocks": 2, "drawing_size": 32}
FAMILIES: dict[str, dict[str, int]] = {
    "photographic": {"light_scale": 2},
    "grade": {"light_scale": 0},
    "drawn": DRAWN,
    "without_sheet": DRAWN | {"sheet_waves": 0},
    "painted": DRAWN | {"washes": 2},
    "brushed": {"light_scale": 0, "brush_width": 8, "brush_blocks": 2, "drawing_size": 110},
    "colour": COLORIST,
    "colour, knowing": KNOWING,
}
SIZES = [
    (1, 48, 64),
    (3, 33, 47),
    (2, 32, 47),
    (1, 32, 160),
    (1, 90, 161),
    (2, 161, 90),
    (1, 9, 9),
    (1, 1, 1),
]


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it warns of every input that has a default
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def frames(count: int, height: int, width: int) -> Tensor:
    """Soft pictures with some grain."""
    random = torch.Generator().manual_seed(height)
    soft = torch.stack([blobs(number, max(height, 2), max(width, 2)) for number in range(count)])
    soft = soft[:, :, :height, :width]
    return (soft + 0.1 * torch.rand(soft.shape, generator=random)).clamp(0, 1)


def off(runner: onnxruntime.InferenceSession, style: Style, rgb: Tensor, **more: Any) -> float:
    """Largest distance from what the style itself paints, in levels of 255."""
    painted = runner.run(None, {"rgb": rgb.numpy(), **more})[0]
    assert painted.shape == tuple(rgb.shape)
    return float(np.abs(painted - style(rgb).numpy()).max() * 255)


def waved(folder: Path, changes: dict[str, int]) -> Style:
    """A tiny style, with waves on its sheet and tones in its paintbox where it has them."""
    style = read_style(tiny_style(folder, **changes))
    generator, _ = style.network
    for name, values in (("waves", [[9.0, 4.0], [0.0, 0.0]]), ("steps", [5.0, 0.7])):
        buffer = getattr(generator, name, None)
        if buffer is not None and buffer.numel():
            buffer.copy_(torch.tensor(values))
    return style


@pytest.mark.parametrize("family", FAMILIES)
def test_it_paints_what_the_style_paints(family: str, tmp_path: Path) -> None:
    """One file for frames of every size and number, within one level of 255."""
    style = waved(tmp_path, FAMILIES[family])
    runner = session(onnx_model(style))
    for size in SIZES:
        assert off(runner, style, frames(*size)) <= 1, size


@pytest.mark.parametrize("path", sorted(STYLE_FOLDER.glob("*.safetensors")), ids=lambda path: path.stem)
def test_shipped_styles(path: Path) -> None:
    """Every one of them, at the sizes of films and of stills, tall and wide."""
    style = read_style(path)
    runner = session(onnx_model(style))
    for size in ((1, 180, 320), (2, 120, 90), (1, 320, 427)):
        assert off(runner, style, frames(*size)) <= 1, size


def test_dials_and_blends(tmp_path: Path) -> None:
    """Strength, grade and texture are in the file, and so is every style of a blend."""
    one = tiny_style(tmp_path, "one", 1)
    two = tiny_style(tmp_path, "two", 2, **DRAWN)
    rgb = frames(2, 40, 50)
    for name in (str(one), str(two), f"{one}:0.6,{two}:0.4"):
        turned = ApplyOptions(strength=0.7, grade=0.5, light=0.4, texture=0.6, variation=3)
        style = load_style(name).with_options(turned)
        assert off(session(onnx_model(style)), style, rgb) <= 1
    gray = read_style(tiny_style(tmp_path, "grey", 3, **COLORIST))
    for turned in (ApplyOptions(grade=0.5, light=0.4), ApplyOptions(light=0.0)):
        style = gray.with_options(turned)
        assert off(session(onnx_model(style)), style, rgb) <= 1


def test_strength_is_an_input(tmp_path: Path) -> None:
    """It may be left out; 0 is the source, a half is the half."""
    style = read_style(tiny_style(tmp_path))
    runner = session(onnx_model(style))
    rgb = frames(1, 40, 50)
    same = runner.run(None, {"rgb": rgb.numpy(), "strength": np.zeros(1, np.float32)})[0]
    assert np.array_equal(same, rgb.numpy())
    half = style.with_options(ApplyOptions(strength=0.5))
    assert off(runner, half, rgb, strength=np.full(1, 0.5, np.float32)) <= 1
    assert off(runner, half, rgb) > 1


def test_paper_is_an_input_of_drawn_looks(tmp_path: Path) -> None:
    """Clips are hatched more weakly than stills."""
    style = waved(tmp_path, DRAWN)
    rgb = frames(1, 40, 50)
    clip = style.paint(rgb, style.controls(rgb, paper=MOVING_PAPER))
    runner = session(onnx_model(style))
    painted = runner.run(None, {"rgb": rgb.numpy(), "paper": np.full(1, MOVING_PAPER, np.float32)})[0]
    assert np.abs(painted - clip.numpy()).max() * 255 <= 1
    assert (style(rgb) - clip).abs().max() * 255 > 1
    assert [value.name for value in session(onnx_model(read_style(tiny_style(tmp_path)))).get_inputs()] == [
        "rgb"
    ]


def test_the_file_says_what_it_is() -> None:
    """Opset, style, license and how to feed it; sizes and number are left open."""
    style = load_style("vlogger")
    model = onnx.load_from_string(onnx_model(style))
    assert [(found.domain, found.version) for found in model.opset_import] == [("", ONNX_OPSET)]
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["style"] == "vlogger"
    assert facts["style_hash"] == style.content_hash
    assert facts["licence"] == style.facts.licence
    assert facts["opset"] == str(ONNX_OPSET)
    assert "rgb [N, 3, H, W]" in model.doc_string
    (output,) = session(model.SerializeToString()).get_outputs()
    assert (output.name, output.shape) == ("styled", ["batch", 3, "height", "width"])


def export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes the file under the style's name; a missing package is named with what brings it."""
    path = tiny_style(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert export(path, "--onnx", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["target"], report["kind"]) == ("tiny.onnx", "onnx")
    assert "smoothing" in report["left_out"][0]
    style = read_style(path)
    assert off(session((tmp_path / "tiny.onnx").read_bytes()), style, frames(1, 20, 30)) <= 1
    assert export(path, "--onnx") == 6
    for wrong in (["--onnx", "--cube", "33"], ["--onnx", "--force"], []):
        assert export(path, *wrong) == 2
    assert export(path, "--onnx", "-o", "look.pb") == 6
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert export(path, "--onnx", "--overwrite") == 2
    assert "vidstyle[onnx]" in capsys.readouterr().err
