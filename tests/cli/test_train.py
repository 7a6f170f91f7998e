"""`vidstyle train` from the outside; what training does is tested elsewhere."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers.commands import Run, runner


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(capfd, "train")


@pytest.fixture
def folders(tmp_path: Path) -> list[Any]:
    """The arguments that name two folders of twelve soft pictures each, and a style file to be made."""
    random = np.random.default_rng(0)
    for name, base in (("x", 90), ("y", 150)):
        (tmp_path / name).mkdir()
        for number in range(12):
            coarse = random.integers(base - 60, base + 60, (4, 5, 3)).astype(np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), cv2.resize(coarse, (80, 64)))
    looks = ["--content", tmp_path / "x", "--style", f"airy={tmp_path / 'y'}"]
    return [*looks, "-o", tmp_path / "airy.safetensors", "--paint-size", "32", "--batch-size", "2"]


def test_a_style_is_learned_and_said(folders: list[Any], run: Run, tmp_path: Path) -> None:
    """A file with facts, a run folder, a report; once there, neither is replaced unasked."""
    code, out, err = run(*folders, "--steps", "3", "--summary", "Bright.", "--json", "--progress", "none")
    assert code == 0, err
    report = json.loads(out)
    assert report["target"] == str(tmp_path / "airy.safetensors")
    assert report["facts"]["summary"] == "Bright."
    assert report["facts"]["training"]["steps_done"] == 3
    assert (tmp_path / "airy.run" / "stats.jsonl").exists()
    before = (tmp_path / "airy.safetensors").read_bytes()
    code, _, err = run(*folders, "--steps", "2")
    assert code == 6
    assert "--overwrite" in err
    assert (tmp_path / "airy.safetensors").read_bytes() == before
    assert run(*folders, "--steps", "2", "--overwrite", "--progress", "none")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on(
    number: int, folders: list[Any], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is named, and --resume finishes it."""
    from vidstyle.train.trainer import Trainer

    run_step = Trainer.run_step

    def stop_at_two(self: Trainer) -> None:
        run_step(self)
        if self.steps_done == 2:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_step", stop_at_two)
        code, out, err = run(*folders, "--steps", "4", "--progress", "none")
    assert code == 128 + number
    assert out == ""
    assert f"A checkpoint is kept in {tmp_path / 'airy.run'}; add --resume" in err
    code, out, err = run(*folders, "--steps", "4", "--resume", "--progress", "none")
    assert code == 0, err
    assert "learned in 4 steps" in out


def test_what_was_left_out_is_a_warning(folders: list[Any], run: Run, tmp_path: Path) -> None:
    """Named and counted on stderr; the run goes on."""
    (tmp_path / "x" / "broken.png").write_bytes(b"no picture")
    code, _, err = run(*folders, "--steps", "3", "--progress", "none")
    assert code == 0
    assert "Warning: content: 1 files could not be read: broken.png: is damaged" in err


def test_a_style_may_be_the_beginning(folders: list[Any], run: Run, tmp_path: Path) -> None:
    """By its file; its facts say so. A style that is not there is an error of styles."""
    assert run(*folders, "--steps", "2", "--progress", "none")[0] == 0
    again = [*folders[:4], "-o", tmp_path / "b.safetensors", "--paint-size", "32", "--steps", "2", "--json"]
    code, out, err = run(*again, "--from", tmp_path / "airy.safetensors", "--progress", "none")
    assert code == 0, err
    assert json.loads(out)["facts"]["training"]["start"] == "airy.safetensors"
    code, _, err = run(*again, "--from", "airi", "--overwrite")
    assert (code, "airi" in err) == (4, True)


def test_tensorboard_is_asked_for_before_any_work(
    folders: list[Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its package: how to get it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = run(*folders, "--steps", "2", "--tensorboard")
    assert code == 2
    assert "pip install 'vidstyle[tensorboard]'" in err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--content", "none", "--style", "a=none"], 7, "none"),
        (["--content", "bare", "--style", "a=bare"], 7, "too few"),
        (["--content", "bare", "--style", "airy"], 2, "NAME=DIR"),
        (["--content", "bare", "--style", "dusk:0.5=bare"], 2, "cannot contain"),
        (["--content", "bare", "--style", "a=bare", "--steps", "0"], 2, "--steps"),
        (["--content", "bare", "--style", "a=bare", "--minutes", "0"], 2, "--minutes"),
        (["--style", "a=bare"], 2, "--content"),
    ],
)
def test_failures(
    arguments: list[str], code: int, word: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """7 for data that does not do, 2 for wrong usage, a sentence each, and no style file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    ended, out, err = run(*arguments, "-o", "a.safetensors")
    assert (ended, out) == (code, "")
    assert word in err
    assert not (tmp_path / "a.safetensors").exists()
