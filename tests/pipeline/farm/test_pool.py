"""Several processes on one machine: the bytes of one, whatever happens to the processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.clips import Clip, left_over
from tests.helpers.styles import Brighter, DiesOnce, Identity, tiny_style
from vidstyle.errors import InputError, OutOfMemoryError
from vidstyle.frames import FrameBatch
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import Progress, apply
from vidstyle.pipeline.farm.pool import Pool
from vidstyle.styles.load import load_style

QUICK = ApplyOptions(segment_frames=12, device="cpu")
CPU = ("cpu", "cpu")


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "workers"), [("sound.mp4", 1), ("bframes.mkv", 4), ("bframes.avi", 2), ("interlaced.mp4", 2)]
)
def test_any_number_of_workers(workers: int, name: str, tmp_path: Path, clip: Clip) -> None:
    """One worker or four, on sources that can be searched and on those that cannot."""
    options = replace(QUICK, deinterlace=name == "interlaced.mp4", segment_frames=7)
    apply(clip(name), Brighter(), tmp_path / "one.mp4", options)
    apply(clip(name), Brighter(), tmp_path / "many.mp4", options, engine=Pool(["cpu"] * workers))
    assert digest(tmp_path / "many.mp4") == digest(tmp_path / "one.mp4")


class DiesAlways(Identity):
    def restyle(self, batch: FrameBatch) -> FrameBatch:
        os.kill(os.getpid(), signal.SIGKILL)
        return batch


class Refuses(Identity):
    def restyle(self, batch: FrameBatch) -> FrameBatch:
        raise InputError("x: the frame is refused. Take another.")


class Breaks(Identity):
    def restyle(self, batch: FrameBatch) -> FrameBatch:
        raise ZeroDivisionError("a bug")


def test_the_bytes_of_one_process(tmp_path: Path, clip: Clip) -> None:
    """Two workers, one of which dies and is replaced, with smoothing over the borders of segments.

    Its segment is made again, and all frames are counted once.
    """
    source, options = clip("sound.mp4", frames=60), replace(QUICK, smooth=1.0)
    apply(source, Brighter(), tmp_path / "one.mp4", options)
    pool = Pool(CPU)
    seen: list[Progress] = []
    style = DiesOnce(tmp_path / "keep_mark", 30)
    report = apply(source, style, tmp_path / "two.mp4", options, seen.append, pool)
    assert pool.restarts == 1
    assert digest(tmp_path / "two.mp4") == digest(tmp_path / "one.mp4")
    assert (report.frames, seen[-1].frames, report.segments_total) == (60, 60, 5)
    assert left_over(tmp_path) == ["one.mp4", "two.mp4"]


@pytest.mark.parametrize(
    ("style", "error", "words"),
    [
        (Refuses(), InputError, "the frame is refused"),
        pytest.param(DiesAlways(), OutOfMemoryError, "died 3 times over segment 0", marks=pytest.mark.slow),
        pytest.param(Breaks(), RuntimeError, "ZeroDivisionError: a bug", marks=pytest.mark.slow),
    ],
)
def test_what_workers_fail_of(
    style: Identity, error: type[Exception], words: str, tmp_path: Path, clip: Clip
) -> None:
    """An error of a worker is the error of the run; no thread, no process and no target is left."""
    source = clip("plain.mp4", frames=12)
    with pytest.raises(error, match=words):
        apply(source, style, tmp_path / "out.mp4", QUICK, engine=Pool(["cpu"]))
    assert left_over(tmp_path) == []


@pytest.mark.slow
def test_resumed_by_the_other(tmp_path: Path, clip: Clip) -> None:
    """What a pool has finished, one process takes over, and the other way round."""
    source = clip("sound.mp4", frames=60)
    apply(source, Brighter(), tmp_path / "one.mp4", QUICK)

    class EnoughError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.frames >= 28:
            raise EnoughError

    with pytest.raises(EnoughError):
        apply(source, Brighter(), tmp_path / "two.mp4", QUICK, stop)
    report = apply(source, Brighter(), tmp_path / "two.mp4", QUICK, engine=Pool(["cpu"]))
    assert report.segments_resumed == 2
    assert digest(tmp_path / "two.mp4") == digest(tmp_path / "one.mp4")
    (tmp_path / "two.mp4").unlink()
    with pytest.raises(EnoughError):
        apply(source, Brighter(), tmp_path / "two.mp4", QUICK, stop, Pool(["cpu"]))
    assert not list(tmp_path.rglob("*.part"))
    report = apply(source, Brighter(), tmp_path / "two.mp4", QUICK)
    assert 1 <= report.segments_resumed <= 3
    assert digest(tmp_path / "two.mp4") == digest(tmp_path / "one.mp4")


@pytest.mark.slow
def test_the_option(tmp_path: Path, clip: Clip) -> None:
    """`apply --workers 2` gives the file of `apply`; SIGTERM ends it with 143 and leaves no process."""
    style = tiny_style(tmp_path / "keep")
    source = clip("sound.mp4", frames=600)
    apply(source, load_style(style), tmp_path / "one.mp4", ApplyOptions(device="cpu"))
    line = [sys.executable, "-m", "vidstyle", "apply", str(source), "-s", str(style), "--workers", "2"]
    line += ["--device", "cpu", "-o", str(tmp_path / "two.mp4"), "--progress", "openjd"]
    with subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        for words in run.stdout:
            if words.startswith("openjd_progress") and float(words.split()[1]) > 1:
                break
        run.send_signal(signal.SIGTERM)
        assert run.wait(120) == 143
    deadline = time.monotonic() + 10
    while _alive(run.pid):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.1)
    assert not (tmp_path / "two.mp4").exists()
    assert not list(tmp_path.rglob("*.part"))
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "two.mp4") == digest(tmp_path / "one.mp4")


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
