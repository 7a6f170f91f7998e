"""The color of a style as a .cube: what FFmpeg makes of it, what its header says, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.styles import COLORIST, blobs, tiny_style
from vidstyle.cli import main
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.options import ApplyOptions
from vidstyle.styles.export.cube import cube_text
from vidstyle.styles.library import STYLE_FOLDER
from vidstyle.styles.load import load_style, read_style
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import read_facts

HOME = Path(__file__).parents[2]
SHIPPED = [read_facts(path) for path in sorted(STYLE_FOLDER.glob("*.safetensors"))]
PHOTOGRAPHIC = [facts.name for facts in SHIPPED if facts.family == "photographic"]


def through_lut3d(cube: Path, rgb: Tensor) -> Tensor:
    """RGB [1, 3, H, W] in [0, 1] through FFmpeg's filter, in 8 bit as most tools hold it."""
    pixels = rgb[0].mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    graph = av.filter.Graph()
    source = graph.add_buffer(width=pixels.shape[1], height=pixels.shape[0], format="rgb24", time_base="1/25")
    table, sink = graph.add("lut3d", f"file={cube}"), graph.add("buffersink")
    source.link_to(table)
    table.link_to(sink)
    graph.configure()
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts = 0
    graph.push(frame)
    out = graph.pull().to_ndarray(format="rgb24")
    return torch.from_numpy(out.astype(np.float32) / 255).permute(2, 0, 1)[None]


def error(cube: Path, style: Style, rgb: Tensor) -> float:
    """Mean CIELAB distance of the table in FFmpeg from the grade head at the style's dials."""
    rgb = rgb.mul(255).round() / 255
    generator, code = style.network
    with torch.no_grad():
        truth = torch.lerp(rgb, generator.graded(rgb, code), style.dials.strength).clamp(0, 1)
    return float((rgb_to_lab(through_lut3d(cube, rgb)) - rgb_to_lab(truth)).norm(dim=1).mean())


def picture(path: Path) -> Tensor:
    with av.open(str(path)) as file:
        pixels = next(file.decode(video=0)).to_ndarray(format="rgb24")
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("size", [33, 65])
@pytest.mark.parametrize("name", PHOTOGRAPHIC)
def test_ffmpeg_paints_what_the_grade_head_paints(name: str, size: int, tmp_path: Path) -> None:
    """Every photographic style: mean CIELAB error within 0.5, on a film still and on all colors."""
    style = load_style(name)
    cube = tmp_path / "look.cube"
    cube.write_text(cube_text(style, size))
    axis = torch.linspace(0, 1, 24)
    every = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(1, 3, 24, 576)
    for rgb in (picture(HOME / "samples" / "bunny.jpg"), every):
        assert error(cube, style, rgb) <= 0.5


def test_the_dials_are_in_the_table(tmp_path: Path) -> None:
    """At strength 0 it changes nothing, at a half it is the half of the way; red runs fastest."""
    style = read_style(tiny_style(tmp_path))
    assert torch.equal(
        style.with_options(ApplyOptions(strength=0.0)).color_table(5)[:, 4, 2, 1],
        torch.tensor([0.25, 0.5, 1.0]),
    )
    half = style.with_options(ApplyOptions(strength=0.5))
    cube = tmp_path / "half.cube"
    cube.write_text(cube_text(half, 33))
    assert error(cube, half, blobs(1)[None]) <= 0.5
    assert error(cube, style, blobs(1)[None]) > 1


def test_a_blend_is_the_mixture_of_its_tables(tmp_path: Path) -> None:
    """A blend is the mixture of its tables."""
    one, two = tiny_style(tmp_path, "one", 1), tiny_style(tmp_path, "two", 2)
    mixed = load_style(f"{one}:3,{two}:1").color_table(9)
    apart = 0.75 * load_style(one).color_table(9) + 0.25 * load_style(two).color_table(9)
    assert torch.allclose(mixed, apart, atol=1e-6)


def test_the_header_says_what_it_is(tmp_path: Path) -> None:
    """Style, version, license and what is left out, in short ASCII lines; a name cannot add lines."""
    style = load_style("vlogger")
    text = cube_text(style, 5)
    head = [line for line in text.splitlines() if line[0] not in "01"]
    words = " ".join(line.removeprefix("# ") for line in head)
    assert head[0].startswith("# vidstyle ")
    for part in (
        style.content_hash,
        style.facts.licence,
        "local light",
        "strength: 1 of",
        "not for camera log",
    ):
        assert part in words
    assert head[-4:] == [
        'TITLE "vidstyle vlogger"',
        "LUT_3D_SIZE 5",
        "DOMAIN_MIN 0.0 0.0 0.0",
        "DOMAIN_MAX 1.0 1.0 1.0",
    ]
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 250
    numbers = [float(number) for line in text.splitlines() if line[0] in "01" for number in line.split()]
    assert len(numbers) == 3 * 5**3
    assert 0 <= min(numbers) <= max(numbers) <= 1
    hostile = read_style(tiny_style(tmp_path, 'a"\nLUT_3D_SIZE 2'))
    assert "LUT_3D_SIZE 2\n" not in cube_text(hostile, 5)


def export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Writes the file, says what is not in it, and replaces nothing unasked."""
    style, target = tiny_style(tmp_path), tmp_path / "new" / "look.cube"
    assert export(style, "--cube", 33, "-o", target, "--json") == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["target"] == str(target)
    assert report["size_bytes"] == target.stat().st_size
    assert "local light" in report["left_out"][0]
    assert f"Warning: {target}: left out: local light" in err
    before = target.read_bytes()
    assert export(style, "--cube", 65, "-o", target) == 6
    assert "--overwrite" in capsys.readouterr().err
    assert target.read_bytes() == before
    assert export(style, "--cube", 65, "--strength", 0.5, "-o", target, "--overwrite") == 0
    assert "LUT_3D_SIZE 65" in target.read_text()
    assert [path.name for path in target.parent.iterdir()] == ["look.cube"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"texture_width": 8, "texture_blocks": 2, "light_scale": 0}, "drawn: lines"),
        (COLORIST, "what is left is gray"),
    ],
)
def test_what_is_more_than_color_is_refused_unless_forced(
    changes: dict[str, int], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drawn, painted and color looks: it says what would be lost; with --force the file says so too."""
    style, target = tiny_style(tmp_path, **changes), tmp_path / "x.cube"
    assert export(style, "--cube", 33, "-o", target) == 4
    err = capsys.readouterr().err
    assert words in err
    assert "--force" in err
    assert not target.exists()
    assert export(style, "--cube", 33, "-o", target, "--force") == 0
    assert words in target.read_text().replace("\n# ", " ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["vlogger"], 2, "--cube"),
        (["vlogger", "--cube", "17"], 2, "17"),
        (["vlogger", "--cube", "33", "--strength", "2"], 2, "strength must be between 0 and 1"),
        (["vlogger", "--cube", "33", "-o", "look.lut"], 6, "look.cube"),
        (["vlogger", "--cube", "33", "-o", "/proc/no/look.cube"], 6, "cannot be written"),
        (["vloger", "--cube", "33"], 4, "Did you mean vlogger?"),
    ],
)
def test_what_cannot_be_done(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be done."""
    assert export(*arguments) == code
    assert words in capsys.readouterr().err
