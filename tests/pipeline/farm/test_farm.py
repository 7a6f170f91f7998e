"""The verbs of a farm: any segment anywhere, any number of times, and the bytes of `apply` in the end."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.helpers.clips import Clip, ClipSpec, left_over, make_clip, with_boxes, with_units
from tests.helpers.styles import KNOWING, blobs, clip_of, codes, panned, tiny_style
from vidstyle import errors
from vidstyle.cli import main
from vidstyle.frames import FrameBatch
from vidstyle.media.image_file import write_png
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.farm.environment import take_gpus
from vidstyle.pipeline.farm.plan_file import read_plan
from vidstyle.pipeline.farm.ranges import consecutive_ranges, name_segments, parse_segments
from vidstyle.pipeline.farm.tasks import FarmRenderer, join_work, plan_work, style_for
from vidstyle.pipeline.references import with_references
from vidstyle.styles.device import is_out_of_memory
from vidstyle.styles.load import load_style
from vidstyle.styles.restyler import PendingBatch
from vidstyle.styles.style import Style

Call = Callable[..., tuple[int, str, str]]
QUICK = ApplyOptions(segment_frames=12, device="cpu")


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """call(*arguments): (exit code, stdout, stderr) of `vidstyle farm` in this process."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["farm", *(str(argument) for argument in arguments)])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def style_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_style(tmp_path_factory.mktemp("style"))


class Farm:
    """A planned clip of 60 frames in 5 segments, with the calls on it."""

    def __init__(self, folder: Path, source: Path, style: Path, call: Call, *options: str) -> None:
        self.work, self.output, self.source, self.style = folder / "work", folder / "out.mp4", source, style
        self.call = call
        self.options = options

    def plan(self, *more: Any) -> tuple[int, str, str]:
        arguments = (self.source, "-s", self.style, "--work", self.work, "--device", "cpu", *self.options)
        return self.call("plan", *arguments, "--segment-frames", 12, *more)

    def render(self, segments: str, *more: Any) -> tuple[int, str, str]:
        return self.call("render", "--work", self.work, "--segments", segments, *more)

    def join(self, *more: Any) -> tuple[int, str, str]:
        return self.call("join", "--work", self.work, "-o", self.output, *more)

    def made(self, pattern: str) -> list[Path]:
        return sorted(self.work.glob(f"{read_plan(self.work).key}/{pattern}"))


@pytest.fixture
def farm(tmp_path: Path, clip: Clip, style_file: Path, call: Call) -> Farm:
    made = Farm(tmp_path, clip("sound.mp4", frames=60), style_file, call)
    code, out, err = made.plan()
    assert code == 0, err
    assert out == "5\n", "the number of segments and nothing else"
    assert "5 segments (0-4), 60 frames" in err
    return made


@pytest.fixture(scope="module")
def whole(clip: Clip, style_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of what `apply` makes of the clip of `farm`."""
    target = tmp_path_factory.mktemp("whole") / "out.mp4"
    apply(clip("sound.mp4", frames=60), load_style(style_file), target, QUICK)
    return digest(target)


@pytest.mark.parametrize(
    ("name", "frames", "options"),
    [
        ("sound.mp4", 60, {}),
        ("sound.mp4", 60, {"smooth": 1.0}),
        ("bframes.mkv", 50, {"smooth": 1.0}),
        ("vfr.mp4", 30, {}),
        ("bframes.ts", 36, {}),
        ("bframes.avi", 30, {}),
        ("interlaced.mp4", 30, {"deinterlace": True}),
    ],
)
def test_the_bytes_of_apply(
    name: str, frames: int, options: dict[str, Any], tmp_path: Path, clip: Clip, style_file: Path, call: Call
) -> None:
    """Segments made backwards, in overlapping and repeated ranges give the file that `apply` gives."""
    source = clip(name, **({} if name == "vfr.mp4" else {"frames": frames}))
    apply(source, load_style(style_file), tmp_path / "whole.mp4", replace(QUICK, **options))
    given = ["--smooth", "1"] if "smooth" in options else ["--deinterlace"] if options else []
    farm = Farm(tmp_path, source, style_file, call, *given)
    assert farm.plan()[0] == 0
    last = -(-frames // 12) - 1
    for segments in (f"{last}", f"{last - 1}-{last}", "1", f"0-{last - 1}", f"0-{last}"):
        code, _, err = farm.render(segments)
        assert code == 0, err
    code, out, err = farm.join()
    assert code == 0, err
    assert f"{frames} frames of {last + 1} segments" in out
    assert digest(farm.output) == digest(tmp_path / "whole.mp4")


def test_references_travel_with_the_plan(tmp_path: Path, call: Call) -> None:
    """Stills of `--reference`, also timed ones: the bytes of `apply`, even when the stills are gone by then.

    A still in the work folder that was changed is refused.
    """
    style, source = tiny_style(tmp_path, **KNOWING), clip_of(tmp_path / "in.mp4", panned(1, 24))
    given = []
    for number, time_ in ((4, ""), (5, "00:00.5=")):
        still = tmp_path / f"{number}.png"
        write_png(still, codes(blobs(number)[None])[0].permute(1, 2, 0).contiguous().numpy())
        given += ["--reference", f"{time_}{still}"]
    plain = load_style(style).with_options(QUICK)
    wholes = [tmp_path / "whole.mp4", tmp_path / "without.mp4"]
    for target, wanted in zip(wholes, (with_references(plain, given[1::2]), plain), strict=True):
        apply(source, wanted, target, QUICK)
    farm = Farm(tmp_path, source, style, call, *given)
    assert farm.plan()[0] == 0
    for number in (4, 5):
        (tmp_path / f"{number}.png").unlink()
    assert farm.render("0-1")[0] == 0 and farm.join()[0] == 0
    assert digest(farm.output) == digest(wholes[0]) != digest(wholes[1])
    one, other = sorted((farm.work / "references").iterdir())
    one.write_bytes(other.read_bytes())
    code, _, err = farm.render("0")
    assert code != 0 and "other references" in err
    assert call("clean", "--work", farm.work)[0] == 0 and not farm.work.exists()


def test_planning_again(farm: Farm, tmp_path: Path, style_file: Path) -> None:
    """The same plan is found; another one is refused with 6, and taken with --overwrite."""
    before = (farm.work / "plan.json").read_bytes()
    assert farm.plan()[0] == 0
    assert (farm.work / "plan.json").read_bytes() == before
    code, out, err = farm.plan("--strength", "0.5", "--progress", "farm")
    assert code == 6
    assert "another" in err
    assert "openjd_fail: " in out
    assert (farm.work / "plan.json").read_bytes() == before
    assert farm.plan("--strength", "0.5", "--overwrite", "--json")[0] == 0
    assert read_plan(farm.work).options().strength == 0.5


def test_what_is_done_is_found(farm: Farm) -> None:
    """The second time nothing is made; segments beyond the end are an error, unless they are allowed."""
    assert "2 segments made, 0 found finished" in farm.render("0-1")[1]
    written = {path: path.stat().st_mtime_ns for path in farm.made("*")}
    code, _, err = farm.render("0-1,7")
    assert code == 3 and "5 segments, 0 to 4" in err
    code, out, _ = farm.render("0-1,7", "--past-end")
    assert code == 0
    assert "0 segments made, 2 found finished, 1 are beyond the end" in out
    assert {path: path.stat().st_mtime_ns for path in farm.made("*")} == written
    report = json.loads(farm.render("1-2", "--json")[1].splitlines()[-1])
    assert (report["segments"], report["found"], report["frames"]) == ([2], [1], 12)


def test_what_farms_read(farm: Farm) -> None:
    """Status and progress of Open Job Description and the line with whole percents, up to the end."""
    _, out, err = farm.render("0-4")
    lines = out.splitlines()
    assert lines[0] == "openjd_status: segments 0-4 (1 of 1)"
    assert "openjd_progress: 100.0" in lines
    assert "Progress: 100%" in lines
    assert not err


Harm = Callable[[Farm], None]


def _lose(farm: Farm) -> None:
    farm.made("000002.json")[0].unlink()


def _truncate(farm: Farm) -> None:
    data = farm.made("000002-*")[0]
    data.write_bytes(data.read_bytes()[:-100])


def _flip(farm: Farm) -> None:
    data = farm.made("000002-*")[0]
    raw = bytearray(data.read_bytes())
    raw[len(raw) // 2] ^= 1
    data.write_bytes(bytes(raw))


def _tear(farm: Farm) -> None:
    sidecar = farm.made("000002.json")[0]
    sidecar.write_text(sidecar.read_text()[:50])


@pytest.mark.parametrize(
    ("harm", "word"), [(_lose, "missing"), (_truncate, "damaged"), (_flip, "damaged"), (_tear, "damaged")]
)
def test_harm_is_named_and_mended(farm: Farm, whole: str, harm: Harm, word: str, tmp_path: Path) -> None:
    """A lost, cut or flipped segment: join exits with 6, names it and leaves nothing; one render mends it."""
    assert farm.render("0-4")[0] == 0
    harm(farm)
    code, _, err = farm.join()
    assert code == 6
    assert f"segments 2 of 5 (frames 24-35) {word}" in err
    assert f"vidstyle farm render --work {farm.work} --segments 2." in err
    assert left_over(tmp_path) == ["work"]
    found = json.loads(farm.call("status", "--work", farm.work, "--verify", "--json")[1])
    assert found[word] == [2] and found["done"] == [0, 1, 3, 4]
    assert "1 segments made" in farm.render("0-4")[1]
    assert farm.join()[0] == 0
    assert digest(farm.output) == whole


def test_other_things_in_the_folder(farm: Farm, whole: str, tmp_path: Path) -> None:
    """Segments of another look, temporary files of the dead and foreign files change nothing."""
    assert farm.plan("--strength", "0.5", "--overwrite")[0] == 0
    assert farm.render("0-4")[0] == 0
    assert farm.plan("--overwrite")[0] == 0
    (farm.work / "notes.txt").write_text("mine")
    (farm.made("")[0] / "000003.0123.part").write_bytes(b"half a segment")
    assert "missing: 0-4" in farm.call("status", "--work", farm.work)[1]
    assert farm.join()[0] == 6
    assert farm.render("0-4")[0] == 0
    assert farm.join()[0] == 0
    assert digest(farm.output) == whole
    assert json.loads(farm.call("status", "--work", farm.work, "--json")[1])["temporary"] == 1
    assert farm.call("clean", "--work", farm.work)[0] == 0
    assert left_over(farm.work) == ["notes.txt"]
    code, _, err = farm.call("clean", "--work", farm.work)
    assert code == 6 and "nothing is removed" in err


def test_a_full_disk(farm: Farm, whole: str) -> None:
    """Played by a limit on the size of files: 6, a sentence, nothing left; with room again it goes on."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for act in (lambda: farm.render("0-4"), farm.join):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1200, limits[1]))
        try:
            code, out, err = act()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert code == 6, out
        assert "openjd_fail: " in out and "Error: " in err
        assert not farm.made("*.part")
        assert not farm.output.exists()
        assert farm.render("0-4")[0] == 0
    assert farm.join()[0] == 0
    assert digest(farm.output) == whole


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "vidstyle", "farm", *(str(argument) for argument in arguments)]


def test_two_workers_on_one_segment(farm: Farm, whole: str) -> None:
    """At the same time, both succeed and one whole segment is there."""
    line = command("render", "--work", farm.work, "--segments", "0-4", "--progress", "none")
    workers = [
        subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [(worker.communicate(timeout=300), worker.returncode)[1] for worker in workers] == [0, 0]
    assert len(farm.made("*.json")) == len(farm.made("*.mp4")) == 5
    assert farm.join()[0] == 0
    assert digest(farm.output) == whole


SLOW_WORKER = """
import sys, time
from vidstyle.styles.style import Style
restyle = Style.restyle
def slow(self, batch):
    time.sleep(0.05)
    return restyle(self, batch)
Style.restyle = slow
from vidstyle.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed(farm: Farm, whole: str, number: int) -> None:
    """SIGKILL leaves at most a temporary file, SIGTERM none and says 143; the next worker goes on."""
    arguments = ["farm", "render", "--work", str(farm.work), "--segments", "0-4"]
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_WORKER, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        deadline = time.monotonic() + 300
        while not farm.made("*.json"):
            assert time.monotonic() < deadline and worker.poll() is None
            time.sleep(0.01)
        worker.send_signal(number)
        worker.wait(60)
    assert worker.returncode == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    done = len(farm.made("*.json"))
    assert 1 <= done < 5
    assert len(farm.made("*.part")) <= (number == signal.SIGKILL)
    assert f"{5 - done} segments made, {done} found" in farm.render("0-4")[1]
    assert farm.join()[0] == 0
    assert digest(farm.output) == whole


def test_it_stops_within_two_batches(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM while a batch is worked on: at most two more are begun, 143, no temporary file."""
    begun = 0
    submit = Style.submit

    def counted(self: Style, batch: FrameBatch) -> PendingBatch:
        nonlocal begun
        begun += 1
        if begun == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1.0)  # time for the main thread to take the signal, on a busy machine too
        return submit(self, batch)

    monkeypatch.setattr(Style, "submit", counted)
    code, _, err = farm.render("0-4")
    assert (code, begun <= 5) == (143, True), begun
    assert "Finished segments are kept" in err
    assert not farm.made("*.part")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_33(farm: Farm, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """A code of its own, and no other failure has it: farms may answer it with more memory."""

    def fail(self: Style, batch: FrameBatch) -> PendingBatch:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Style, "submit", fail)
        code, _, err = farm.render("0")
    assert code == errors.OutOfMemoryError.exit_code == 33
    assert "a single frame does not fit" in err
    codes = [c.exit_code for c in vars(errors).values() if isinstance(c, type) and hasattr(c, "exit_code")]
    assert codes.count(33) == 1
    assert not is_out_of_memory(RuntimeError("the style failed"))


def test_a_machine_that_is_not_like_the_plan(farm: Farm, tmp_path: Path, clip: Clip) -> None:
    """Another clip is 3, another style 4, other libraries or another device 5, each in words."""
    other = tiny_style(tmp_path / "other", seed=1)
    code, _, err = farm.render("0", "--source", clip("plain.mp4"))
    assert code == 3 and "not the clip that was planned" in err
    code, _, err = farm.join("--source", clip("plain.mp4"))
    assert code == 3 and "not the clip that was planned" in err
    code, _, err = farm.render("0", "--style", other)
    assert code == 4 and "not the one that was planned" in err
    code, _, err = farm.render("0", "--device", "cuda:77")
    assert code == 5
    plan = farm.work / "plan.json"
    plan.write_text(plan.read_text().replace(f'"torch": "{torch.__version__}"', '"torch": "1.0"'))
    plan.write_text(plan.read_text().replace(torch.__version__.partition("+")[0], "1.0"))
    code, _, err = farm.render("0")
    assert code == 5 and "torch: the work was planned for 1.0" in err
    plan.write_text("{")
    code, _, err = farm.render("0")
    assert code == 3 and "damaged" in err
    code, _, err = farm.call("render", "--work", tmp_path / "none", "--segments", "0")
    assert code == 3 and "no plan" in err


def test_a_source_that_lies_elsewhere(farm: Farm, whole: str, tmp_path: Path) -> None:
    """The same bytes under another path do as well."""
    moved = tmp_path / "keep.mp4"
    moved.write_bytes(farm.source.read_bytes())
    assert farm.render("0-4", "--source", moved)[0] == 0
    assert farm.join("--source", moved)[0] == 0
    assert digest(farm.output) == whole


def test_planning_for_a_gpu_needs_none(farm: Farm) -> None:
    """The plan says cuda; a machine without a GPU refuses to render it."""
    assert farm.plan("--device", "cuda", "--overwrite")[0] == 0
    assert read_plan(farm.work).device == "cuda"
    if not torch.cuda.is_available():
        code, _, err = farm.render("0")
        assert code == 5 and "no usable NVIDIA GPU" in err


GPU_SPY = """
import os, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("visible", os.environ.get("CUDA_VISIBLE_DEVICES"))
            sys.exit(0)
sys.meta_path.insert(0, Spy())
from vidstyle.cli import main
main(["farm", "render", "--work", "none", "--segments", "0"])
"""


def test_gpus_of_opencue() -> None:
    """torch sees CUE_GPU_CORES unless CUDA_VISIBLE_DEVICES says otherwise; it is set before torch loads."""
    environment = {**os.environ, "CUE_GPU_CORES": "2,3"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    done = subprocess.run(
        [sys.executable, "-c", GPU_SPY], env=environment, capture_output=True, text=True, check=False
    )
    assert "visible 2,3" in done.stdout, done.stderr
    for before, after in (
        ({}, None),
        ({"CUE_GPU_CORES": ""}, None),
        ({"CUE_GPU_CORES": "1"}, "1"),
        ({"CUE_GPU_CORES": "1", "CUDA_VISIBLE_DEVICES": "0"}, "0"),
    ):
        take_gpus(before)
        assert before.get("CUDA_VISIBLE_DEVICES") == after


def test_numbers_of_segments(call: Call, tmp_path: Path) -> None:
    """What is written is read back, and nonsense is wrong usage."""
    for text, numbers in (("4", [4]), ("0-3", [0, 1, 2, 3]), ("3,7-9", [3, 7, 8, 9]), ("2,2,1-3", [1, 2, 3])):
        assert parse_segments(text) == numbers
        assert parse_segments(name_segments(numbers)) == numbers
    assert consecutive_ranges([5, 1, 2, 9, 3]) == [(1, 4), (5, 6), (9, 10)] and consecutive_ranges([]) == []
    for text in ("", "a", "3-1", "-1", "1-", "1--2", "0-99999999999"):
        code, _, err = call("render", "--work", tmp_path, "--segments", text)
        assert code == 2 and "segments" in err, text


@pytest.mark.parametrize("name", ["out.ts", "out.mov"])
def test_the_farm_keeps_and_names_what_apply_does(tmp_path: Path, style_file: Path, name: str) -> None:
    """Closed captions, marks of the picture and what of them a container cannot hold."""
    spec = ClipSpec(frames=30, pixel_format="yuv422p", audio=())
    sei = bytes([6, 4, 14]) + b"\xb5\0\x31GA94\3\x41\xff\xfc\x94\x20\xff" + b"\x80"
    captioned = with_units(make_clip(tmp_path / "plain.mp4", spec), tmp_path / "cc.mp4", lambda _: sei)
    crop = struct.pack(">I4s8i", 40, b"clap", 48, 1, 40, 1, 0, 1, 0, 1)
    stereo = struct.pack(">I4s", 13, b"st3d") + b"\0\0\0\0\1"
    source = with_boxes(captioned, tmp_path / "in.mp4", crop + stereo)
    options = replace(QUICK, codec="hevc", speed="ultrafast")
    style = load_style(str(style_file)).with_options(options)
    report = apply(source, style, tmp_path / f"apply-{name}", options)
    work = tmp_path / "work"
    plan_work(source, style, str(style_file), work, options)
    plan = read_plan(work)
    options = plan.options()
    FarmRenderer(work, plan, style_for(work, plan, None, options), options).render_segments(range(9))
    joined = join_work(work, tmp_path / name)
    assert set(joined.warnings) == set(report.warnings)
    assert any("3D" in warning for warning in joined.warnings)
    assert digest(tmp_path / name) == digest(tmp_path / f"apply-{name}")
    with av.open(str(tmp_path / name)) as file:
        assert all(frame.side_data.get("A53_CC") is not None for frame in file.decode(video=0))
