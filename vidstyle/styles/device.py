"""Chooses the device that a style runs on: a CPU, or a GPU of any kind that torch knows."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch

from vidstyle.errors import DeviceError

# GPUs as torch calls them, in the order in which `auto` asks: NVIDIA and AMD (ROCm), Apple, Intel.
GPU_KINDS = ("cuda", "mps", "xpu")
_NAMES = "auto, cpu, cuda, cuda:N, mps or xpu"


def is_gpu(device: str | torch.device) -> bool:
    """Whether it is a GPU of any kind; its name may have a number."""
    return str(device).partition(":")[0] in GPU_KINDS


def gpu_count(kind: str) -> int:
    """How many GPUs of a kind torch can use here."""
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    module = _module(kind)
    return int(module.device_count()) if module is not None and module.is_available() else 0


def gpus() -> list[str]:
    """Every GPU of this machine, all of one kind: ["cuda:0", "cuda:1"], or ["mps"]."""
    for kind in GPU_KINDS:
        count = gpu_count(kind)
        if count:
            return ["mps"] if kind == "mps" else [f"{kind}:{number}" for number in range(count)]
    return []


def choose_device(name: str) -> torch.device:
    """The device for "cpu", "cuda", "cuda:N", "mps", "xpu", or "auto", which is the first GPU, else the CPU.

    DeviceError for any other, and for one that is not there.
    """
    if name == "auto":
        found = gpus()
        return torch.device(found[0].partition(":")[0] if found else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name}: not a valid device. Use {_NAMES}.") from error
    if device.type != "cpu" and not is_gpu(device):
        raise DeviceError(f"{name}: this kind of device is not supported. Use {_NAMES}.")
    if is_gpu(device):
        count = gpu_count(device.type)
        if (device.index or 0) >= count:
            raise DeviceError(f"{name}: no such GPU, {_missing(device.type, count)}")
    return device


def _missing(kind: str, count: int) -> str:
    """What there is in place of a GPU, and what to do."""
    if count:
        return f"this machine has {count}. Use --device cpu, or another number."
    if kind == "cuda":
        return "no usable NVIDIA GPU was found. Use --device cpu, or look at nvidia-smi."
    owner = {"mps": "Apple", "xpu": "Intel"}[kind]
    return f"torch finds no GPU of {owner} here. Use --device auto or cpu."


def gpu_name(device: torch.device) -> str:
    """A GPU in words."""
    module = _module(device.type)
    if device.type == "mps" or module is None:
        return "Apple GPU (Metal)"
    return str(module.get_device_name(device))


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done all that it was told; nothing on a CPU."""
    module = _module(device.type)
    if is_gpu(device) and module is not None:
        module.synchronize()


def free_unused_memory() -> None:
    """Give back what torch keeps of the GPU's memory for later."""
    for kind in GPU_KINDS:
        module = _module(kind)
        if module is not None and gpu_count(kind):
            module.empty_cache()


def _module(kind: str) -> ModuleType | Any | None:
    return getattr(torch, kind, None) if kind in GPU_KINDS else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a GPU or of the machine; torch has more than one way to say so."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
