"""The proof that a change keeps every byte: runs of the command on clips made here, MD5s of all they write.

    python benchmarks/corpus.py --package OLD --out before.json
    python benchmarks/corpus.py --package NEW --out after.json --against before.json

Only `python -m vidstyle` is used, so modules may move. All files in a run's folder count, and as "said N" the
exit code, stdout and stderr of its N-th command. Both results must come from one machine: encoders and
torch choose their code by the processor. What two runs of the same code differ in is made equal first:

- text, facts of style files, what was said: the folder of the corpus becomes @, that of the package @package;
  measured seconds, minutes and frames a second, names of temporary folders, the size of a page, which holds a
  path, and how many segments a killed run had finished (unless it is 0) become #;
- of Matroska the random names of the file and its tracks are dropped, with the checksums over them;
- `checkpoint.pt` is packed anew with 0 seconds;
- of `bench` and `doctor` every number becomes #, and what bounds the speed, and the note on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from hashlib import md5
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import torch

HOME = Path(__file__).resolve().parents[1]
SAMPLE = HOME / "samples" / "bunny.mp4"
EXACT = {"fflags": "+bitexact"}  # without it Matroska files get random names
# Names, then commands with | between them; * is the part of a name after its last _. @clip.mp4 is an input,
# +vlogger is `apply -s vlogger`, < and > are as in a shell. In front: `fails N`, the code that is expected;
# `kill`, -9 as soon as one segment is finished; `shape`, numbers do not count; `words`, without --json.
# `age RUN STEP`: the checkpoint says that it is so many steps old, to pass over a warm-up.
RUNS = """
vlogger,cinema,sketch,watercolor,colour: +* @clip.mp4 -o out.mp4
bunny: words +vlogger @bunny.mp4 -d . --batch-size 3
hevc,av1,prores: +vlogger @clip.mp4 --codec * --quality draft -d .
ffv1: +cinema @clip.mp4 @odd.mkv --codec ffv1 --container mkv -d .
h264_options: +vlogger @clip.mp4 --crf 30 --encoder-option tune=film -o out.mp4
vfr,turned: +cinema @*.mp4 -o out.mp4
ten_bit: +cinema @ten.mp4 --codec hevc -o out.mp4 | +vlogger @ten.mp4 --codec h264-high10 -o high.mkv
hdr_tonemap,hdr_keep: +cinema @pq.mp4 @hlg.mp4 --hdr * --codec hevc -d .
fields: +cinema @fields.mp4 --deinterlace -o out.mp4
formats: +sketch @odd.mkv @full.mkv @rgb.mkv --smooth off -d . | +colour @gray.mkv -d .
containers: +vlogger @all.mkv -o out.mkv | +vlogger @all.mkv -o out.mp4 | +vlogger @all.mkv @turned.mp4
    --container mov -d . | +vlogger @clip.mp4 --container ts -d .
damaged: +cinema @cut.mkv -o out.mp4
png: +vlogger @alpha --fps 24 --codec png -d . | +cinema @vfr.mp4 --codec png -d . | +sketch @deep/f%03d.png
    --fps 30000/1001 --codec png -d . | +vlogger @alpha --fps 24 --codec prores4444 -o out.mov
exr: +vlogger @alpha --fps 24 --codec exr -o exr/f.%04d.exr --start-number 1001 | +cinema exr/f.%04d.exr
    --codec hevc -o o.mp4 | +vlogger @pq.mp4 --hdr keep --codec exr -d pq
stills: +vlogger @stills -d vlogger | +sketch @stills -d sketch | +colour @stills/a.jpg --tone exposure=0.3 -o
    a.png
blend: +vlogger:0.6,cinema:0.4 @clip.mp4 -d . | +sketch:0.5,cinema:0.5 @clip.mp4 --variation 7 -o d.mp4
strength,grade,light,smooth: +cinema @clip.mp4 --* 0.5 -o out.mp4
texture: +sketch @dim.mp4 --texture 0.4 --variation 3 -o out.mp4
tone: +vlogger @clip.mp4 --sharpen 0.5 --deblur 0.5 --tone contrast=1.1,warmth=0.2 -o out.mp4 | +vlogger
    @ten.mp4 --strength 0 --tone saturation=1.2 --codec hevc -o p.mp4
match: +cinema @clip.mp4 @dim.mp4 @old.mp4 @stills/a.jpg --match -d .
long: +cinema @long.mp4 -o out.mp4
workers: +cinema @long.mp4 --workers 2 -o out.mp4
resume: kill +cinema @long.mp4 -o out.mp4 | +cinema @long.mp4 -o out.mp4
farm: farm plan @long.mp4 -s cinema --work w | {render} 2 | {render} 0-1 | farm join --work w -o out.mp4
farm_drawn: farm plan @clip.mp4 -s sketch --segment-frames 7 --work w | {render} 2,0 | farm status --work w
    --verify | fails 6 farm join --work w -o o.mp4 | {render} 1-9 | farm join --work w -o o.mp4
farm_png: farm plan @vfr.mp4 -s vlogger --segment-frames 5 --codec png --smooth 1 --work w | {render} 3-5 |
    {render} 0-2 | farm join --work w -o f.%03d.png | farm clean --work w
to_openjd,to_slurm,to_deadline10,to_opencue,to_flamenco,to_kubernetes: farm export @clip.mp4 -s vlogger
    --engine * --work w -o o.mp4 --dir job --chunk 2
pipe: words +vlogger - -o - < @clip.mp4 > o.mkv | words +cinema - -o - --container y4m < @clip.mp4 > o.y4m
preview: preview @clip.mp4 -s cinema -s vlogger:0.5,sketch:0.5 --frames 2 --seconds 0.5 --size 120 -o . |
    preview @stills/a.jpg -s vlogger --size 120 -o still.html
export: export vlogger --cube 33 | export sketch --cube 33 --force | export vlogger:0.6,cinema:0.4 --cube 33
    --strength 0.7 -o b.cube
onnx: export vlogger --onnx --strength 0.7 | export colour --onnx | export sketch:0.5,watercolor:0.5 --onnx
evaluate: evaluate @clip.mp4 @dim.mp4 --plot e.png --frames 2:16 --pictures @y --content @x | evaluate @x @y
train: train --content @x --style a=@y -o a.safetensors --steps 20 | +a.safetensors @clip.mp4 -o out.mp4
train_vlogger: {two} 2 | age a.run 600 | {two} 612 --resume
train_drawn,train_painted,train_colour: {family} 20 | age a.run 900 | {family} 904 --resume
learn: learn @look.mkv @y --name alice --steps 64 --minutes 99 --licence hers | styles export alice -o
    s.safetensors | styles import s.safetensors --name bob | +bob @clip.mp4 -o out.mp4 | styles remove bob
styles: styles --json | styles vlogger | styles show colour --json
plan: +vlogger @all.mkv @ten.mp4 @alpha/0001.png --codec av1 --dry-run | words +cinema @clip.mp4 @pq.mp4 --hdr
    keep --codec hevc --tone warmth=0.1 --dry-run
refused: fails 3 +vlogger @pq.mp4 @fields.mp4 none.mp4 @ten.mp4 @bad.mp4 -d . | fails 4 +vloger @clip.mp4 |
    fails 5 +vlogger @clip.mp4 --device cuda | fails 6 +vlogger @all.mkv -o out.ts | fails 2 +vlogger
    @clip.mp4 --strength 2 | fails 4 export sketch --cube 33 | fails 3 farm render --work none --segments 0 |
    fails 7 train --content @stills --style a=@y -o a.safetensors | fails 4 learn @x --name vlogger
help: --version | completion bash | {help}
bench: shape bench --size 160x96 --frames 8
doctor: shape doctor
"""
_HELP = ["apply", "preview", "evaluate", "bench", "train", "learn", "export", "doctor", "completion", "farm"]
_HELP += [f"styles {verb}" for verb in ("add", "import", "export", "remove", "show", "")]
_HELP += [f"farm {verb}" for verb in ("plan", "render", "join", "status", "clean", "export")]
_TRAIN = "train --content @x --style a=@y -o a.safetensors"
_PARTS = {
    "render": "farm render --work w --segments",
    "help": " | ".join(f"{name} --help" for name in _HELP),
    "family": f"{_TRAIN} --family * --batch-size 1 --steps",
    "two": f"{_TRAIN} --style b=@x --content @look.mkv --from * --batch-size 2 --steps",
}
ALIKE = ("long", "workers", "resume", "farm")  # their out.mp4 must have the same bytes
_SCREENED = re.compile(r"apply|preview|train|learn|evaluate|farm (plan|render|join)")
_REPORTED = re.compile(rf"{_SCREENED.pattern}|export|farm (status|export)|doctor")
_TEXT = (".json", ".jsonl", ".md", ".txt", ".html", ".sh", ".py", ".js", ".cube")
_SCRUBS = (
    (rb'("(?:seconds|fps|page_bytes)": ?)[\d.]+(?:e-?\d+)?', rb"\1#"),
    (rb'("segments_resumed": )[1-9]\d*', rb"\1#"),
    (rb"[\d.]+ frames/s", b"# frames/s"),
    (rb"\bin [\d.]+ (s|min|minutes)\b(?: [\d.]+ s)?", b"in # s"),
    (rb"vidstyle-\w{8}\b", b"vidstyle-#"),
    (rb"Note: other programs.*\n", b""),
)
_SHAPE = rb'"bound": "\w+"|[\w ]+ bounds? it| *\d+(?:\.\d+)?(?:e[+-]?\d+)?'
_RANDOM = re.compile(rb"s\xa4\x90.{16}|[sc]\xc5\x88.{8}|F\xae\x88.{8}|c\xc6\x88.{8}|\xbf\x84.{4}", re.DOTALL)
_X264 = {"preset": "medium", "crf": "16", "x264-params": "asm=0"}  # its AVX-512 code is not repeatable
_HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:crf=8"}
_HDR10 = _HEVC | {"x265-params": _HEVC["x265-params"] + ":max-cll=900,400:master-display="}
_HDR10["x265-params"] += "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)"
_709, _EVEN = (1, 1, 1, 1), (1.0, 1.0, 1.0, 1.0)
# color: matrix, range, primaries, transfer; look: factors of red, green and blue, what is left of the colors.
_PLAIN = {"frames": 24, "width": 160, "height": 96, "codec": "libx264", "form": "yuv420p", "options": _X264}
_PLAIN |= {"color": (2, 0, 2, 2), "even": True, "turned": False, "extras": False, "tracks": (), "seed": 1}
_TEN = {"codec": "libx265", "form": "yuv420p10le", "color": _709, "options": _HEVC}
_LOSSLESS = {"frames": 12, "codec": "ffv1", "options": {}}
CLIPS: dict[str, dict[str, Any]] = {
    "clip.mp4": {"tracks": ("eng",), "color": _709},
    "vfr.mp4": {"tracks": ("eng",), "seed": 2, "even": False},
    "ten.mp4": _TEN,
    "pq.mp4": _TEN | {"frames": 12, "color": (9, 1, 9, 16), "options": _HDR10},
    "hlg.mp4": _TEN | {"frames": 12, "color": (9, 1, 9, 18)},
    "turned.mp4": {"turned": True, "tracks": ("eng",), "seed": 3},
    "fields.mp4": {"options": _X264 | {"x264-params": "asm=0:tff=1"}},
    "all.mkv": {"tracks": ("eng", "deu"), "extras": True},
    "odd.mkv": _LOSSLESS | {"width": 63, "height": 47},
    "full.mkv": {"frames": 12, "form": "yuv422p", "color": (5, 2, 6, 6)},
    "rgb.mkv": _LOSSLESS | {"form": "bgr0"},
    "gray.mkv": _LOSSLESS | {"form": "gray", "frames": 24},
    "long.mp4": {"frames": 500, "width": 64, "height": 48, "tracks": ("eng",), "color": _709},
    "dim.mp4": {"look": (0.6, 0.5, 0.4, 0.8), "color": _709},
    "old.mp4": {"look": (0.9, 0.9, 0.9, 0.0), "seed": 6},
    "look.mkv": _LOSSLESS | {"frames": 60, "look": (1.1, 0.9, 0.7, 0.7), "form": "bgr0"},
}


def picture(number: int, width: int, height: int, seed: int, look: Any) -> Any:
    """A camera pans over soft shapes, a few edges and grain, 15 frames a scene; RGB in [0, 1]."""
    random = np.random.default_rng(100 * seed + number // 15)
    wide = (width + 40, height)
    large: Any = cv2.resize(random.random((6, 9, 3), np.float32), wide, interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        x, y = random.integers(0, wide[0]), random.integers(0, height)
        large[y : y + height // 4, x : x + width // 8] = random.random(3)
    large += np.random.default_rng(number).normal(0, 0.01, large.shape)
    shown = large[:, number % 15 * 2 :][:, :width]
    gray = shown.mean(axis=2, keepdims=True)
    return np.clip((gray + (shown - gray) * look[3]) * np.array(look[:3]), 0, 1).astype(np.float32)


def make_clip(path: Path, **asked: Any) -> None:
    """Write a clip, with sound of the sample; the same bytes every time. extras: all that Matroska holds."""
    spec = SimpleNamespace(**({"look": _EVEN} | _PLAIN | asked))
    with av.open(str(path), "w", options=EXACT) as out, av.open(str(SAMPLE)) as sample:
        video = out.add_stream(spec.codec, rate=25)
        context: Any = video.codec_context
        video.time_base = context.time_base = Fraction(1, 90000)
        context.width, context.height, context.pix_fmt = spec.width, spec.height, spec.form
        context.gop_size, context.thread_count, context.options = 12, 1, dict(spec.options)
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = spec.color
        if spec.turned:
            video.set_display_matrix((0, -65536, 0, 65536, 0, 0, 0, 0, 1073741824))
        packets: list[Any] = []
        for language in spec.tracks:
            sound = out.add_stream_from_template(sample.streams.audio[0])
            sound.metadata.update({"language": language, "title": f"Sound in {language}"})
            sample.seek(0)
            for packet in sample.demux(audio=0):
                if packet.dts is not None and packet.dts * packet.time_base < spec.frames / 25:
                    packet.stream = sound
                    packets.append(packet)
        if spec.extras:
            out.metadata["title"], base = "A Title — ö", Fraction(1, 1000)
            part: Any = {"time_base": base, "metadata": {"title": "A part"}}
            out.set_chapters([part | {"id": at, "start": at, "end": at + 480} for at in (0, 480)])
            out.add_attachment("font.ttf", "font/ttf", b"font" * 50)
            texts = out.add_mux_stream("subrip")
            texts.time_base, texts.metadata["language"] = base, "fra"
            for at, text in ((100, b"Bonjour"), (500, b"Au revoir")):
                packets.append(line := av.Packet(text))
                line.pts, line.dts, line.duration, line.time_base, line.stream = at, at, 300, base, texts
        steps = np.random.default_rng(3).integers(1500, 6000, spec.frames)
        for number in range(spec.frames):
            codes = (picture(number, spec.width, spec.height, spec.seed, spec.look) * 65535).astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(codes, format="rgb48le").reformat(format=spec.form)
            frame.time_base = Fraction(1, 90000)
            frame.pts = 3600 * number if spec.even else int(steps[:number].sum())
            packets += video.encode(frame)
        packets += video.encode(None)
        for packet in sorted(packets, key=lambda p: (p.dts if p.dts is not None else p.pts) * p.time_base):
            out.mux(packet)


def make_inputs(folder: Path) -> None:
    """All that the runs read: clips, the start of the sample, numbered pictures, stills, two sets."""
    for name in ("alpha", "deep", "stills", "x", "y"):
        (folder / name).mkdir(parents=True)
    for name, spec in CLIPS.items():
        make_clip(folder / name, **spec)
    whole = (folder / "all.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) * 7 // 10])
    (folder / "bad.mp4").write_bytes(whole[5000:9000])
    with av.open(str(SAMPLE)) as source, av.open(str(folder / "bunny.mp4"), "w", options=EXACT) as out:
        copies = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.dts * packet.time_base < 0.4:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)

    def save(name: str, seed: int, number: int, top: int = 255, look: Any = _EVEN, opacity: int = 0) -> None:
        size = (160, 96) if seed == 1 else ((96, 64), (64, 96))[number % 3 == 0]
        codes = (picture(number, *size, seed, look)[..., ::-1] * top).astype(f"u{1 + (top > 255)}")
        layer = [np.full((*codes.shape[:2], 1), opacity, codes.dtype)] if opacity else []
        cv2.imwrite(str(folder / name), np.ascontiguousarray(np.dstack([codes, *layer])))

    for number in range(5):
        save(f"alpha/{number + 1:04}.png", 1, number, opacity=60 + 30 * number)
        save(f"deep/f{number:03}.png", 1, number, top=65535)
    for name, top in (("a.jpg", 255), ("b.png", 65535), ("c.tif", 65535), ("d.webp", 255)):
        save(f"stills/{name}", 1, 7, top)
    for number in range(14):
        save(f"x/{number:02}.png", 20 + number, number)
        save(f"y/{number:02}.png", 40 + number, number, look=(1.0, 0.85, 0.6, 0.6))


class Place(NamedTuple):
    """Where the corpus is run, and the folder of the package that is run."""

    root: Path
    package: Path

    def environment(self, home: Path) -> dict[str, str]:
        """One thread, no GPU, no styles of the user's, lines of a known width, no file beside the sources."""
        own = {name: str(home) for name in ("HOME", "XDG_DATA_HOME", "APPDATA")}
        own |= {"PYTHONPATH": str(self.package), "PYTHONDONTWRITEBYTECODE": "1"}
        own |= {"TMPDIR": str(home / "tmp"), "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "90"}
        return {**os.environ, **own, "OMP_NUM_THREADS": "1"}

    def command(self, line: str, home: Path) -> tuple[bytes, bool]:
        """Run one command of RUNS: what was said, to be hashed, and whether it ended as expected."""
        wanted, before, words = 0, set(), shlex.split(line)
        while words[0] in ("fails", "shape", "words", "kill"):
            before.add(word := words.pop(0))
            wanted = int(words.pop(0)) if word == "fails" else wanted
        if words[0] == "age":
            path = home / words[1] / "checkpoint.pt"
            if path.exists():
                torch.save(torch.load(path, weights_only=True) | {"step": int(words[2])}, path)
            return b"", path.exists()
        name = " ".join(words[:2])
        words += ["--progress", "none"] if _SCREENED.match(name) else []
        words += ["--json"] if _REPORTED.match(name) and "words" not in before else []
        into: dict[str, Any] = {"cwd": home, "env": self.environment(home), "stdin": subprocess.DEVNULL}
        into |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        for sign, stream, mode in (("<", "stdin", "rb"), (">", "stdout", "wb")):
            if sign in words:
                at = words.index(sign)
                into[stream] = (home / words[at + 1]).open(mode)
                words = words[:at] + words[at + 2 :]
        process = subprocess.Popen([sys.executable, "-m", "vidstyle", *words], **into)
        if "kill" in before:
            while process.poll() is None and not any(home.glob(".*.vidstyle/*/*.json")):
                time.sleep(0.005)
            process.kill()
            process.communicate()
            return b"", process.returncode == -9 and not (home / "out.mp4").exists()
        out, err = (text or b"" for text in process.communicate())
        said = self.scrubbed(b"%d\n%b\n%b" % (process.returncode, out, err))
        if process.returncode != wanted:
            print(f"{line}\n  {said.decode(errors='replace')}", file=sys.stderr)
        return re.sub(_SHAPE, b"#", said) if "shape" in before else said, process.returncode == wanted

    def scrubbed(self, text: bytes) -> bytes:
        """Without what differs between two runs of the same code, see above."""
        for path, sign in ((self.root, b"@"), (self.package, b"@package")):
            text = text.replace(os.fsencode(path), sign)
        for pattern, becomes in _SCRUBS:
            text = re.sub(pattern, becomes, text)
        return text

    def hashes(self, home: Path) -> Iterator[tuple[str, str]]:
        """(name, MD5) of every file in a folder, in order."""
        for path in sorted(p for p in home.rglob("*") if p.is_file()):
            name, data = str(path.relative_to(home)), path.read_bytes()
            if path.suffix == ".pt":
                torch.save(torch.load(path, weights_only=True) | {"seconds": 0.0}, packed := BytesIO())
                data = packed.getvalue()
            if path.suffix in (".mkv", ".webm"):
                head, mark, rest = data.partition(b"\x1fC\xb6u")  # where the first cluster begins
                data = _RANDOM.sub(b"", head) + mark + rest
            if path.suffix == ".safetensors":
                end = 8 + int.from_bytes(data[:8], "little")
                yield f"{name} facts", md5(self.scrubbed(data[8:end])).hexdigest()
                data = data[end:]
            yield name, md5(self.scrubbed(data) if path.suffix in _TEXT else data).hexdigest()

    def run(self, name: str, lines: list[str]) -> dict[str, Any]:
        """One run of the corpus in a fresh folder."""
        home, files, fine = self.root / name, {}, True
        (home / "tmp").mkdir(parents=True)
        began = time.perf_counter(), sum(os.times()[2:4])
        for number, line in enumerate(lines, 1):
            said, expected = self.command(line, home)
            files[f"said {number}"], fine = md5(said).hexdigest(), fine and expected
            (self.root / "said" / f"{name} {number}.txt").write_bytes(f"{line}\n".encode() + said)
        seconds, cpu = time.perf_counter() - began[0], sum(os.times()[2:4]) - began[1]
        files |= dict(self.hashes(home))
        print(f"{name:14} {seconds:6.1f} s {cpu:6.1f} s of CPU {len(files):4} files", file=sys.stderr)
        figures = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "as_expected": fine}
        return {**figures, "files": files}


def runs() -> dict[str, list[str]]:
    """The commands of each run."""
    found: dict[str, list[str]] = {}
    for text in re.split(r"\n(?! )", RUNS.format(**_PARTS).strip()):
        names, _, words = " ".join(text.split()).partition(": ")
        plain = re.sub(r"(?<![^\s=])@", "../in/", re.sub(r"(?<!\S)\+(\S+)", r"apply -s \1", words))
        found |= {name: plain.replace("*", name.rpartition("_")[2]).split(" | ") for name in names.split(",")}
    return found


def compared(here: dict[str, Any], other: dict[str, Any]) -> int:
    """Print the table; how many files differ, are missing or are new."""
    count = 0
    if here["machine"] != other["machine"]:
        print(f"Not the same machine: {here['machine']} and {other['machine']}")
    for name, run in here["runs"].items():
        there = other["runs"].get(name, {"files": {}})["files"]
        names = sorted({*run["files"], *there})
        apart = [file for file in names if run["files"].get(file) != there.get(file)]
        count += len(apart)
        print(f"{name:14} {len(names):4} files  {'different: ' + ', '.join(apart) if apart else 'equal'}")
    return count


def measured(place: Place, only: list[str]) -> dict[str, Any]:
    """All runs that are wanted, as they stand in a file of results."""
    (place.root / "said").mkdir(parents=True)
    look = [sys.executable, "-c", "import vidstyle; print(vidstyle.__file__)"]
    found = subprocess.check_output(look, cwd=place.root, env=place.environment(place.root), text=True)
    if not Path(found.strip()).resolve().is_relative_to(place.package):
        raise SystemExit(f"{found.strip()}: this is not the package in {place.package}.")
    make_inputs(place.root / "in")
    machine = {module.__name__: module.__version__ for module in (av, cv2, np, torch)}
    machine |= {"cpu": f"{torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores"}
    made = {"inputs": {"as_expected": True, "files": dict(place.hashes(place.root / "in"))}}
    for name in only:
        made[name] = place.run(name, runs()[name])
    return {"machine": machine, "runs": made}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="Where the hashes go, as JSON.")
    parser.add_argument("--against", type=Path, help="Other hashes; the exit code is 1 when any differ.")
    parser.add_argument("--only", nargs="+", choices=list(runs()), metavar="NAME", help="Of the runs.")
    parser.add_argument("--package", type=Path, default=HOME, help="The folder that holds the package.")
    parser.add_argument("--keep", type=Path, help="Leave all files in this new folder, to look at.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as folder:
        place = Place((asked.keep or Path(folder)).resolve(), asked.package.resolve())
        result = measured(place, asked.only or list(runs()))
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    bad = [name for name, run in result["runs"].items() if not run["as_expected"]]
    ends = {run["files"].get("out.mp4") for name, run in result["runs"].items() if name in ALIKE}
    bad += [f"{', '.join(ALIKE)}: not the same bytes"] * (len(ends) > 1)
    print(f"Not as expected: {'; '.join(bad) or 'nothing'}")
    differ = compared(result, json.loads(asked.against.read_text())) if asked.against else 0
    return 1 if bad or differ else 0


if __name__ == "__main__":
    sys.exit(main())
