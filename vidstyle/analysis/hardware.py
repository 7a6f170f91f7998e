"""Measured limits of a device (copy rate, matrix products), and a description of the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vidstyle.styles.device import gpu_name, is_gpu, synchronize
from vidstyle.threads import usable_cores

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


_COPY_BYTES = 64 << 20
_CPU_MATRIX_SIDE, _GPU_MATRIX_SIDE = 1024, 8192
_REPEATS = 5


@dataclass(frozen=True)
class DeviceLimits:
    """Measured rates of an idle device.

    copy: bytes per second read by a copy within its memory, which writes as many. upload, download: bytes per
    second from and to pinned memory of the host, None on a CPU. flops: floating-point operations per second
    of a product of square matrices in `dtype`, the type that the networks run in.
    """

    copy: float
    upload: float | None
    download: float | None
    flops: float
    dtype: str


def measure_limits(device: torch.device) -> DeviceLimits:
    """Measure a device. Takes about a second and 200 MB."""
    here = torch.zeros(_COPY_BYTES, dtype=torch.uint8, device=device)
    there = torch.empty_like(here)
    copy = _COPY_BYTES / best_seconds(lambda: there.copy_(here), device)
    upload = download = None
    if device.type == "cuda":
        host = torch.zeros(_COPY_BYTES, dtype=torch.uint8, pin_memory=True)
        upload = _COPY_BYTES / best_seconds(lambda: there.copy_(host, non_blocking=True), device)
        download = _COPY_BYTES / best_seconds(lambda: host.copy_(there, non_blocking=True), device)
    side = _CPU_MATRIX_SIDE if device.type == "cpu" else _GPU_MATRIX_SIDE
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    left = torch.randn(side, side, device=device, dtype=dtype)
    out = torch.empty_like(left)
    flops = 2 * side**3 / best_seconds(lambda: torch.mm(left, left, out=out), device)
    return DeviceLimits(copy, upload, download, flops, str(dtype).removeprefix("torch."))


def best_seconds(work: Callable[[], object], device: torch.device, repeats: int = _REPEATS) -> float:
    """The shortest of several runs, after two that do not count. Waits for the device after each."""
    times = [timed(work, device) for _ in range(repeats + 2)]
    return min(times[2:])


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes on a device: by events of CUDA on such a GPU, else by the wall clock."""
    if device.type != "cuda":
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        return time.perf_counter() - began
    stream = torch.cuda.current_stream(device)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record(stream)
    work()
    end.record(stream)
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1000


def peak_host_bytes() -> int | None:
    """The highest memory use of this process so far in bytes, None where the system does not tell."""
    try:  # not getrusage first: on Linux it also counts the process that this one was started from
        held = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    except OSError:
        held = None
    if held:
        return int(held[1]) * 1024
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, cores, GPU, driver and versions, for a report."""
    found: dict[str, Any] = {
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": _processor(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "gpu": None,
        "driver": None,
        "cuda": None,
    }
    if is_gpu(device):
        found["gpu"] = gpu_name(device)
    if device.type == "cuda":
        found["gpu_bytes"] = torch.cuda.get_device_properties(device).total_memory
        found["cuda"] = torch.version.cuda
        found["driver"] = _driver()
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _driver() -> str | None:
    """Version of the NVIDIA driver as nvidia-smi tells it, None without that tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout.split("\n")[0].strip() or None
