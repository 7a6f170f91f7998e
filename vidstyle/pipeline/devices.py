"""Devices: which ones a run uses, what they are called, and how many frames they take at once."""

from __future__ import annotations

from typing import Any

import torch

from vidstyle.errors import DeviceError
from vidstyle.frames import VideoInfo
from vidstyle.styles.device import choose_device, gpu_name, gpus, is_gpu
from vidstyle.threads import cpu_workers

# Most frames in a batch, and most pixels: a GPU is kept busy, and memory stays within a few gigabytes.
_GPU_FRAMES, _GPU_PIXELS = 16, 32_000_000
_CPU_PIXELS = 16_000_000


def choose_devices(wanted: str, workers: int | None = None) -> tuple[str, ...]:
    """The device of each worker, such as ("cuda:0", "cuda:1").

    wanted: one device, several with commas between them, "all" (every GPU) or "auto" (every visible GPU, else
    the CPU). workers: how many there are, at least one for each device; more than that share the devices in
    turn. Raises DeviceError for a device that does not exist, and for CPU and GPU together, because their
    frames differ.
    """
    names = [name.strip() for name in wanted.split(",")]
    found = gpus()
    if wanted == "all":
        names = found
        if not found:
            raise DeviceError("all: no usable GPU was found. Use --workers, or see `vidstyle doctor`.")
    elif wanted == "auto" and len(found) > 1:
        names = found
    chosen = [choose_device(name) for name in names]
    if len({device.type for device in chosen}) > 1:
        raise DeviceError(
            f"{wanted}: a CPU and a GPU give slightly different frames. Name devices of one kind."
        )
    return tuple(str(chosen[n % len(chosen)]) for n in range(max(workers or 1, len(chosen))))


def device_of(style: Any) -> str:
    """The device that a style works on; a style without the attribute `device` works on the CPU."""
    return str(getattr(style, "device", "cpu"))


def hardware_name(style: Any) -> str:
    """The hardware that a style works on, in words. Hardware of the same name gives the same frames."""
    device = device_of(style)
    if is_gpu(device):
        plain_torch = getattr(style, "slow", None) is not None
        return gpu_name(torch.device(device)) + (", plain torch" if plain_torch else "")
    return f"CPU with {torch.backends.cpu.get_cpu_capability()}"


def auto_batch_size(info: VideoInfo, device: str) -> int:
    """Frames in a batch: enough to keep a GPU busy; on a CPU one for each core that works on frames."""
    if is_gpu(device):
        most_frames, most_pixels = _GPU_FRAMES, _GPU_PIXELS
    else:
        most_frames, most_pixels = cpu_workers(), _CPU_PIXELS
    return max(1, min(most_frames, most_pixels // (info.width * info.height)))
