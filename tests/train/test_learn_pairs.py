"""A style from shots before and after a grade: which belong together, what is learned, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.styles import blobs, clip_of
from vidstyle.analysis.metrics import lab_error
from vidstyle.cli import main
from vidstyle.media.image_file import write_png
from vidstyle.styles.load import load_style
from vidstyle.train.personal import table_fit
from vidstyle.train.personal.look_reader import LookReader, load_look_reader
from vidstyle.train.personal.pairs import color_pairs, gather_pairs
from vidstyle.train.personal.table_fit import fit_table

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarse table is enough here."""
    monkeypatch.setattr(table_fit, "NODES_FITTED", 17)


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


def graded(rgb: Tensor) -> Tensor:
    """A grade that turns a channel into a mixture and bends its brightness, on [..., 3, h, w] in [0, 1]."""
    red, green, blue = rgb.clamp(0, 1).unbind(-3)
    return torch.stack((0.1 + 0.85 * red**0.7, 0.9 * green**1.2, 0.6 * blue + 0.2 * green), -3)


def picture(seed: int) -> Tensor:
    return blobs(seed, 96, 128)


def saved(path: Path, rgb: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, rgb.mul(255).round().byte().permute(1, 2, 0).contiguous().numpy())
    return path


def moving(seed: int, frames: int, step: int = 3) -> Tensor:
    """A camera that moves over blobs, changing as it goes: [N, 3, 96, 128] in [0, 1]."""
    wide = blobs(seed, 96, 128 + step * frames)
    return torch.stack([wide[:, :, i * step : i * step + 128] for i in range(frames)])


def codes(rgb: Tensor) -> Tensor:
    return rgb.clamp(0, 1).mul(255).round().byte()


def test_the_change_of_pairs_is_learned(tmp_path: Path, run: Run) -> None:
    """From six pictures by name: on others the error is a small part of what it was."""
    for seed in range(6):
        saved(tmp_path / "raw" / f"{seed}.png", picture(seed))
        saved(tmp_path / "graded" / f"{seed}.png", graded(picture(seed)))
    arguments = ("--before", tmp_path / "raw", "--after", tmp_path / "graded", "--name", "pairs")
    code, out, err = run(*arguments, "--json")
    assert code == 0 and not err, err
    report = json.loads(out)
    assert report["frames"] == report["scenes"] == 6 and report["figures"]["fit"] < 0.5
    others = torch.stack([picture(seed) for seed in range(50, 56)])
    truth = graded(others)
    error = float(lab_error(load_style("pairs")(others), truth).mean())
    assert error < 1.5 < 0.2 * float(lab_error(others, truth).mean())
    card = Path(report["card"]).read_text()
    assert "raw" in card and f"{report['figures']['expected_error']:.1f} from the graded" in card


def test_pictures_are_paired_by_what_they_show(tmp_path: Path) -> None:
    """Under other names and in another order; what has no partner is named."""
    for seed in range(4):
        saved(tmp_path / "raw" / f"a{seed}.png", picture(seed))
        saved(tmp_path / "graded" / f"b{9 - seed}.png", graded(picture(seed)))
    saved(tmp_path / "graded" / "other.png", graded(picture(77)))
    pairs = gather_pairs([tmp_path / "raw"], [tmp_path / "graded"])
    assert len(pairs.scenes) == 4
    assert any("other.png" in warning for warning in pairs.warnings)
    before, after = color_pairs(pairs.frames)
    assert (graded(before.T[:, :, None])[:, :, 0].T - after).abs().mean() < 0.01


@pytest.mark.parametrize("shift", [0, 7])
def test_clips_are_aligned(shift: int, tmp_path: Path) -> None:
    """A graded clip that begins later, and has frames of its own before and after, is laid over the other."""
    raw = moving(1, 30)
    clip_of(tmp_path / "raw.mkv", codes(raw))
    late = torch.cat((moving(8, 3), graded(raw[shift:]), moving(9, 3)))
    clip_of(tmp_path / "cut.mkv", codes(late))
    pairs = gather_pairs([tmp_path / "raw.mkv"], [tmp_path / "cut.mkv"])
    assert len(pairs.frames) >= 20
    for pair in pairs.frames:
        assert (graded(pair.before.float() / 255) - pair.after.float() / 255).abs().mean() < 0.02


def test_what_does_not_match_is_refused(tmp_path: Path, run: Run) -> None:
    """Other shots, one side only, an empty folder, two ways at once: each in a sentence, nothing is kept."""
    one, other = (
        clip_of(tmp_path / "a.mkv", codes(moving(1, 12))),
        clip_of(tmp_path / "b.mkv", codes(moving(2, 12))),
    )
    code, _, err = run("--before", one, "--after", other, "--name", "x")
    assert code == 7 and "do not show the same" in err
    assert run("--before", one, "--name", "x")[0] == 2
    assert run(one, "--before", one, "--after", one, "--name", "x")[0] == 2
    assert run("--name", "x")[0] == 2
    (tmp_path / "empty").mkdir()
    code, _, err = run("--before", one, "--after", tmp_path / "empty", "--name", "x")
    assert code == 7 and "--after" in err
    assert run("--before", one, "--after", tmp_path / "gone", "--name", "x")[0] == 7


def test_a_logo_does_not_spoil_the_fit(tmp_path: Path, run: Run) -> None:
    """A logo and a bar in the graded pictures are left out of the fit."""
    for seed in range(6):
        made = graded(picture(seed))
        made[:, 70:90, 90:120] = torch.tensor([0.0, 1.0, 0.0])[:, None, None]
        made[:, :10] = 0
        saved(tmp_path / "raw" / f"{seed}.png", picture(seed))
        saved(tmp_path / "graded" / f"{seed}.png", made)
    code, _, err = run("--before", tmp_path / "raw", "--after", tmp_path / "graded", "--name", "logo")
    assert code == 0, err
    others = torch.stack([picture(seed) for seed in range(50, 56)])
    assert float(lab_error(load_style("logo")(others), graded(others)).mean()) < 2


def test_colors_without_pairs_keep_their_order(reader: LookReader) -> None:
    """From gray pairs alone the table stays smooth and near the grade of grays, also far from them."""
    grays = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 3)
    table = fit_table(grays, grays * 0.8 + 0.1, reader)
    assert table.min() >= 0 and table.max() <= 1
    assert float(torch.diff(table[..., 0], dim=2).min()) > -0.02
    assert float(table[0, 0, 0].mean()) == pytest.approx(0.1, abs=0.03)
