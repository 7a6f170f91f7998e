"""The process that uses vidstyle is left as it was: its settings belong to the program that runs in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.helpers.clips import Clip, save_picture
from tests.helpers.styles import TINY, picture_folder, tiny_style

# Prints every setting of the process that is another one after a piece of work.
PROGRAM = """
import faulthandler, gc, json, logging, os, random, signal, sys, threading, warnings
from pathlib import Path
import av, av.logging, cv2, numpy, torch

folder = Path(sys.argv[1])
# Where a run hangs, say where.
faulthandler.dump_traceback_later(120, exit=True)
# The first optimizer of a process makes torch set a variable of its compiler and filters of warnings.
torch.optim.Adam([torch.zeros(1, requires_grad=True)]).zero_grad()
# Not what a library would set by chance, and no more than there are cores: OpenMP's threads wait actively.
torch.set_num_threads(2 if torch.get_num_threads() == 1 else 1)
cv2.setNumThreads(5)
signal.signal(signal.SIGTERM, lambda *_: None)
os.environ.pop("SVT_LOG", None)

def state():
    threads = []
    thread = threading.Thread(target=lambda: threads.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return {
        "environment": sorted(os.environ.items()),
        "working folder": os.getcwd(),
        "torch threads": torch.get_num_threads(),
        "torch threads of a new thread": threads[0],
        "torch random numbers": torch.get_rng_state().sum().item(),
        "torch grad mode": torch.is_grad_enabled(),
        "torch default dtype": str(torch.get_default_dtype()),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "random numbers": [hash(random.getstate()), hash(repr(numpy.random.get_state()))],
        "cv2 threads": cv2.getNumThreads(),
        "cv2 log level": cv2.utils.logging.getLogLevel(),
        "FFmpeg log level": av.logging.get_level(),
        "signal handlers": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "root logger": [logging.root.level, repr(logging.root.handlers)],
        "warning filters": repr(warnings.filters),
        "garbage collector": [gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()],
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.unraisablehook)],
        "threads": [t.name for t in threading.enumerate()],
        "scheduling": os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None,
        "mallopt": list(calls),
    }

# glibc tells nothing of mallopt's values, so that any call counts.
import ctypes
calls = []

class Watched(ctypes.CDLL):
    def __getattr__(self, name):
        if name == "mallopt":
            calls.append(name)
        return super().__getattr__(name)

ctypes.CDLL = Watched
for name, work in json.loads(sys.argv[2]).items():
    before = state()
    exec(work, {"folder": folder})
    after = state()
    for setting, old in before.items():
        new = after[setting]
        if new != old and isinstance(old, list):  # only what differs
            old, new = [x for x in old if x not in new], [x for x in new if x not in old]
        if new != old:
            print(f"{name}: {setting}: {old} -> {new}")
"""

WORK = {
    "import": "import vidstyle\nfor name in vidstyle.__all__: getattr(vidstyle, name)",
    "apply": """
from vidstyle import ApplyOptions, apply, load_style
style = load_style(str(folder / "tiny.safetensors"))
for codec in ("h264", "av1"):
    options = ApplyOptions(codec=codec, smooth=0.8, device="cpu")
    apply(folder / "in.mp4", style, folder / f"{codec}.mp4", options)
""",
    "frames": """
import vidstyle
with (
    vidstyle.open(folder / "in.mp4") as clip,
    vidstyle.Writer(folder / "frames.mp4", like=clip) as writer,
    vidstyle.restyle(clip, str(folder / "tiny.safetensors"), smooth=True, device="cpu") as frames,
):
    for frame in frames:
        writer.write(frame.with_pixels(frame.array()))
for frame in vidstyle.restyle(folder / "in.mp4", str(folder / "tiny.safetensors")):
    break
del frame
""",
    "restyle_still": """
from vidstyle import InputError, load_style, restyle_still
style = load_style(str(folder / "tiny.safetensors"))
restyle_still(folder / "p.png", style, folder / "out.png")
try:
    restyle_still(folder / "damaged.png", style, folder / "out2.png")
except InputError:
    pass
""",
    "evaluate": """
from vidstyle.analysis.clip_report import evaluate_clip
evaluate_clip(folder / "in.mp4", folder / "in.mp4")
""",
    "preview": """
from vidstyle.analysis.preview.build import preview
from vidstyle.options import PreviewOptions
options = PreviewOptions(frames=2, seconds=0, size=120, device="cpu")
preview(folder / "in.mp4", [str(folder / "tiny.safetensors")], folder / "page.html", options)
""",
    "train": """
from vidstyle.train.loop import train
from vidstyle.train.options import TrainOptions
train(TrainOptions(
    content=(folder / "photos", folder / "in.mp4"), styles={"warm": (folder / "warm",)},
    output=folder / "warm.safetensors",
    steps=1, warmup_steps=0, batch_size=1, paint_size=32, device="cpu", generator=GENERATOR,
))
""".replace("GENERATOR", repr(TINY)),
}


def test_the_process_is_left_as_it_was(clip: Clip, tmp_path: Path) -> None:
    """Environment, threads, signals, logs, random numbers, collector and more: equal before and after."""
    (tmp_path / "in.mp4").symlink_to(clip("plain.mp4"))
    save_picture(tmp_path / "p.png")
    (tmp_path / "damaged.png").write_bytes((tmp_path / "p.png").read_bytes()[:200])
    tiny_style(tmp_path)
    picture_folder(tmp_path / "photos", 0.0)
    picture_folder(tmp_path / "warm", 0.3, seed=1)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), json.dumps(WORK)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
