"""The engine of a Ray cluster: one actor for each GPU, or for each core without GPUs.

Segments travel through storage that all nodes share; Ray carries tasks and reports, never frames.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from vidstyle.errors import DeviceError, OutputError
from vidstyle.media.segment_index import Task, scan
from vidstyle.media.segments import Committed, WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.farm.worker import Done, Failed, Maker, Order
from vidstyle.pipeline.plan import Plan, Restyler
from vidstyle.pipeline.process_settings import set_up_worker
from vidstyle.pipeline.render import smooth_margin
from vidstyle.styles.style import Style

# Segments that an actor has before it: one that it makes and one that waits.
_IN_FLIGHT = 2
# How often Ray starts a dead actor again, and gives it the segment that it died over.
_RETRIES = 3
_SECONDS_TO_START = 180.0


class _Actor:
    """Lives on a node of the cluster with the style loaded."""

    def __init__(self, order: bytes) -> None:
        self._order: Order = pickle.loads(order)
        set_up_worker(self._order.threads)
        self._maker: Maker | None = None

    def ready(self) -> Failed | None:
        """Whether this node has what it needs: the source and the folder of the segments."""
        for path in (self._order.job.source, self._order.work.path):
            if not Path(path).exists():
                return Failed(
                    OutputError(
                        f"{path}: node {os.uname().nodename} of the cluster does not see it. "
                        "Use storage that all nodes share."
                    )
                )
        return None

    def make(self, task: Task) -> Done | Failed:
        try:
            self._maker = self._maker or Maker(self._order)
            return self._maker.make(task, lambda frames: None)
        except Exception as error:
            return Failed.of(error)


class Cluster:
    """Segments as tasks of Ray actors; what dies is started again and its segment made again.

    address: `auto` for the cluster that this machine belongs to, or one like `10.0.0.1:6379`.
    device: auto (GPUs if the cluster has any), cpu or cuda. Raises DeviceError when there is no cluster, or
    not what is asked for: nothing waits for ever.
    """

    def __init__(self, address: str, device: str = "auto") -> None:
        self._ray = _connected(address)
        resources = self._ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        kind = device.partition(":")[0]
        self.device = ("cuda" if gpus else "cpu") if kind == "auto" else kind
        self.actors = gpus if self.device == "cuda" else cpus
        if self.actors < 1:
            raise DeviceError(
                f"{address}: the cluster has {gpus} GPUs and {cpus} CPUs, so none for --device {device}. "
                "Add nodes that have some, or choose another device."
            )

    def render(
        self,
        job: Plan,
        style: Restyler,
        options: ApplyOptions,
        work: WorkFolder,
        finished: dict[int, Committed],
        on_frames: Callable[[int], None],
    ) -> list[str]:
        """As Engine says; progress comes by whole segments."""
        margin = smooth_margin(options)
        found = scan(job.source, options.segment_frames, margin, options.deinterlace, options.fps)
        todo = deque(task for task in found if task.number not in finished)
        payload = pickle.dumps(style.to("cpu") if isinstance(style, Style) else style)
        job = replace(job, source=job.source.absolute())
        shared = WorkFolder(work.target.absolute(), work.key, options, root=work.root.absolute())
        order = pickle.dumps(Order(payload, job, replace(options, device=self.device), shared, threads=1))
        actors = [self._actor(order) for _ in range(min(self.actors, len(todo)))]
        try:
            return self._work(actors, todo, finished, on_frames)
        finally:
            for actor in actors:
                self._ray.kill(actor)

    def _actor(self, order: bytes) -> Any:
        remote = self._ray.remote(
            num_cpus=1,
            num_gpus=1 if self.device == "cuda" else 0,
            max_restarts=_RETRIES,
            max_task_retries=_RETRIES,
        )(_Actor)
        return remote.remote(order)

    def _work(
        self,
        actors: list[Any],
        todo: deque[Task],
        finished: dict[int, Committed],
        on_frames: Callable[[int], None],
    ) -> list[str]:
        ray = self._ray
        warnings: list[str] = []
        owners = {actor.ready.remote(): actor for actor in actors}
        first = True
        while owners:
            done, _ = ray.wait(list(owners), timeout=_SECONDS_TO_START if first else None)
            if not done:
                raise DeviceError(
                    f"the cluster gave no worker within {_SECONDS_TO_START:.0f} s. "
                    "Look at `ray status` for who holds its resources."
                )
            first = False
            for reference in done:
                actor = owners.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayError as error:
                    raise DeviceError(
                        f"a worker of the cluster died {_RETRIES + 1} times "
                        f"({type(error).__name__}). Look at the logs of Ray on its node."
                    ) from error
                if isinstance(result, Failed):
                    raise result.to_raise()
                if isinstance(result, Done):
                    segment = result.segment
                    finished[segment.number] = segment
                    warnings += result.warnings
                    on_frames(segment.stop - segment.start)
                busy = sum(owner is actor for owner in owners.values())
                for _ in range(min(_IN_FLIGHT - busy, len(todo))):
                    owners[actor.make.remote(todo.popleft())] = actor
        return list(dict.fromkeys(warnings))


def _connected(address: str) -> Any:
    """The module ray, connected. DeviceError when it is not installed or there is no cluster."""
    try:
        ray: Any = import_module("ray")
    except ModuleNotFoundError as error:
        raise DeviceError("ray: it is not installed. Run pip install 'vidstyle[ray]'.") from error
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise DeviceError(
                f"{address}: no Ray cluster can be reached ({error}). Start one with ray start --head."
            ) from error
    return ray
