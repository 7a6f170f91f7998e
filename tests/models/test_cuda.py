"""The kernels of a GPU: equal to the plain functions in Triton's interpreter, and compiled for real GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.styles import tiny_generator
from vidstyle.frames import PlaneFormat
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.lut import baked
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.models.base import Controls, Dials
from vidstyle.models.cuda import fused
from vidstyle.models.cuda.fused import FusedPaint, reason_not, trouble

needs_triton = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("triton") is None,
    reason="Triton, which comes with torch's CUDA builds, is not installed",
)

# name -> format, height, width, dials, whether there is light, size of the drawing
CASES: dict[str, tuple[PlaneFormat, int, int, Dials, bool, tuple[int, int] | None]] = {
    "photographic": (PlaneFormat(), 14, 38, Dials(), True, None),
    "grade only": (PlaneFormat(matrix="bt601", full_range=True), 10, 38, Dials(light=0), True, None),
    "all dials": (PlaneFormat(10, (1, 1), "bt2020"), 10, 150, Dials(0.7, 0.6, 0.5, 0.4), True, (6, 70)),
    "drawn": (PlaneFormat(8, (1, 1), "bt601", False, "center"), 14, 40, Dials(), False, (8, 22)),
    "drawn at its own size": (PlaneFormat(8, (1, 0)), 12, 32, Dials(0.8), False, (12, 32)),
    "drawn larger": (PlaneFormat(8, (0, 0), "bt709", True), 11, 33, Dials(), False, (14, 44)),
    "deep, topleft": (PlaneFormat(12, (1, 1), "bt709", False, "topleft"), 12, 34, Dials(), True, None),
}


def inputs(
    fmt: PlaneFormat, height: int, width: int, light: bool, drawing: tuple[int, int] | None, device: str
) -> tuple[list[Tensor], Controls]:
    random = torch.Generator().manual_seed(5)

    def noise(*size: int) -> Tensor:
        return torch.rand(*size, generator=random)

    top = (1 << fmt.bit_depth) - 1
    sizes = [(2, height, width), *[(2, *fmt.chroma_size(height, width))] * 2]
    planes = [(noise(*size) * top).to(fmt.dtype).to(device) for size in sizes]
    maps = (noise(2, 7, 8, 11) * 0.4 - 0.2).to(device) if light else None
    ink = None if drawing is None else (noise(2, 5, *drawing) - 0.5).to(device)
    return planes, Controls(maps, ink)


@torch.inference_mode()
def differences(name: str, device: str) -> dict[str, float]:
    """What the kernels give beside what the plain functions give."""
    fmt, height, width, dials, light, drawing = CASES[name]
    planes, controls = inputs(fmt, height, width, light, drawing, device)
    generator = tiny_generator().to(device)
    lut = generator.lut(torch.full((1, 16), 0.3, device=device))
    rgb = to_rgb(planes, fmt)
    painted = generator.paint_baked(rgb, controls, baked(lut), dials)
    paint = FusedPaint(lut, dials)
    seen = paint.graded(planes, fmt)
    pairs = [
        pair
        for dither in (None, Dither(torch.device(device)))
        for pair in zip(
            from_rgb(painted, fmt, dither=dither),
            paint.planes(seen, controls, fmt, dither=dither),
            strict=True,
        )
    ]
    apart = torch.cat([(a.int() - b.int()).abs().flatten() for a, b in pairs])
    return {
        "levels": int(apart.max()),
        "equal": float((apart == 0).float().mean()),
        "source": float((seen.rgb - rgb).abs().max()),
        "painted": float((paint.rgb(paint.graded_rgb(rgb), controls) - painted).abs().max()),
    }


@pytest.fixture(scope="module")
def interpreted() -> dict[str, dict[str, float]]:
    """All cases in a process of its own: the interpreter is chosen when kernels are defined."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.test_cuda"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@needs_triton
@pytest.mark.parametrize("name", CASES)
def test_kernels_give_what_the_plain_functions_give(
    interpreted: dict[str, dict[str, float]], name: str
) -> None:
    """Planes are equal but for one level where rounding falls the other way, RGB to a fortieth of a level.

    It is the plain look-up that rounds: its places in a picture of 1,089 pixels are float32 from -1 to 1.
    """
    found = interpreted[name]
    assert found["levels"] <= 1 and found["equal"] > 0.99
    assert max(found["source"], found["painted"]) < 1e-4


@pytest.mark.cuda
@pytest.mark.parametrize("name", CASES)
def test_on_a_gpu_they_do_as_well(name: str) -> None:
    """The same on a real GPU, compiled."""
    found = differences(name, "cuda")
    assert found["levels"] <= 1 and found["equal"] > 0.99
    assert max(found["source"], found["painted"]) < 1e-4


def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any, tuple[Any, ...], dict[str, Any]]]:
    """Every start of a kernel in all cases: case, kernel, arguments, what is constant in it."""
    started: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def note(kernel: Any, like: Tensor, tile: tuple[int, int], arguments: Any, flags: Any) -> None:
        started.append((kernel, arguments, {**flags, "rows": tile[0], "columns": tile[1]}))

    monkeypatch.setattr(fused, "_launch", note)
    for name, (fmt, height, width, dials, light, drawing) in CASES.items():
        planes, controls = inputs(fmt, height, width, light, drawing, "cpu")
        with torch.inference_mode():
            paint = FusedPaint(tiny_generator().lut(torch.full((1, 16), 0.3)), dials)
            paint.planes(paint.graded(planes, fmt), controls, fmt, dither=Dither(torch.device("cpu")))
            paint.rgb(paint.graded_rgb(torch.zeros(2, 3, height, width)), controls)
        for kernel, arguments, flags in started:
            yield name, kernel, arguments, flags
        started.clear()


def compiled(kernel: Any, arguments: tuple[Any, ...], flags: dict[str, Any], capability: int) -> str:
    """PTX of a kernel for these arguments, without a GPU."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = {torch.uint8: "*u8", torch.uint16: "*u16", torch.float32: "*fp32"}
    signature, constants = {}, {}
    given = dict(zip(kernel.arg_names, (*arguments, *flags.values()), strict=False))
    given |= flags
    for number, name in enumerate(kernel.arg_names):
        value = given[name]
        if isinstance(value, Tensor):
            signature[name] = types[value.dtype]
        elif value is None or name in flags:
            signature[name] = "constexpr"
            constants[(number,)] = value
        else:
            signature[name] = "i32" if isinstance(value, int) else "fp32"
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    assert made.asm["cubin"]
    return made.asm["ptx"]


def compile_all(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capabilities: tuple[int, ...], cases: int | None = None
) -> int:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder))
    done: set[str] = set()
    for name, kernel, arguments, flags in launches(monkeypatch):
        if name in list(CASES)[:cases]:
            kinds = [getattr(argument, "dtype", type(argument)) for argument in arguments]
            key = repr((kernel.fn.__name__, kinds, flags))
            for capability in capabilities if key not in done else ():
                ptx = compiled(kernel, arguments, flags, capability)
                assert f".target sm_{capability}" in ptx
            done.add(key)
    return len(done)


@needs_triton
def test_kernels_compile_for_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the interpreter lets pass and a compiler would not is found without a GPU (Ampere)."""
    assert compile_all(monkeypatch, tmp_path, (80,), cases=1) == 5


@needs_triton
@pytest.mark.slow
def test_all_variants_compile_for_every_generation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Turing, Ampere, Hopper and Blackwell."""
    assert compile_all(monkeypatch, tmp_path, (75, 80, 90, 120)) > 20


@pytest.mark.parametrize(
    ("fmt", "size", "words"),
    [
        (PlaneFormat(), (720, 1280), None),
        (PlaneFormat(10, (1, 0)), (721, 1280), None),
        (PlaneFormat(8, (0, 0)), (721, 1281), None),
        (PlaneFormat(), (721, 1280), "odd"),
        (PlaneFormat(8, (2, 0)), (720, 1280), "quarter"),
        (PlaneFormat(8, (0, 0), "rgb"), (720, 1280), "RGB"),
        (PlaneFormat(8, (0, 0), "gray"), (720, 1280), "no chroma"),
    ],
)
def test_what_they_are_not_made_for(fmt: PlaneFormat, size: tuple[int, int], words: str | None) -> None:
    """Rare kinds of planes go the plain way, and the reason can be told."""
    assert (reason_not(fmt, *size) or "") == "" if words is None else words in str(reason_not(fmt, *size))


def test_a_cpu_is_no_gpu() -> None:
    """A CPU is no GPU."""
    assert trouble(torch.device("cpu")) == "cpu is no NVIDIA GPU"


def test_triton_is_loaded_only_for_a_gpu() -> None:
    """It takes a second and is not there on every system: importing a style does without."""
    modules = "vidstyle.models.cuda.fused, vidstyle.styles.style"
    code = f"import sys, {modules}; sys.exit('triton.language' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_wrong_table_or_map_is_refused() -> None:
    """A kernel would read beyond the end of it."""
    with pytest.raises(ValueError, match="table must be"):
        FusedPaint(torch.zeros(3, 5, 5, 4), Dials())
    with pytest.raises(ValueError, match="RGB must be float32"):
        FusedPaint(torch.zeros(3, 5, 5, 5), Dials()).graded_rgb(torch.zeros(1, 3, 4, 4, dtype=torch.float64))


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert all(asdict(dials) for *_, dials, _, _ in CASES.values())
    print(json.dumps({name: differences(name, "cpu") for name in CASES}))
