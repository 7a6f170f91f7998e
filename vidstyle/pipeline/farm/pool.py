"""The engine of one machine: several GPUs, or several processes on its cores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from queue import Queue
from typing import Any

from vidstyle.errors import DeviceError, OutOfMemoryError
from vidstyle.media.segment_index import SegmentTask, scan
from vidstyle.media.segments import Committed
from vidstyle.pipeline.engine import OnFrames, RenderRequest
from vidstyle.pipeline.farm.worker import FramesRendered, SegmentDone, WorkerFailed, for_worker
from vidstyle.pipeline.painting import frame_margin
from vidstyle.threads import cpu_workers

# After so many workers have died over the same segment, the segment is to blame.
_MOST_DEATHS = 3
_SECONDS_TO_STOP = 20.0


class Pool:
    """The engine of one machine with several workers: processes that take one segment after another.

    Each worker has one device; the cores of the CPU are shared out. A worker that dies is replaced and its
    segment is rendered again. Rendering begins as soon as a quick scan of the source has found the first
    segment. restarts: how many workers were replaced.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        """devices: one for each worker, all of one kind, see `choose_devices`."""
        self.devices = tuple(devices)
        self.device = self.devices[0]
        self.restarts = 0

    def render(
        self, request: RenderRequest, finished: dict[int, Committed], on_frames: OnFrames
    ) -> list[str]:
        """See Engine. Raises what a worker raises, and DeviceError when workers die again and again."""
        run = _PoolRun(request, frozenset(finished), self.devices)
        warnings: list[str] = []
        try:
            run.start()
            while run.is_unfinished(finished):
                event = run.events.get()
                if isinstance(event, FramesRendered):
                    on_frames(event.count)
                elif isinstance(event, SegmentDone):
                    finished[event.segment.number] = event.segment
                    warnings += event.warnings
                elif isinstance(event, BaseException):
                    raise event
        finally:
            run.stop()
            self.restarts += run.restarts
        return list(dict.fromkeys(warnings))


class _PoolRun:
    """The workers of one clip. A thread for each of them starts, feeds and replaces its process."""

    def __init__(self, request: RenderRequest, finished: frozenset[int], devices: Sequence[str]) -> None:
        self._request, self._finished = request, finished
        self._pickled = {device: for_worker(request, device) for device in set(devices)}
        self._threads_each = max(1, cpu_workers() // len(devices))
        self.events: Queue[Any] = Queue()
        self.restarts = 0
        self._segment_count: int | None = None  # known when the scan is done
        self._waiting: deque[SegmentTask] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [threading.Thread(target=self._scan, name="vidstyle-scan", daemon=True)]
        self._threads += [
            threading.Thread(target=self._feed, args=(n, device), name=f"vidstyle-worker-{n}", daemon=True)
            for n, device in enumerate(devices)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def is_unfinished(self, finished: dict[int, Committed]) -> bool:
        with self._changed:
            count = self._segment_count
            return count is None or any(n not in finished for n in range(count))

    def stop(self) -> None:
        """Give out no more tasks, end the workers and wait for all threads."""
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
        """Find the segments of the clip and queue those that are missing."""
        options = self._request.options
        count = 0
        tasks = scan(
            self._request.plan.media,
            segment_frames=options.segment_frames,
            margin=frame_margin(options),
            deinterlace=options.deinterlace,
            cut=self._request.plan.cut,
        )
        try:
            for task in tasks:
                count += 1
                with self._changed:
                    if self._stopping:
                        return
                    if task.number not in self._finished:
                        self._waiting.append(task)
                        self._changed.notify()
        except BaseException as error:
            self.events.put(error)
            return
        finally:
            tasks.close()
        with self._changed:
            self._segment_count = count
            self._changed.notify_all()
        self.events.put(None)  # wakes `render`, which looks again whether everything is finished

    def _next_task(self) -> SegmentTask | None:
        """Wait for a task. None when there will be no more."""
        with self._changed:
            while not self._waiting and self._segment_count is None and not self._stopping:
                self._changed.wait()
            return None if self._stopping or not self._waiting else self._waiting.popleft()

    def _feed(self, number: int, device: str) -> None:
        """The thread of one worker."""
        try:
            while (task := self._next_task()) is not None:
                self._render(number, device, task)
        except BaseException as error:
            self.events.put(error)
        finally:
            self._close(number)

    def _render(self, number: int, device: str, task: SegmentTask) -> None:
        """Have one segment rendered, by another process if one dies over it."""
        for death in range(1, _MOST_DEATHS + 1):
            frames = 0
            try:
                process = self._processes.get(number) or self._start_process(number, device)
                assert process.stdin is not None and process.stdout is not None
                pickle.dump(task, process.stdin)
                process.stdin.flush()
                while True:
                    event = pickle.load(process.stdout)
                    if isinstance(event, WorkerFailed):
                        raise event.to_raise()
                    frames += event.count if isinstance(event, FramesRendered) else 0
                    self.events.put(event)
                    if isinstance(event, SegmentDone):
                        return
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                code = self._close(number)
                if self._stopping:
                    return
                self.restarts += 1
                self.events.put(FramesRendered(-frames))  # they are lost
                if death == _MOST_DEATHS:
                    raise _dead_worker_error(device, task, code) from None

    def _start_process(self, number: int, device: str) -> subprocess.Popen[bytes]:
        threads = self._threads_each if device == "cpu" else cpu_workers()
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),  # torch takes its number of threads from here
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path),
        }
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
        pickle.dump(self._pickled[device], process.stdin)
        process.stdin.flush()
        return process

    def _close(self, number: int) -> int | None:
        """Close the pipes of a worker and wait for its end. Its exit code, None if it was not running."""
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


def _dead_worker_error(device: str, task: SegmentTask, code: int | None) -> DeviceError:
    where = f"worker on {device}: it died {_MOST_DEATHS} times over segment {task.number}"
    if code == -9:
        return OutOfMemoryError(
            f"{where}, killed by the system as when memory is short. Use fewer --workers, or a smaller clip."
        )
    return DeviceError(f"{where} (exit code {code}). Use --workers 1 to see why.")
