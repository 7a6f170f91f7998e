"""RenderRequest and Engine: what is to be rendered, and who renders it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vidstyle.media.segments import Committed, WorkFolder
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.plan import Plan
from vidstyle.styles.restyler import Restyler

# Called with the number of frames that are new. Negative when a worker died and its frames are lost.
OnFrames = Callable[[int], None]


@dataclass(frozen=True)
class RenderRequest:
    """Everything an engine needs to render the segments of one clip. It can be pickled if the style can.

    work: the folder that the finished segments go into.
    """

    plan: Plan
    style: Restyler
    options: ApplyOptions
    work: WorkFolder


class Engine(Protocol):
    """Renders the segments of a clip, in any order: in this process, on several GPUs, or on a cluster."""

    @property
    def device(self) -> str:
        """The kind of device that makes the frames: cpu, cuda, or one device such as cuda:0."""

    def render(
        self, request: RenderRequest, finished: dict[int, Committed], on_frames: OnFrames
    ) -> list[str]:
        """Render and commit every segment that is not in `finished` (number -> segment), and add it there.

        Returns warnings for the user. Raises InputError, DeviceError or OutputError.
        """
