"""The engine of one machine: several GPUs, or several processes on its cores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from queue import Queue
from typing import Any

import torch

from vidstyle.errors import DeviceError, OutOfMemoryError
from vidstyle.media.segment_index import Task, scan
from vidstyle.media.segments import Committed, WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.farm.worker import Done, Failed, Frames, Order
from vidstyle.pipeline.plan import Plan, Restyler
from vidstyle.pipeline.render import smooth_margin
from vidstyle.styles.style import Style, choose_device
from vidstyle.threads import cpu_workers

# How often a worker may die over the same segment before it is taken for the segment's fault.
_MOST_DEATHS = 3
_SECONDS_TO_STOP = 20.0


def choose_devices(wanted: str, workers: int | None) -> tuple[str, ...]:
    """The device of each worker. wanted: a device, several with commas between, `all` GPUs, or `auto`.

    "auto" is every GPU that is visible, else the CPU. More workers than devices share them in turn.
    DeviceError for a device that is not there and for a mixture of kinds, whose frames would differ.
    """
    names = [name.strip() for name in wanted.split(",")]
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if wanted == "all":
        names = gpus
        if not gpus:
            raise DeviceError("all: no usable NVIDIA GPU was found. Use --workers, or look at nvidia-smi.")
    elif wanted == "auto" and len(gpus) > 1:
        names = gpus
    chosen = [choose_device(name) for name in names]
    if len({device.type for device in chosen}) > 1:
        raise DeviceError(
            f"{wanted}: a CPU and a GPU give slightly different frames. Name devices of one kind."
        )
    return tuple(str(chosen[n % len(chosen)]) for n in range(max(workers or 1, len(chosen))))


class Pool:
    """Processes that pull segments, one device each; one that dies is replaced and its segment made again.

    Segments are begun as soon as a first, quick pass over the source has seen them. Cores are shared out.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.devices = tuple(devices)
        self.device = self.devices[0]
        self.restarts = 0

    def render(
        self,
        job: Plan,
        style: Restyler,
        options: ApplyOptions,
        work: WorkFolder,
        finished: dict[int, Committed],
        on_frames: Callable[[int], None],
    ) -> list[str]:
        """As Engine says. Raises what a worker raises, and DeviceError when workers die again and again."""
        shift = _Shift(job, style, options, work, frozenset(finished), self.devices)
        warnings: list[str] = []
        try:
            shift.begin()
            while shift.unfinished(finished):
                event = shift.events.get()
                if isinstance(event, Frames):
                    on_frames(event.count)
                elif isinstance(event, Done):
                    finished[event.segment.number] = event.segment
                    warnings += event.warnings
                elif isinstance(event, BaseException):
                    raise event
        finally:
            shift.end()
            self.restarts += shift.restarts
        return list(dict.fromkeys(warnings))


class _Shift:
    """The workers of one clip: a thread for each, which starts, feeds and replaces its process."""

    def __init__(
        self,
        job: Plan,
        style: Restyler,
        options: ApplyOptions,
        work: WorkFolder,
        finished: frozenset[int],
        devices: Sequence[str],
    ) -> None:
        self._job, self._options, self._work, self._finished = job, options, work, finished
        self._style = pickle.dumps(style.to("cpu") if isinstance(style, Style) else style)
        self._threads_each = max(1, cpu_workers() // len(devices))
        self.events: Queue[Any] = Queue()
        self.restarts = 0
        self._count: int | None = None
        self._todo: deque[Task] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [threading.Thread(target=self._scan, name="vidstyle-scan", daemon=True)]
        self._threads += [
            threading.Thread(target=self._serve, args=(n, device), name=f"vidstyle-worker-{n}", daemon=True)
            for n, device in enumerate(devices)
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def unfinished(self, finished: dict[int, Committed]) -> bool:
        with self._changed:
            return self._count is None or any(n not in finished for n in range(self._count))

    def end(self) -> None:
        """No more tasks; workers that are busy drop what they do."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            for process in self._processes.values():
                with suppress(OSError):
                    process.terminate()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _scan(self) -> None:
        options = self._options
        count = 0
        tasks = scan(
            self._job.media,
            segment_frames=options.segment_frames,
            margin=smooth_margin(options),
            deinterlace=options.deinterlace,
        )
        try:
            for task in tasks:
                count += 1
                with self._changed:
                    if self._stopping:
                        return
                    if task.number not in self._finished:
                        self._todo.append(task)
                        self._changed.notify()
        except BaseException as error:
            self.events.put(error)
            return
        finally:
            tasks.close()
        with self._changed:
            self._count = count
            self._changed.notify_all()
        self.events.put(None)  # so that whoever waits looks again

    def _next(self) -> Task | None:
        with self._changed:
            while not self._todo and self._count is None and not self._stopping:
                self._changed.wait()
            return None if self._stopping or not self._todo else self._todo.popleft()

    def _serve(self, number: int, device: str) -> None:
        try:
            while (task := self._next()) is not None:
                self._make(number, device, task)
        except BaseException as error:
            self.events.put(error)
        finally:
            self._dismiss(number)

    def _make(self, number: int, device: str, task: Task) -> None:
        """Have the segment made, by another process if one dies over it."""
        for death in range(1, _MOST_DEATHS + 1):
            frames = 0
            try:
                process = self._processes.get(number) or self._start(number, device)
                assert process.stdin is not None and process.stdout is not None
                pickle.dump(task, process.stdin)
                process.stdin.flush()
                while True:
                    event = pickle.load(process.stdout)
                    if isinstance(event, Failed):
                        raise event.to_raise()
                    frames += event.count if isinstance(event, Frames) else 0
                    self.events.put(event)
                    if isinstance(event, Done):
                        return
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                code = self._dismiss(number)
                if self._stopping:
                    return
                self.restarts += 1
                self.events.put(Frames(-frames))  # they are lost
                if death == _MOST_DEATHS:
                    raise _died(device, task, code) from None

    def _start(self, number: int, device: str) -> subprocess.Popen[bytes]:
        threads = self._threads_each if device == "cpu" else cpu_workers()
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        }
        order = Order(self._style, self._job, replace(self._options, device=device), self._work, threads)
        process = subprocess.Popen(
            [sys.executable, "-m", "vidstyle.pipeline.farm.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        with self._changed:
            self._processes[number] = process
            if self._stopping:
                process.terminate()
        assert process.stdin is not None
        pickle.dump(order, process.stdin)
        process.stdin.flush()
        return process

    def _dismiss(self, number: int) -> int | None:
        """Close the pipes of a process and wait for its end; its exit code, None if there was none."""
        with self._changed:
            process = self._processes.pop(number, None)
        if process is None:
            return None
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            return process.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _died(device: str, task: Task, code: int | None) -> DeviceError:
    where = f"worker on {device}: it died {_MOST_DEATHS} times over segment {task.number}"
    if code == -9:
        return OutOfMemoryError(
            f"{where}, killed as systems do when memory is short. Use fewer --workers, or a smaller clip."
        )
    return DeviceError(f"{where} (exit code {code}). Use --workers 1 to see why.")
