"""Environment variables of render farms, read before torch is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping


def take_gpus(environment: MutableMapping[str, str]) -> None:
    """Make torch use the GPUs that OpenCue has given to the task.

    OpenCue names them in CUE_GPU_CORES, torch reads CUDA_VISIBLE_DEVICES. A value that is there already
    stays.
    """
    gpus = environment.get("CUE_GPU_CORES", "").strip()
    if gpus:
        environment.setdefault("CUDA_VISIBLE_DEVICES", gpus)
