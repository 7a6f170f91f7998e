"""Chooses the device that a style runs on."""

from __future__ import annotations

import torch

from vidstyle.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """The device for "cpu", "cuda", "cuda:N" or "auto", which is the first GPU, else the CPU. DeviceError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name}: not a valid device. Use auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"{name}: this kind of device is not supported. Use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            have = f"this machine has {count}" if count else "no usable NVIDIA GPU was found"
            raise DeviceError(f"{name}: no such GPU, {have}. Use --device cpu, or look at nvidia-smi.")
    return device
