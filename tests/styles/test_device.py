"""The way of frames over a GPU, with tensors that have shapes and devices but no content.

What mixes devices, waits for the GPU or carries something to it raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.styles import COLORIST, TINY
from vidstyle.frames import PlaneFormat
from vidstyle.imaging.finishing import Finish
from vidstyle.models.colorizer import generator_for
from vidstyle.models.cuda import fused
from vidstyle.models.generator import Dials, GeneratorConfig
from vidstyle.options import Tone
from vidstyle.styles import style
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import StyleFacts

GPU = torch.device("cuda")


class NothingCarried(TorchDispatchMode):
    """From memory that is not pinned nothing may be carried to the GPU while work is recorded as a graph."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor) and a.ndim]
        if any(a.device.type == "cpu" for a in given):
            outputs = [a for a in tree_leaves(made) if isinstance(a, Tensor)]
            assert all(a.device.type == "cpu" for a in outputs), f"{func} carries something to the GPU"
        return made


FAMILIES = {
    "photographic": TINY,
    "drawn": {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2, "sheet_waves": 2},
    "painted": {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2, "washes": 2},
    "colour": COLORIST,
}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kernels are not run; what they are given is looked at."""
    names: list[str] = []

    def launch(kernel: Any, like: Tensor, tile: Any, arguments: tuple[Any, ...], flags: Any) -> None:
        given = [a for a in arguments if isinstance(a, Tensor)]
        assert all(a.device.type == "cuda" and a.is_contiguous() for a in given)
        names.append(kernel)

    kernels = type("Kernels", (), {name: name for name in ("grade", "paint", "halve")})
    monkeypatch.setattr(fused, "_launch", launch)
    monkeypatch.setattr(fused, "_kernels", lambda: kernels)
    return names


def on_gpu(
    monkeypatch: pytest.MonkeyPatch, family: str, why_slow: str | None, **options: Any
) -> tuple[Style, Callable[..., tuple[Tensor, ...]]]:
    """A style of fake weights there, and what gives planes to it."""
    monkeypatch.setattr(style, "trouble", lambda device: why_slow)
    # Fake weights cannot be moved; they are made there.
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *_, **__: module)
    # Half precision is chosen as where there is a GPU.
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    with GPU:
        generator = generator_for(GeneratorConfig(**FAMILIES[family]))
    code = torch.zeros(1, generator.config.code_size)
    facts = StyleFacts(name=family, family="photographic", looks=(family,), summary="")
    made = Style(generator, code, facts, "", device=GPU, **options)

    def planes(fmt: PlaneFormat, height: int, width: int, turns: int = 0) -> tuple[Tensor, ...]:
        sizes = [(2, height, width), *[(2, *fmt.chroma_size(height, width))] * 2]
        given = [torch.zeros(size, dtype=fmt.dtype, device=GPU) for size in sizes]
        with NothingCarried():
            out = made.on_device(given, fmt, turns)
        assert [(a.shape, a.dtype, a.device) for a in out] == [(a.shape, a.dtype, a.device) for a in given]
        return out

    return made, planes


@pytest.mark.parametrize("why_slow", [None, "no Triton"])
@pytest.mark.parametrize("family", FAMILIES)
def test_frames_stay_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, launched: list[str], family: str, why_slow: str | None
) -> None:
    with FakeTensorMode():
        _, planes = on_gpu(monkeypatch, family, why_slow)
        planes(PlaneFormat(), 720, 1280)
        planes(PlaneFormat(10, (1, 0)), 1280, 720, 1)
        planes(PlaneFormat(8, (1, 1), "bt601"), 90, 66)
        planes(PlaneFormat(8, (1, 1)), 91, 67)
    fast = family != "colour" and why_slow is None
    assert ("halve" in launched) == fast


def test_finish_and_dials_do_too(monkeypatch: pytest.MonkeyPatch, launched: list[str]) -> None:
    with FakeTensorMode():
        _, planes = on_gpu(
            monkeypatch,
            "photographic",
            None,
            dials=Dials(0.5, 0.5, 0.5, 0.5),
            finish=Finish(0.5, 0.5, Tone(warmth=0.5)),
        )
        planes(PlaneFormat(), 720, 1280)
