"""LUTs of other programs as styles: held exactly, whole styles in every way, and refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.helpers.styles import blobs, clip_of, panned, tiny_style
from vidstyle.cli import main
from vidstyle.errors import StyleError
from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.options import ApplyOptions
from vidstyle.styles.export.cube import cube_text
from vidstyle.styles.export.onnx_model import onnx_model
from vidstyle.styles.library import export_style
from vidstyle.styles.load import load_style
from vidstyle.styles.style_file import read_network

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """run(*arguments): (exit code, stdout, stderr) of a vidstyle command in this process."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def warm_table(size: int, random: float = 0.03) -> Tensor:
    """A warm look with an uneven surface [3, B, G, R], so that the way of looking up shows."""
    axis = torch.linspace(0, 1, size)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    table = torch.stack((red**0.8, green * 0.9 + 0.03, blue * 0.7 + 0.1 * red))
    noise = torch.rand(table.shape, generator=torch.Generator().manual_seed(size))
    return (table + (noise - 0.5) * random).clamp(0, 1)


def rows_of(table: Tensor) -> str:
    return "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table.flatten(1).T.tolist()) + "\n"


def cube_of(path: Path, table: Tensor, head: str = "") -> Path:
    path.write_text(f"# made by a test\n{head}LUT_3D_SIZE {table.shape[-1]}\n{rows_of(table)}")
    return path


def hald_of(path: Path, table: Tensor) -> Path:
    side = round(table[0].numel() ** 0.5)
    codes = (table.flatten(1).T.reshape(side, side, 3) * 65535).round().numpy().astype(np.uint16)
    assert cv2.imwrite(str(path), codes[:, :, ::-1])
    return path


def through_ffmpeg(rgb: Tensor, name: str, options: str) -> Tensor:
    """RGB [1, 3, H, W] through a filter of FFmpeg, in floats."""
    graph = av.filter.Graph()
    height, width = rgb.shape[-2:]
    source = graph.add("buffer", f"video_size={width}x{height}:pix_fmt=gbrpf32le:time_base=1/1")
    table, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(table)
    table.link_to(sink)
    graph.configure()
    frame = av.VideoFrame(width, height, "gbrpf32le")
    frame.pts = 0
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        np.frombuffer(plane, np.float32).reshape(height, -1)[:, :width] = rgb[0, channel].numpy()
    graph.push(frame)
    out = graph.pull()
    made = [np.frombuffer(plane, np.float32).reshape(height, -1)[:, :width] for plane in out.planes]
    return torch.from_numpy(np.stack([made[2], made[0], made[1]]))[None]


def apart(a: Tensor, b: Tensor) -> float:
    """Largest CIELAB distance."""
    return float((rgb_to_lab(a.clamp(0, 1)) - rgb_to_lab(b.clamp(0, 1))).norm(dim=1).max())


@pytest.mark.parametrize("size", [2, 9, 17, 33])
def test_it_is_what_ffmpeg_makes_of_the_table(size: int, tmp_path: Path) -> None:
    """Within 0.1 in CIELAB of tetrahedral lut3d on every color, for any number of nodes."""
    cube = cube_of(tmp_path / "look.cube", warm_table(size, random=0.2))
    rgb = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(1))
    wanted = through_ffmpeg(rgb, "lut3d", f"file={cube}:interp=tetrahedral")
    assert apart(load_style(cube)(rgb), wanted) < 0.1


def test_curves_alone_are_a_look(tmp_path: Path) -> None:
    """A 1D .cube is that of lut1d, also where its values lie beyond 0 to 1."""
    levels = torch.linspace(0, 1, 256)
    curves = torch.stack((levels**0.7 * 1.2 - 0.05, levels, levels**1.5 * 0.8))
    cube = tmp_path / "one.cube"
    cube.write_text(f"LUT_1D_SIZE 256\n{rows_of(curves)}")
    rgb = blobs(3)[None]
    assert apart(load_style(cube)(rgb), through_ffmpeg(rgb, "lut1d", f"file={cube}")) < 0.1


def test_a_picture_is_the_same_look_as_its_table(tmp_path: Path) -> None:
    """A HaldCLUT in 16 bit is what the .cube of the same table is."""
    table = warm_table(16)
    rgb = blobs(4)[None]
    one, two = (
        load_style(path) for path in (cube_of(tmp_path / "a.cube", table), hald_of(tmp_path / "b.png", table))
    )
    assert apart(one(rgb), two(rgb)) < 0.02


def test_domain_title_and_comments(tmp_path: Path) -> None:
    """Colors are stretched from the domain to the table; words anywhere before the numbers are accepted."""
    head = '\nTITLE "Warm 3"\nDOMAIN_MIN 0 0.1 0.2\nDOMAIN_MAX 1 0.9 0.7\n# more\nSOME_WORD 3\n'
    table = warm_table(9, random=0)
    style = load_style(cube_of(tmp_path / "d.cube", table, head))
    assert "Warm 3" in style.facts.summary
    ends = torch.tensor([[0.0, 0.1, 0.2], [1.0, 0.9, 0.7]]).view(2, 3, 1, 1)
    assert (style(ends)[:, :, 0, 0] - table[:, [0, -1], [0, -1], [0, -1]].T).abs().max() < 1e-4
    both = tmp_path / "both.cube"
    shaper = torch.tensor([[0.0, 1.0, 2.0]] * 3)
    both.write_text(
        f"LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE 0 1\nLUT_3D_SIZE 9\nLUT_3D_INPUT_RANGE 0 2\n"
        f"{rows_of(shaper)}{rows_of(table)}"
    )
    rgb = blobs(2)[None]
    assert apart(load_style(both)(rgb), load_style(cube_of(tmp_path / "p.cube", table))(rgb)) < 0.02


def test_it_is_a_whole_style(tmp_path: Path, run: Run) -> None:
    """Imported under a name it blends, has dials, goes out as .cube, ONNX and style file."""
    cube = cube_of(tmp_path / "My Look.cube", warm_table(9), "DOMAIN_MIN 0 0 0.1\n")
    code, out, err = run("styles", "import", cube)
    assert code == 0 and "--style my_look" in out and not err, err
    style, rgb = load_style("my_look"), blobs(5)[None]
    assert torch.equal(style(rgb), load_style(cube)(rgb))
    half = style.with_options(ApplyOptions(strength=0.5, light=0.0))
    assert (half(rgb) - torch.lerp(rgb, style(rgb), 0.5)).abs().max() < 1e-6
    other = tiny_style(tmp_path, "other")
    blend = load_style(f"my_look:3,{other}:1")
    assert (blend(rgb) - (0.75 * style(rgb) + 0.25 * load_style(other)(rgb))).abs().max() < 1e-6
    again = tmp_path / "again.cube"
    again.write_text(cube_text(style, 65))
    assert apart(load_style(again)(rgb), style(rgb)) < 0.5
    session = onnxruntime.InferenceSession(onnx_model(style), providers=["CPUExecutionProvider"])
    assert np.abs(session.run(None, {"rgb": rgb.numpy()})[0] - style(rgb).numpy()).max() < 0.01 / 255
    shared = export_style("my_look", tmp_path / "shared.safetensors")
    assert torch.equal(load_style(shared)(rgb), style(rgb))
    assert torch.equal(style.with_options(ApplyOptions(variation=7))(rgb), style(rgb))
    code, out, _ = run("styles", "my_look")
    assert code == 0 and "made by a test" in out and "9 nodes a side" in out


def test_the_file_itself_is_applied(tmp_path: Path, run: Run) -> None:
    """apply --style look.cube, on a clip and on a still; results are called after the file."""
    cube = cube_of(tmp_path / "look.cube", warm_table(5))
    clip_of(tmp_path / "a.mkv", panned(0, 4))
    code, out, err = run("apply", tmp_path / "a.mkv", "--style", cube, "-d", tmp_path / "out", "--json")
    assert code == 0, err
    assert [Path(one["target"]).name for one in json.loads(out)["results"]] == ["a.mkv"]
    code, _, err = run("apply", tmp_path / "a.mkv", "--style", cube, "--dry-run")
    assert code == 0, err
    code, out, _ = run("styles", cube)
    assert code == 0 and "look.cube" in out


def test_a_table_for_log_is_told(tmp_path: Path, run: Run) -> None:
    """What makes a picture of camera log gets a warning; looks for pictures do not."""
    axis = torch.linspace(0, 1, 17)
    light = (10 ** ((axis - 0.385537) / 0.247190) - 0.052272) / 5.555556
    codes = (light.clamp(0, 1) ** (1 / 2.2)).tolist()
    blue, green, red = torch.meshgrid(*[torch.tensor(codes)] * 3, indexing="ij")
    cube = cube_of(tmp_path / "log.cube", torch.stack((red, green, blue)))
    code, _, err = run("styles", "import", cube)
    assert code == 0 and "Warning" in err and "camera log" in err
    clip_of(tmp_path / "a.mkv", panned(0, 4))
    code, _, err = run("apply", tmp_path / "a.mkv", "--style", "log", "-d", tmp_path / "out")
    assert code == 0 and "camera log" in err
    code, _, err = run("styles", "import", cube_of(tmp_path / "warm.cube", warm_table(9)))
    assert code == 0 and not err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LUT_3D_SIZE 3\n0 0 0\n", "it holds 1 rows of numbers, and LUT_3D_SIZE 3 needs 27"),
        ("LUT_3D_SIZE 2\n" + "nan 0 0\n" * 8, "no number"),
        ("LUT_3D_SIZE 2\n" + "0 0 1e999\n" * 8, "no number"),
        ("LUT_3D_SIZE 2\n" + "0 0 1023\n" * 8, "up to 1023"),
        ("LUT_3D_SIZE 2\n" + "0 0\n" * 8, "rows have 2 numbers"),
        ("LUT_3D_SIZE 2\n" + "0 0 x\n" * 8, "cannot be read"),
        ("LUT_3D_SIZE 999\n", "must be 2 to 144"),
        ("LUT_1D_SIZE many\n", "must be 2 to 65536"),
        ("DOMAIN_MIN 0 0\nLUT_3D_SIZE 2\n" + "0 0 0\n" * 8, "must be 3 numbers"),
        ("DOMAIN_MIN 1 1 1\nLUT_3D_SIZE 2\n" + "0 0 0\n" * 8, "not above"),
        ("0 0 0\n", "no .cube file"),
        ("", "no .cube file"),
    ],
)
def test_what_is_no_table_is_refused(text: str, words: str, tmp_path: Path, run: Run) -> None:
    """A wrong size, NaN, values of another range, words where numbers belong: each in a sentence."""
    (tmp_path / "bad.cube").write_text(text)
    code, _, err = run("styles", "import", tmp_path / "bad.cube")
    assert code == 4 and words in err and "Traceback" not in err


def test_pictures_that_are_no_table(tmp_path: Path, run: Run) -> None:
    """A photo given as a style: the sides that a table has, and what to do instead; a file of noise too."""
    assert cv2.imwrite(str(tmp_path / "photo.png"), np.full((48, 64, 3), 90, np.uint8))
    code, _, err = run("styles", "import", tmp_path / "photo.png")
    assert code == 4 and "64x48" in err and "vidstyle learn" in err
    assert cv2.imwrite(str(tmp_path / "gray.png"), np.full((8, 8), 90, np.uint8))
    assert "red, green and blue" in run("styles", "import", tmp_path / "gray.png")[2]
    (tmp_path / "noise.png").write_bytes(b"no picture")
    assert "neither" in run("styles", "import", tmp_path / "noise.png")[2]
    assert run("styles", "import", tmp_path / "gone.cube")[0] == 4


def test_a_file_that_claims_a_huge_table_is_refused(tmp_path: Path) -> None:
    """Before memory is taken for it."""
    path = export_style(str(cube_of(tmp_path / "a.cube", warm_table(4))), tmp_path / "a.safetensors")
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["vidstyle"])
    document["generator"]["table_size"] = 1024
    save_file(load_file(path), path, metadata={"vidstyle": json.dumps(document)})
    with pytest.raises(StyleError, match="2 to 144 nodes"):
        read_network(path)
