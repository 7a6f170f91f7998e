"""bfloat16 inside networks and channels-last memory, on a GPU only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def use_mixed_precision(modules: Iterable[nn.Module | None], device: torch.device) -> None:
    """Let modules compute in bfloat16 and channels_last on a GPU that can; elsewhere nothing changes.

    None stands for a head that a generator does not have. bfloat16 has the range of float32, so no loss needs
    scaling. The outputs are float32: colors are mixed in float32 everywhere.
    """
    if device.type != "cuda":
        return
    supported = torch.cuda.is_bf16_supported(including_emulation=False)
    for module in modules:
        if module is None:
            continue
        module.to(memory_format=torch.channels_last)
        if supported:
            autocast_forward(module, device.type)


def autocast_forward(module: nn.Module, device_type: str) -> None:
    """Run a module's forward in bfloat16 from now on, with float32 at both ends.

    The method is replaced on the instance, so that the names in its state_dict stay as they are.
    """
    forward: Callable[..., Tensor] = module.forward

    def call(*inputs: Any) -> Tensor:
        with torch.autocast(device_type, torch.bfloat16):
            out = forward(*inputs)
        return out.float()

    setattr(module, "forward", call)  # noqa: B010 - type checkers refuse a method as a target
