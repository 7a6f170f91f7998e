"""Half precision inside networks and channels-last memory, on a GPU only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def quicken(modules: Iterable[nn.Module | None], device: torch.device) -> None:
    """Let modules compute in bfloat16 and channels_last on a GPU that can; elsewhere nothing changes.

    None is a head that is not there. bfloat16 has the range of float32, so no loss needs scaling. What comes
    out is float32 again: colors are mixed in float32 everywhere.
    """
    if device.type != "cuda":
        return
    half = torch.cuda.is_bf16_supported(including_emulation=False)
    for module in modules:
        if module is None:
            continue
        module.to(memory_format=torch.channels_last)
        if half:
            in_half(module, device.type)


def in_half(module: nn.Module, device_type: str) -> None:
    """Run a module's forward in bfloat16 from now on, with float32 at both ends."""
    forward: Callable[..., Tensor] = module.forward

    def call(*inputs: Any) -> Tensor:
        with torch.autocast(device_type, torch.bfloat16):
            out = forward(*inputs)
        return out.float()

    setattr(module, "forward", call)  # noqa: B010 - type checkers refuse a method as a target
