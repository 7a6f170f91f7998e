"""What a style does with frames on a GPU, checked with fake tensors, which have shapes and no content.

Mixing devices raises, and so does reading a number back from the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.styles import COLORIST, TINY
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.finishing import Finish
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.models.base import BaseGenerator, Controls, Dials, GeneratorConfig
from vidstyle.models.cuda import fused
from vidstyle.models.registry import build_generator
from vidstyle.options import Tone
from vidstyle.styles import network_style
from vidstyle.styles.blend import Blend
from vidstyle.styles.network_style import NetworkStyle
from vidstyle.styles.style_file import StyleFacts

# Without a GPU torch leaves float16 out and warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*[Dd]isabling:UserWarning")
GPU = torch.device("cuda")


class NoUploads(TorchDispatchMode):
    """Raises when something is copied to the GPU: while a CUDA graph is recorded that is not allowed."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor) and a.ndim]
        if any(a.device.type == "cpu" for a in given):
            outputs = [a for a in tree_leaves(made) if isinstance(a, Tensor)]
            assert all(a.device.type == "cpu" for a in outputs), f"{func} copies something to the GPU"
        return made


FAMILIES = {
    "photographic": TINY,
    "drawn": {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2, "sheet_waves": 2},
    "painted": {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2, "washes": 2},
    "colour": COLORIST,
}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kernels do not run; their arguments are checked, and their names are returned."""
    names: list[str] = []

    def launch(kernel: Any, like: Tensor, tile: Any, arguments: tuple[Any, ...], flags: Any) -> None:
        given = [a for a in arguments if isinstance(a, Tensor)]
        assert all(a.device.type == "cuda" and a.is_contiguous() for a in given)
        names.append(kernel)

    kernels = type("Kernels", (), {name: name for name in ("grade", "paint", "subsample_chroma")})
    monkeypatch.setattr(fused, "_launch", launch)
    monkeypatch.setattr(fused, "_kernels", lambda: kernels)
    return names


def generator_on_gpu(family: str) -> BaseGenerator:
    """Fake weights cannot be moved, so they are made on the GPU and stay there."""
    config = GeneratorConfig(**FAMILIES[family])

    class Stays(type(build_generator(config))):  # type: ignore[misc]
        def to(self, *args: Any, **kwargs: Any) -> BaseGenerator:
            return self

    with GPU:
        return Stays(config)


def on_gpu(
    monkeypatch: pytest.MonkeyPatch, family: str, why_slow: str | None, **options: Any
) -> tuple[NetworkStyle, Callable[..., tuple[Tensor, ...]]]:
    """A style on a fake GPU, and a function that restyles planes of a format and size with it."""
    monkeypatch.setattr(network_style, "trouble", lambda device: why_slow)
    generator = generator_on_gpu(family)
    code = torch.zeros(1, generator.config.code_size)
    facts = StyleFacts(name=family, family="photographic", looks=(family,), summary="")
    made = NetworkStyle(generator, code, facts, "", device=GPU, **options)

    def planes(fmt: PlaneFormat, height: int, width: int, turns: int = 0) -> tuple[Tensor, ...]:
        sizes = [(2, height, width), *[(2, *fmt.chroma_size(height, width))] * 2]
        given = [torch.zeros(size, dtype=fmt.dtype, device=GPU) for size in sizes]
        with NoUploads():
            out = made.on_device(given, fmt, turns)
        assert [(a.shape, a.dtype, a.device) for a in out] == [(a.shape, a.dtype, a.device) for a in given]
        return out

    return made, planes


@pytest.mark.parametrize("why_slow", [None, "no Triton"])
@pytest.mark.parametrize("family", FAMILIES)
def test_frames_stay_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, launched: list[str], family: str, why_slow: str | None
) -> None:
    """Planes of every kind, with and without the fused kernels: nothing is copied or read back on the way."""
    with FakeTensorMode():
        _, planes = on_gpu(monkeypatch, family, why_slow)
        planes(PlaneFormat(), 720, 1280)
        planes(PlaneFormat(10, (1, 0)), 1280, 720, 1)
        planes(PlaneFormat(8, (1, 1), "bt601"), 90, 66)
        planes(PlaneFormat(8, (1, 1)), 91, 67)
    fast = family != "colour" and why_slow is None
    assert ("subsample_chroma" in launched) == fast


def test_finish_and_dials_stay_there_too(monkeypatch: pytest.MonkeyPatch, launched: list[str]) -> None:
    """The same law for what comes after the look."""
    with FakeTensorMode():
        _, planes = on_gpu(
            monkeypatch,
            "photographic",
            None,
            dials=Dials(0.5, 0.5, 0.5, 0.5),
            finish=Finish(0.5, 0.5, Tone(warmth=0.5)),
        )
        planes(PlaneFormat(), 720, 1280)


class BrokenKernels:
    """Fused kernels of which one fails when it is used. It is the plain functions that paint before that."""

    def __init__(self, part: str, error: Exception) -> None:
        self.part, self.error, self.calls = part, error, 0

    def _used(self, part: str) -> None:
        self.calls += 1
        if part == self.part:
            raise self.error

    def graded(self, planes: Sequence[Tensor], fmt: PlaneFormat) -> fused.Graded:
        self._used("grade")
        rgb = to_rgb(planes, fmt)
        return fused.Graded(rgb, rgb, rgb[:, :1])

    def graded_rgb(self, rgb: Tensor) -> fused.Graded:
        self._used("grade")
        return fused.Graded(rgb, rgb, rgb[:, :1])

    def planes(
        self, graded: fused.Graded, controls: Controls, fmt: PlaneFormat, *, dither: Dither | None = None
    ) -> tuple[Tensor, ...]:
        self._used("paint")
        return from_rgb(graded.rgb, fmt, dither=dither)

    def rgb(self, graded: fused.Graded, controls: Controls) -> Tensor:
        self._used("paint")
        return graded.rgb


def tiny(kernels: BrokenKernels | None) -> NetworkStyle:
    torch.manual_seed(3)
    generator = build_generator(GeneratorConfig(**TINY))
    facts = StyleFacts(name="tiny", family="photographic", looks=("tiny",), summary="")
    return NetworkStyle(generator, torch.zeros(1, generator.config.code_size), facts, "", fused=kernels)


def noise_batch() -> FrameBatch:
    random = torch.Generator().manual_seed(1)
    sizes = ((2, 32, 48), (2, 16, 24), (2, 16, 24))
    planes = tuple(torch.randint(16, 235, size, dtype=torch.uint8, generator=random) for size in sizes)
    return FrameBatch(planes, (0, 1), Fraction(1, 25), PlaneFormat())


@pytest.mark.parametrize("part", ["grade", "paint"])
def test_kernels_that_fail_are_done_without(part: str) -> None:
    """Frames are those of plain torch; it is said once, and the style says so from then on."""
    kernels = BrokenKernels(part, RuntimeError("PTX was refused\nmore words"))
    style, plain = tiny(kernels), tiny(None)
    with style.at_work() as executor:
        made = [style.submit(noise_batch()).result().styled for _ in range(3)]
        assert executor is not None
        (words,) = executor.warnings
    assert words == "the GPU paints with plain torch, slower: Triton failed: PTX was refused"
    for batch in made:
        assert all(map(torch.equal, batch.planes, plain.restyle(noise_batch()).planes))
    assert style.slow is not None and plain.slow is None
    mixed = Blend([(tiny(BrokenKernels(part, ValueError("too small"))), 0.5), (plain, 0.5)], style.facts)
    rgb = torch.rand(1, 3, 32, 48)
    assert torch.equal(mixed(rgb), Blend([(plain, 0.5), (plain, 0.5)], style.facts)(rgb))
    assert mixed.slow == "Triton failed: too small"


def test_a_kernel_without_memory_is_not_given_up() -> None:
    """The batch is then made smaller; the kernels stay."""
    style = tiny(BrokenKernels("paint", torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        style.restyle(noise_batch())
    assert style.slow is None
