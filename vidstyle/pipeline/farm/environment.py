"""What a render farm says in environment variables, read before torch is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping


def take_gpus(environment: MutableMapping[str, str]) -> None:
    """OpenCue names a task's GPUs in CUE_GPU_CORES; torch reads CUDA_VISIBLE_DEVICES, which comes first."""
    gpus = environment.get("CUE_GPU_CORES", "").strip()
    if gpus:
        environment.setdefault("CUDA_VISIBLE_DEVICES", gpus)
