"""The engine of a Ray cluster: one actor for each GPU, or for each core without GPUs.

Segments travel through storage that all nodes share; Ray carries tasks and reports, never frames.
"""

from __future__ import annotations

import logging
import platform
from collections import deque
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from vidstyle.errors import DeviceError, OutputError
from vidstyle.media.segment_index import SegmentTask, scan
from vidstyle.media.segments import Committed, WorkFolder
from vidstyle.pipeline.engine import OnFrames, RenderRequest
from vidstyle.pipeline.farm.worker import SegmentDone, TaskRenderer, WorkerFailed, for_worker
from vidstyle.pipeline.painting import frame_margin
from vidstyle.pipeline.process_settings import set_up_worker

# Segments that an actor holds: one that it renders and one that waits.
_TASKS_PER_ACTOR = 2
# How often Ray starts a dead actor again, and gives it the segment that it died over.
_RETRIES = 3
_SECONDS_TO_START = 180.0


class _Actor:
    """A Ray actor: lives on a node of the cluster and keeps the style loaded."""

    def __init__(self, pickled: bytes, paths: tuple[str, ...]) -> None:
        """pickled: a request from `for_worker`. paths: what this node must see."""
        set_up_worker(1)  # Ray gives an actor one core
        self._pickled, self._paths = pickled, paths
        self._renderer: TaskRenderer | None = None

    def check(self) -> WorkerFailed | None:
        """The error of a node that does not see the source or the folder of the segments."""
        for path in self._paths:
            if not Path(path).exists():
                return WorkerFailed(
                    OutputError(
                        f"{path}: node {platform.node()} of the cluster does not see it. "
                        "Use storage that all nodes share."
                    )
                )
        return None

    def render(self, task: SegmentTask) -> SegmentDone | WorkerFailed:
        try:
            self._renderer = self._renderer or TaskRenderer(self._pickled)
            return self._renderer.render(task, lambda frames: None)
        except Exception as error:
            return WorkerFailed.of(error)


class Cluster:
    """The engine of a Ray cluster: actors render segments; one that dies is started again.

    address: `auto` for the cluster that this machine belongs to, or one like `10.0.0.1:6379`. device: auto
    (GPUs if the cluster has any), cpu or cuda. Raises DeviceError when there is no cluster, or when it lacks
    what is asked for: nothing waits for ever.
    """

    def __init__(self, address: str, device: str = "auto") -> None:
        self._ray = _connected(address)
        resources = self._ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
        kind = device.partition(":")[0]
        self.device = ("cuda" if gpus else "cpu") if kind == "auto" else kind
        self.actors = gpus if self.device != "cpu" else cpus
        if self.actors < 1:
            raise DeviceError(
                f"{address}: the cluster has {gpus} GPUs and {cpus} CPUs, so none for --device {device}. "
                "Add nodes that have some, or choose another device."
            )

    def render(
        self, request: RenderRequest, finished: dict[int, Committed], on_frames: OnFrames
    ) -> list[str]:
        """See Engine. Frames are counted by whole segments."""
        options, work, media = request.options, request.work, request.plan.media
        found = scan(
            media,
            segment_frames=options.segment_frames,
            margin=frame_margin(options),
            deinterlace=options.deinterlace,
            cut=request.plan.cut,
        )
        waiting = deque(task for task in found if task.number not in finished)
        media = replace(media, path=media.path.absolute())
        shared = WorkFolder(work.target.absolute(), work.key, options, root=work.root.absolute())
        request = replace(request, plan=replace(request.plan, media=media), work=shared)
        pickled = for_worker(request, self.device)
        paths = (str(media.path), str(shared.path))
        actors = [self._actor(pickled, paths) for _ in range(min(self.actors, len(waiting)))]
        try:
            return self._run(actors, waiting, finished, on_frames)
        finally:
            for actor in actors:
                self._ray.kill(actor)

    def _actor(self, pickled: bytes, paths: tuple[str, ...]) -> Any:
        remote = self._ray.remote(
            num_cpus=1,
            num_gpus=1 if self.device != "cpu" else 0,
            max_restarts=_RETRIES,
            max_task_retries=_RETRIES,
        )(_Actor)
        return remote.remote(pickled, paths)

    def _run(
        self,
        actors: list[Any],
        waiting: deque[SegmentTask],
        finished: dict[int, Committed],
        on_frames: OnFrames,
    ) -> list[str]:
        """Keep every actor supplied with tasks until all of them are done."""
        warnings: list[str] = []
        owners = {actor.check.remote(): actor for actor in actors}
        timeout: float | None = _SECONDS_TO_START
        while owners:
            done, _ = self._ray.wait(list(owners), timeout=timeout)
            if not done:
                raise DeviceError(
                    f"the cluster gave no worker within {_SECONDS_TO_START:.0f} s. "
                    "Look at `ray status` for who holds its resources."
                )
            timeout = None
            for reference in done:
                actor = owners.pop(reference)
                result = self._result(reference)
                if isinstance(result, WorkerFailed):
                    raise result.to_raise()
                if isinstance(result, SegmentDone):
                    segment = result.segment
                    finished[segment.number] = segment
                    warnings += result.warnings
                    on_frames(segment.stop - segment.start)
                held = sum(owner is actor for owner in owners.values())
                for _ in range(min(_TASKS_PER_ACTOR - held, len(waiting))):
                    owners[actor.render.remote(waiting.popleft())] = actor
        return list(dict.fromkeys(warnings))

    def _result(self, reference: Any) -> SegmentDone | WorkerFailed | None:
        try:
            result: SegmentDone | WorkerFailed | None = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise DeviceError(
                f"a worker of the cluster died {_RETRIES + 1} times "
                f"({type(error).__name__}). Look at the logs of Ray on its node."
            ) from error
        return result


def _connected(address: str) -> Any:
    """The module ray, connected to a cluster. DeviceError when it is not installed or there is no cluster."""
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
