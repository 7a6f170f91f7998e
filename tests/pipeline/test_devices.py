"""Which devices a run uses, and how many frames they take at once."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from vidstyle.errors import DeviceError
from vidstyle.frames import PlaneFormat, VideoInfo
from vidstyle.pipeline.devices import auto_batch_size, choose_devices, device_of, hardware_name


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is every GPU where there are several; workers share them in turn; kinds do not mix."""
    assert choose_devices("cpu", None) == ("cpu",)
    assert choose_devices("cpu", 3) == ("cpu", "cpu", "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_devices("auto", None) == ("cuda:0", "cuda:1")
    assert choose_devices("cuda:1", None) == ("cuda:1",)
    assert choose_devices("all", 3) == ("cuda:0", "cuda:1", "cuda:0")
    assert choose_devices("cuda:1, cuda:0", None) == ("cuda:1", "cuda:0")
    for wrong, words in (
        ("cuda:0,cpu", "one kind"),
        ("cuda:2", "this machine has 2"),
        ("abacus", "not a valid device"),
    ):
        with pytest.raises(DeviceError, match=words):
            choose_devices(wrong, None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match="no usable GPU"):
        choose_devices("all", None)


def info(width: int, height: int) -> VideoInfo:
    return VideoInfo(
        width=width,
        height=height,
        average_fps=Fraction(25),
        time_base=Fraction(1, 25),
        duration_seconds=1.0,
        pixel_format="yuv420p",
        format=PlaneFormat(),
    )


def test_batches_fit_the_device_and_the_frame() -> None:
    """On a CPU a frame for each thread; on a GPU 16; fewer where frames are large, and never none."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        sizes = [auto_batch_size(info(*s), "cpu") for s in ((320, 180), (1280, 720), (3840, 2160))]
    finally:
        torch.set_num_threads(threads)
    assert sizes == [3, 3, 1]
    sizes = [auto_batch_size(info(*s), "cuda:0") for s in ((320, 180), (1280, 720), (3840, 2160))]
    assert sizes == [16, 16, 3]
    assert auto_batch_size(info(30_000, 20_000), "cuda") == 1


def test_a_style_without_a_device_works_on_the_cpu() -> None:
    """Any object with `restyle` is a style; its hardware is named by what the CPU can do."""
    assert device_of(object()) == "cpu"
    assert hardware_name(object()).startswith("CPU with ")
