"""A personal style from reference material: chosen, judged, learned, put on the shelf; and the command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.styles import blobs, clip_of, panned, picture_folder
from vidstyle.analysis.metrics import lab_error
from vidstyle.cli import main
from vidstyle.imaging.lab import colors_to_lab
from vidstyle.media.image_file import write_png
from vidstyle.options import ApplyOptions
from vidstyle.styles import library
from vidstyle.styles.load import load_style
from vidstyle.train.personal import learn as learn_module
from vidstyle.train.personal.grade_fit import OrdinaryColors, fit_grade, fit_residual
from vidstyle.train.personal.look_networks import identity_lut, lookup
from vidstyle.train.personal.look_reader import (
    LookReader,
    load_look_reader,
    save_look_reader,
    strength_by_evidence,
)
from vidstyle.train.personal.material import gather, skin_fraction
from vidstyle.train.personal.style_card import MEASURED, nearest_measured

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--steps", "8", "--progress", "none", "--device", "cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sheet need not be a good one here."""
    monkeypatch.setattr(learn_module, "INVERSE_STEPS", 8)


@pytest.fixture(scope="module")
def reader() -> LookReader:
    return load_look_reader()


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """run(*arguments): (exit code, stdout, stderr) of `vidstyle learn` in this process."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["learn", *(str(argument) for argument in arguments)])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def clip_with_cuts(path: Path, scenes: int = 3) -> Path:
    """Eight frames of each of several scenes."""
    return clip_of(path, torch.cat([panned(seed, 8, step=3, height=96, width=128) for seed in range(scenes)]))


def test_frames_come_from_all_scenes(tmp_path: Path) -> None:
    """Cuts part scenes, a still is one of its own, and what repeats is taken once."""
    clip_with_cuts(tmp_path / "a.mkv")
    picture_folder(tmp_path / "stills", 0.1, 4)
    material = gather([tmp_path], 48)
    assert len(material.scenes) == 3 + 4 and material.files == 5
    assert len(gather([tmp_path], 48, most=14).frames) == 14
    assert len({len(scene) for scene in gather([tmp_path / "a.mkv"], 48, most=12).scenes}) == 1
    assert material.scene_numbers == [n for n, scene in enumerate(material.scenes) for _ in scene]


def test_people_are_chosen_first(tmp_path: Path) -> None:
    """Half of a scene's frames are those that show most skin."""
    skin = torch.tensor([225.0, 170, 140])[:, None, None].expand(3, 40, 40).byte()
    assert skin_fraction(skin) == 1 and skin_fraction(torch.full((3, 40, 40), 128).byte()) == 0
    scene = panned(3, 40, step=4, height=96, width=128)
    for number in range(0, 40, 10):
        scene[number, :, 20:60, 30:70] = skin
    clip_of(tmp_path / "a.mkv", scene)
    shares = [skin_fraction(frame) for frame in gather([tmp_path], 48, most=12).frames]
    plain = [skin_fraction(frame) for frame in gather([tmp_path], 48, most=200).frames]
    assert len(shares) == 12
    assert sum(shares) / len(shares) > sum(plain) / len(plain)


def warm(rgb: torch.Tensor) -> torch.Tensor:
    """A warm grade with lifted blacks, on [..., 3, h, w] in [0, 1]."""
    gain = torch.tensor([0.92, 0.8, 0.55])[:, None, None]
    return 0.08 + rgb.clamp(0, 1) * gain


def photo_like(seed: int) -> torch.Tensor:
    """A picture [3, 96, 128] in [0, 1] with muted colors, as photos have them."""
    picture = blobs(seed, 96, 128)
    return torch.lerp(picture.mean(0, keepdim=True).expand_as(picture), picture, 0.4)


def graded_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        codes = (warm(photo_like(number)) * 255).round().byte()
        write_png(folder / f"{number}.png", codes.permute(1, 2, 0).contiguous().numpy())
    return folder


def test_a_learned_style_is_nearer_to_the_truth_than_untouched_pictures(run: Run, tmp_path: Path) -> None:
    """Of pictures under a warm grade it learns a style that moves other pictures towards that grade."""
    graded_pictures(tmp_path / "warm", 12)
    code, out, err = run(tmp_path / "warm", "--name", "warm", "--steps", "300", "--json")
    assert code == 0, err
    style, others = load_style("warm"), torch.stack([photo_like(seed) for seed in range(50, 58)])
    truth = warm(others)
    untouched = lab_error(others, truth).mean().item()
    assert lab_error(style(others), truth).mean().item() < 0.7 * untouched
    half = lab_error(style.with_options(ApplyOptions(strength=0.5))(others), truth).mean().item()
    assert lab_error(style(others), truth).mean().item() < half < untouched
    assert json.loads(out)["figures"]["fit"] < 3


def test_a_warm_grade_is_read_as_warmer(reader: LookReader) -> None:
    """Under a warm grade the table of the same pictures has more red and less blue; all values are colors."""
    pictures = torch.stack([photo_like(seed) for seed in range(12)])
    plain = reader.read_look(list(pictures.mul(255).byte()))
    graded = reader.read_look(list(warm(pictures).mul(255).byte()))
    assert plain.scenes == graded.scenes == 12
    cast = [float((reading.lut[..., 0] - reading.lut[..., 2]).mean()) for reading in (plain, graded)]
    assert cast[1] > cast[0] + 0.05
    assert plain.lut.shape == (33, 33, 33, 3) and plain.lut.min() >= 0 and plain.lut.max() <= 1


@pytest.mark.parametrize("ink", [(1.0, 1.0, 1.0), (1.0, 0.85, 0.65)])
def test_black_and_white_is_a_look(ink: tuple[float, float, float], run: Run, tmp_path: Path) -> None:
    """Of gray or toned pictures a style is learned that has no other color, and keeps black below white."""
    (tmp_path / "mono").mkdir()
    tint = torch.tensor(ink)[:, None, None]
    for number in range(12):
        gray = photo_like(number).mean(0, keepdim=True) ** 1.3 * tint
        write_png(tmp_path / "mono" / f"{number}.png", codes_of(gray))
    code, out, err = run(tmp_path / "mono", "--name", "mono", *QUICK, "--json")
    assert code == 0, err
    others = torch.stack([photo_like(seed) for seed in range(50, 54)])
    made = load_style("mono")(others)
    assert lab_error(made, made.mean(1, keepdim=True) * tint / sum(ink) * 3).mean() < 4
    if len(set(ink)) == 1:
        assert (made.amax(1) - made.amin(1)).max() < 1e-4
    ends = load_style("mono")(torch.tensor([0.05, 0.9]).view(1, 1, 1, 2).expand(1, 3, 1, 2))
    assert ends[..., 1].mean() > ends[..., 0].mean() + 0.3
    assert "black-and-white" in Path(json.loads(out)["card"]).read_text()


def codes_of(picture: torch.Tensor) -> Any:
    return (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def test_where_the_evidence_is_weak_the_style_is_weak(reader: LookReader) -> None:
    """A reading no larger than its own expected error is left out, a larger one is whole, with no jump."""
    assert strength_by_evidence(3.0, 3.0, 4.0, 12) == 0 and strength_by_evidence(3.0, 4.0, 4.0, 12) == 1
    assert strength_by_evidence(3.0, 3.0, 12.0, 12) == 1 and strength_by_evidence(4.0, 3.0, 20.0, 1) == 0
    assert 0 < strength_by_evidence(3.0, 3.0, 4.0, 1) < strength_by_evidence(3.0, 3.3, 4.0, 1) < 1
    for scenes in (1, 4, 7, 12):
        shares = [strength_by_evidence(4.0, 0.1 * n, 4.0, scenes) for n in range(100)]
        assert shares == sorted(shares) and max(b - a for a, b in pairwise(shares)) < 0.2
    reading = reader.read_look([warm(photo_like(seed)).mul(255).byte() for seed in range(12)])
    assert reading.strength == 1 and not reading.monochrome


def test_frames_of_one_scene_are_one_piece_of_evidence(reader: LookReader) -> None:
    """Portrait and landscape frames are read together; scenes are counted, not frames."""
    frames = [photo_like(seed).mul(255).byte() for seed in range(4)]
    frames += [frame.transpose(1, 2) for frame in frames]
    reading = reader.read_look(frames, [0, 0, 1, 1, 0, 0, 1, 1])
    assert reading.scenes == 2 and reading.expected_error > 0
    with pytest.raises(ValueError, match="0 frames"):
        reader.read_look([])


def test_a_reader_is_read_as_it_was_written(reader: LookReader, tmp_path: Path) -> None:
    """Written and read again, a reader reads the same look."""
    path = save_look_reader(tmp_path / "reader.safetensors", reader, error_scale=reader.error_scale)
    frames = [warm(photo_like(seed)).mul(255).byte() for seed in range(3)]
    assert (load_look_reader(path).read_look(frames).lut - reader.read_look(frames).lut).abs().max() < 0.01


def test_a_grade_is_fitted_to_a_table_and_back(reader: LookReader) -> None:
    """The fitted grade is near the table on ordinary colors, and the inverse takes the table off."""
    plain = identity_lut(33)
    lut = warm(plain.permute(3, 0, 1, 2).flatten(2)).unflatten(2, (33, 33)).permute(1, 2, 3, 0)
    colors = OrdinaryColors(reader.frequencies)
    generator, code = fit_grade(lut, colors, 200)
    assert fit_residual(generator.grade, code, lut, colors) < 1.5
    generator, code = fit_grade(lut, colors, 200, inverse=True)
    drawn = colors.draw(1000, torch.Generator().manual_seed(2), any_colors=0)
    graded = lookup(lut[None], drawn[None])[0]
    back = generator.grade(graded, code).clamp(0, 1)
    before = (colors_to_lab(graded) - colors_to_lab(drawn)).norm(dim=-1).mean()
    assert (colors_to_lab(back) - colors_to_lab(drawn)).norm(dim=-1).mean() < 0.3 * before


def test_the_card_promises_no_more_than_was_measured() -> None:
    """The measured case that a card names never has more frames or scenes than the material."""
    for frames, scenes in ((1, 1), (11, 11), (12, 12), (60, 3), (80, 12), (160, 40)):
        case = nearest_measured(frames, scenes)
        assert case.frames <= frames and case.scenes <= scenes
    assert nearest_measured(160, 40) == max(MEASURED, key=lambda case: case.frames)


def test_a_style_is_learned_and_used_by_its_name(run: Run, tmp_path: Path) -> None:
    """On the shelf with a card and a sheet, nothing else left; the same seed gives the same file."""
    clip_with_cuts(tmp_path / "a.mkv")
    words = ("--licence", "mine", "--provenance", "my holidays", "--summary", "Soft.")
    code, out, err = run(tmp_path, "--name", "alice", *QUICK, *words, "--json")
    assert code == 0, err
    report = json.loads(out)
    style = library.own_folder() / "alice.safetensors"
    assert report["path"] == str(style) and report["scenes"] == 3
    assert sorted(path.name for path in style.parent.iterdir()) == [
        *("alice.md", "alice.png", "alice.safetensors"),
    ]
    card = style.with_suffix(".md").read_text()
    for words_of in (
        "## Learned from",
        "## Figures",
        "| 12 photos |",
        "itself expects",
        "mine",
        "my holidays",
        "Soft.",
    ):
        assert words_of in card
    assert load_style("alice").facts.licence == "mine"
    first = style.read_bytes()
    code, _, err = run(tmp_path, "--name", "alice", *QUICK)
    assert code == 6 and "--overwrite" in err
    assert run(tmp_path, "--name", "alice", *QUICK, *words, "--overwrite")[0] == 0
    assert style.read_bytes() == first


def test_options_of_earlier_versions_are_accepted(run: Run, tmp_path: Path) -> None:
    """--content, --mixed and --resume change nothing, so commands written for them go on working."""
    picture_folder(tmp_path / "mine", 0.1, 14)
    assert run(tmp_path / "mine", "--name", "bob", *QUICK)[0] == 0
    old = ("--content", tmp_path / "mine", "--mixed", "--resume", "--minutes", "1")
    code, _, err = run(tmp_path / "mine", "--name", "eve", *old, *QUICK)
    assert code == 0, err
    rgb = torch.rand(1, 3, 40, 56)
    assert torch.equal(load_style("bob")(rgb), load_style("eve")(rgb))


def test_little_and_mixed_material_is_learned_with_a_warning(run: Run, tmp_path: Path) -> None:
    """One still is enough, with a warning; pictures of two looks are not refused."""
    one = graded_pictures(tmp_path / "one", 1)
    code, _, err = run(one, "--name", "still", *QUICK)
    assert code == 0 and "1 different frame" in err and "few to know a look by" in err
    mixed = graded_pictures(tmp_path / "mixed", 8)
    picture_folder(mixed / "others", 0.1, 8)
    code, _, err = run(mixed, "--name", "mixed", *QUICK)
    assert code == 0, err


def test_material_that_will_not_do(run: Run, tmp_path: Path) -> None:
    """Nothing usable, one color only, none at all, or a bad name: why, and nothing is written."""
    few = tmp_path / "few"
    few.mkdir()
    (few / "notes.txt").write_text("x")
    (few / "broken.png").write_bytes(b"no picture")
    code, _, err = run(few, "--name", "a", *QUICK)
    assert code == 7 and "no frame is usable" in err and "1 of them not readable" in err
    flat = tmp_path / "flat"
    flat.mkdir()
    write_png(flat / "red.png", torch.tensor([180, 40, 30]).byte().expand(96, 128, 3).contiguous().numpy())
    code, _, err = run(flat, "--name", "a", *QUICK)
    assert code == 7 and "of one color" in err
    assert run(tmp_path / "nothing", "--name", "a", *QUICK)[0] == 7
    for name in ("../x", "vlogger", "A b"):
        assert run(few, "--name", name, *QUICK)[0] == 4
    assert not library.own_folder().exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_nothing(
    number: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends a run after the current step, says that nothing was kept, and learning again works."""
    clip_with_cuts(tmp_path / "a.mkv")
    draw = OrdinaryColors.draw

    def stop_at_once(self: OrdinaryColors, *arguments: Any, **options: Any) -> torch.Tensor:
        os.kill(os.getpid(), number)
        return draw(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(OrdinaryColors, "draw", stop_at_once)
        code, _, err = run(tmp_path, "--name", "carol", "--steps", "1", "--progress", "none")
    assert code == 128 + number and "Nothing was kept" in err
    assert "carol" not in [facts.name for facts in library.list_styles()]
    assert run(tmp_path, "--name", "carol", *QUICK, "--resume")[0] == 0
