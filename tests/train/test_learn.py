"""A personal style from reference material: chosen, judged, learned, put on the shelf; and the command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.styles import blobs, clip_of, panned, picture_folder
from vidstyle.analysis.metrics import lab_error
from vidstyle.cli import main
from vidstyle.errors import TrainingError
from vidstyle.media.image_file import write_png
from vidstyle.styles import library
from vidstyle.styles.load import load_style
from vidstyle.train.personal.look_reader import load_look_reader
from vidstyle.train.personal.material import disagreement, gather, require_one_look, skin_fraction
from vidstyle.train.trainer import Trainer

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--steps", "8", "--progress", "none", "--device", "cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inverse of a look need not be a good one here."""
    monkeypatch.setattr("vidstyle.train.personal.look_reader.INVERSE_FIT_STEPS", 120)


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
    with pytest.raises(TrainingError, match="too few"):
        gather([tmp_path / "stills"], 48)
    learned, held = material.split()
    assert len(held) == len(material.frames) // 5 and len(learned) + len(held) == len(material.frames)


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


def test_many_looks_are_told_from_one() -> None:
    """Scenes that fall into two groups are refused; one cloud of them is not, nor are too few to say."""
    cloud = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)) * 0.7
    split = cloud + torch.tensor([0.0, 3.0]).repeat(4)[:, None]
    require_one_look(disagreement(cloud))
    assert disagreement(split) > 2 * disagreement(cloud)
    assert disagreement(split[:3]) == 0
    with pytest.raises(TrainingError, match="groups of different looks"):
        require_one_look(disagreement(split))


def test_the_reader_knows_a_grade_from_things(tmp_path: Path) -> None:
    """Of pictures in two inks it names a grade in two inks; the inverse takes off what was put on."""
    reader = load_look_reader()
    ink, paper = torch.tensor([0.1, 0.05, 0.3])[:, None, None], torch.tensor([1.0, 0.85, 0.6])[:, None, None]

    def look(rgb: torch.Tensor) -> torch.Tensor:
        return ink + rgb.mean(dim=-3, keepdim=True) * (paper - ink)

    pictures = torch.stack([blobs(seed, 96, 128) for seed in range(12)])
    code = reader.estimate_code(list(look(pictures).mul(255).byte()))
    colors = reader.colors[:2000].T[None, :, :, None]
    named = reader.grade(reader.colors[:2000], code).clamp(0, 1).T[None, :, :, None]
    assert lab_error(named, look(colors)).item() < 0.6 * lab_error(colors, look(colors)).item()
    code = reader.estimate_code(list(pictures.mul(255).byte()))
    ordinary = reader.colors[:768].T.reshape(1, 3, 24, 32)
    shown = reader.grade(reader.colors[:768], code).clamp(0, 1).T.reshape(1, 3, 24, 32).mul(255).byte()
    back = reader.fit_inverse(code)(shown).float() / 255
    assert lab_error(back, ordinary).item() < 0.4 * lab_error(shown.float() / 255, ordinary).item()


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
    for words_of in ("## Learned from", "## Figures", "| MKL |", "mine", "my holidays", "Soft.", "Flicker: "):
        assert words_of in card
    assert load_style("alice").facts.licence == "mine"
    first = style.read_bytes()
    code, _, err = run(tmp_path, "--name", "alice", *QUICK)
    assert code == 6 and "--overwrite" in err
    assert run(tmp_path, "--name", "alice", *QUICK, *words, "--overwrite")[0] == 0
    assert style.read_bytes() == first


def test_content_of_the_users_own_takes_part(run: Run, tmp_path: Path) -> None:
    """Pictures that the style will be used on may stand beside the material, which may be stills alone."""
    picture_folder(tmp_path / "mine", 0.1, 14)
    picture_folder(tmp_path / "content", 0.0, 14, seed=5)
    code, _, err = run(tmp_path / "mine", "--content", tmp_path / "content", "--name", "bob", *QUICK)
    assert code == 0, err
    assert "not measured" in (library.own_folder() / "bob.md").read_text()


def test_material_that_will_not_do(run: Run, tmp_path: Path) -> None:
    """Too little, too mixed, none at all, or a name that cannot be one: why, and nothing is written."""
    few = picture_folder(tmp_path / "few", 0.1, 3)
    (few / "notes.txt").write_text("x")
    (few / "broken.png").write_bytes(b"no picture")
    code, _, err = run(few, "--name", "a", *QUICK)
    assert code == 7 and "3 usable frames are too few" in err and "1 of them not readable" in err
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number in range(15):
        # One half as it is, the other in two inks.
        picture = blobs(number) * 255
        inked = picture.mean(0) * torch.tensor([0.2, 0.3, 0.5])[:, None, None] + 90
        codes = (inked if number % 2 else picture).byte()
        write_png(mixed / f"{number}.png", codes.permute(1, 2, 0).contiguous().numpy())
    code, _, err = run(mixed, "--name", "a", *QUICK)
    assert code == 7 and "different looks" in err
    assert run(tmp_path / "nothing", "--name", "a", *QUICK)[0] == 7
    for name in ("../x", "vlogger", "A b"):
        assert run(few, "--name", name, *QUICK)[0] == 4
    assert not library.own_folder().exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(
    number: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is named; --resume finishes with the bytes of a run that was never stopped."""
    clip_with_cuts(tmp_path / "a.mkv")
    assert run(tmp_path, "--name", "whole", *QUICK)[0] == 0
    run_step = Trainer.run_step

    def stop_at_two(self: Trainer) -> None:
        run_step(self)
        if self.steps_done == 2:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_step", stop_at_two)
        code, _, err = run(tmp_path, "--name", "carol", *QUICK)
    assert code == 128 + number and "--resume" in err
    assert "carol" not in [facts.name for facts in library.list_styles()]
    assert run(tmp_path, "--name", "carol", *QUICK)[0] == 6, "neither begun again unasked"
    assert run(tmp_path, "--name", "carol", *QUICK, "--resume")[0] == 0
    rgb = torch.rand(1, 3, 40, 56)
    assert torch.equal(load_style("carol")(rgb), load_style("whole")(rgb))
