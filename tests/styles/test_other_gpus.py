"""GPUs of Apple (mps) and Intel (xpu), as far as they can be shown without one.

torch's `meta` device stands in for them: it has shapes and no content, mixing it with the CPU raises, and so
does reading a number back. Whether a real one has every operation is not known.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.clips import random_frames
from tests.helpers.styles import COLORIST, TINY
from vidstyle.errors import DeviceError
from vidstyle.frames import PlaneFormat, VideoInfo
from vidstyle.imaging.finishing import Finish
from vidstyle.models.base import Dials, GeneratorConfig
from vidstyle.models.registry import build_generator
from vidstyle.options import Tone
from vidstyle.pipeline.devices import auto_batch_size, choose_devices
from vidstyle.styles.device import choose_device, gpu_count, gpus, is_gpu
from vidstyle.styles.executor import CudaExecutor, queue_of
from vidstyle.styles.network_style import NetworkStyle
from vidstyle.styles.plain_queue import PlainQueue
from vidstyle.styles.style_file import StyleFacts

KINDS = ("mps", "xpu")
FAMILIES = {
    "photographic": TINY,
    "drawn": {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2, "sheet_waves": 2},
    "painted": {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2, "washes": 2},
    "colour": COLORIST,
}


class NoDoubles(TorchDispatchMode):
    """Raises where something of float64 is made on the GPU: Apple's have no such numbers."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.device.type == "meta":
                assert tensor.dtype != torch.float64, func
        return made


def style_on(device: str, family: str) -> NetworkStyle:
    generator = build_generator(GeneratorConfig(**FAMILIES[family]))
    code = torch.zeros(1, generator.config.code_size)
    facts = StyleFacts(name=family, family="photographic", looks=(family,), summary="")
    finish, dials = Finish(0.5, 0.5, Tone(warmth=0.5)), Dials(0.9)
    place = torch.device(device)
    return NetworkStyle(generator, code, facts, "", device=place, finish=finish, dials=dials)


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_stay_there(family: str) -> None:
    """Every kind of planes through every family: nothing is made elsewhere, in float64, or read back."""
    style = style_on("meta", family)
    for fmt, turns in (
        (PlaneFormat(), 0),
        (PlaneFormat(10, (1, 0)), 1),
        (PlaneFormat(8, (1, 1), "bt601"), 0),
    ):
        sizes = [(2, 90, 160), *[(2, *fmt.chroma_size(90, 160))] * 2]
        planes = [torch.zeros(size, dtype=fmt.dtype, device="meta") for size in sizes]
        with NoDoubles():
            made = style.on_device(planes, fmt, turns)
        assert [(p.shape, p.dtype, p.device) for p in made] == [(p.shape, p.dtype, p.device) for p in planes]


def test_the_plain_queue_gives_the_frames_of_the_cpu() -> None:
    """Batches in flight and repeated, in order, without a warning: a CPU stands in for the GPU."""
    style = style_on("cpu", "photographic")
    batches = [random_frames(4) for _ in range(5)]
    queue = PlainQueue(torch.device("cpu"))
    executor = CudaExecutor(lambda: queue, style.on_device)
    pending = [executor.submit(batch) for batch in batches]
    for one, batch in zip(pending, batches, strict=True):
        made, wanted = one.result(), style.restyle(batch).planes
        for plane, right in zip(made, wanted, strict=True):
            assert (plane.to(torch.int32) - right.to(torch.int32)).abs().max() <= 1
    assert executor.warnings == [] and isinstance(queue_of(torch.device("mps")), PlainQueue)


def test_they_are_chosen_by_name_and_by_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is the GPU that is there, of whatever kind; `all` are all of its kind; one kind at a time."""
    for kind in ("cuda", *KINDS):
        if gpu_count(kind):
            pytest.skip("this machine has a GPU")
    assert gpus() == [] and choose_device("auto").type == "cpu"
    for kind, owner in (("mps", "Apple"), ("xpu", "Intel")):
        with pytest.raises(DeviceError, match=f"no GPU of {owner} here"):
            choose_device(kind)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps" and choose_devices("all", 2) == ("mps", "mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 2)
    assert choose_devices("auto") == ("xpu:0", "xpu:1") and choose_device("xpu:1").index == 1
    with pytest.raises(DeviceError, match="this machine has 2"):
        choose_device("xpu:2")
    for name in ("vulkan", "meta"):
        with pytest.raises(DeviceError, match=r"not supported\. Use auto, cpu, cuda, cuda:N, mps or xpu"):
            choose_device(name)


def test_they_count_as_gpus() -> None:
    """Large batches, as on any GPU."""
    clip = VideoInfo(
        width=1280,
        height=720,
        average_fps=Fraction(25),
        time_base=Fraction(1, 25),
        duration_seconds=1.0,
        pixel_format="yuv420p",
        format=PlaneFormat(),
    )
    assert all(is_gpu(name) for name in ("cuda", "cuda:1", "mps", "xpu:0")) and not is_gpu("cpu")
    assert auto_batch_size(clip, "mps") == auto_batch_size(clip, "cuda") == 16
