"""The work folder of a farm: its plan, what is finished and what is missing.

WORK/plan.json                     the plan: settings, fingerprints, segments
WORK/references/                   copies of the stills of --reference
WORK/<key>/000012.json             segment 12 is finished; names its data
WORK/<key>/000012-<digest>.mp4     its data
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidstyle.errors import InputError, OutputError
from vidstyle.files import map_write_error, write_durably
from vidstyle.media.segment_index import SegmentTask
from vidstyle.media.segments import Committed, WorkFolder
from vidstyle.options import ApplyOptions, Region, Tone
from vidstyle.pipeline.farm.ranges import consecutive_ranges, name_range, name_segments
from vidstyle.when import Keyframes, Range
from vidstyle.where import Protect

FORMAT = "vidstyle-farm-1"
PLAN = "plan.json"
STILLS = "references"  # folder of the stills of --reference, named by the hash of their bytes


@dataclass(frozen=True)
class PlanFile:
    """The plan of a clip as it stands in plan.json: its settings and the tasks of all segments.

    facts: everything that changes a byte of the segments, hashed to `key`. source, style: as the planning
    machine names them; absolute where they are paths. frames: how many the clip has. references: those of
    the style, with paths below the work folder; plans of before have none.
    """

    key: str
    facts: dict[str, Any]
    source: Path
    style: str
    batch_size: int | None
    start_number: int | None
    frames: int
    warnings: tuple[str, ...]
    tasks: tuple[SegmentTask, ...]
    references: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The kind of device that renders the frames: "cpu" or "cuda"."""
        return str(self.facts["made_with"]["device"])

    def options(self, **changes: Any) -> ApplyOptions:
        """The options of the plan. changes: options that change no byte, such as `device` and `overwrite`."""
        stored = self.facts["options"]
        fps = None if stored["fps"] is None else Fraction(stored["fps"])
        values = {**stored, "tone": Tone(**stored["tone"]), "fps": fps}
        if stored.get("region") is not None:
            values["region"] = Region.from_text(stored["region"])
        if stored.get("keyframes") is not None:
            values["keyframes"] = Keyframes.from_text(stored["keyframes"])
        values["ranges"] = tuple(Range.from_text(text) for text in stored.get("ranges", ()))
        if stored.get("protect") is not None:
            values["protect"] = Protect.from_text(stored["protect"])
        values |= {"batch_size": self.batch_size, "start_number": self.start_number, **changes}
        return ApplyOptions(**values)

    def work(self, folder: Path) -> WorkFolder:
        """The folder of the finished segments, which many machines may write to at once."""
        return WorkFolder(folder, self.key, self.options(), root=folder)


@dataclass(frozen=True)
class Status:
    """How far the segments of a plan are.

    done, missing, damaged: numbers of segments; a damaged one was finished, but its data are not whole.
    temporary: files that a worker is writing, or left behind when it was killed.
    """

    segments: int
    frames: int
    frames_done: int
    done: tuple[int, ...]
    missing: tuple[int, ...]
    damaged: tuple[int, ...]
    temporary: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def wanted(self) -> tuple[int, ...]:
        """Numbers of the segments that must be rendered (again)."""
        return tuple(sorted((*self.missing, *self.damaged)))


def has_plan(folder: Path, key: str) -> bool:
    """Whether the folder holds the plan with this key. Raises OutputError when it holds another plan."""
    if not (folder / PLAN).exists():
        return False
    if read_plan(folder).key != key:
        raise OutputError(
            f"{folder}: it holds the plan of another clip, style or setting. "
            "Choose another folder, clean it, or use --overwrite."
        )
    return True


def write_plan(folder: Path, plan: PlanFile) -> None:
    """Write plan.json and create the folder. Raises OutputError."""
    facts = {"format": FORMAT, **asdict(plan), "source": str(plan.source)}
    if not plan.references:
        del facts["references"]  # versions of before can read such a plan
    try:
        plan.work(folder).path.mkdir(parents=True, exist_ok=True)
        write_durably(folder / PLAN, json.dumps(facts))
    except OSError as error:
        map_write_error(folder, error)


def read_plan(folder: Path) -> PlanFile:
    """The plan in the folder. Raises InputError when it is missing, damaged or of another version."""
    path = folder / PLAN
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.pop("format") != FORMAT:
            raise InputError(
                f"{path}: it was written by another version of vidstyle. Use that version, or plan again."
            )
        tasks = tuple(SegmentTask.from_dict(task) for task in facts.pop("tasks"))
        facts["source"] = Path(facts["source"])
        facts["warnings"] = tuple(facts["warnings"])
        facts["references"] = tuple(facts.get("references", ()))
        return PlanFile(**facts, tasks=tasks)
    except OSError as error:
        raise InputError(
            f"{folder}: there is no plan here ({error.strerror}). Run vidstyle farm plan first."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: the plan is damaged. Run vidstyle farm plan again.") from error


def read_status(folder: Path, plan: PlanFile, verify: bool) -> tuple[Status, list[Committed]]:
    """The status of a plan and its finished segments, in order.

    verify: read and hash all data; otherwise only their sizes are compared.
    """
    work = plan.work(folder)
    finished: list[Committed] = []
    missing: list[int] = []
    damaged: list[int] = []
    for task in plan.tasks:
        sidecar = work.sidecar(task.number)
        segment = work.read(sidecar, verify)
        if segment is not None and (segment.number, segment.start, segment.stop) == (
            task.number,
            task.start,
            task.stop,
        ):
            finished.append(segment)
        else:
            (damaged if sidecar.exists() else missing).append(task.number)
    status = Status(
        segments=len(plan.tasks),
        frames=plan.frames,
        frames_done=sum(segment.stop - segment.start for segment in finished),
        done=tuple(segment.number for segment in finished),
        missing=tuple(missing),
        damaged=tuple(damaged),
        temporary=sum(1 for _ in work.path.glob("*.part")),
    )
    return status, finished


def read_finished(folder: Path, plan: PlanFile) -> list[Committed]:
    """All segments of the plan, verified. Raises OutputError, which names those missing or damaged."""
    status, finished = read_status(folder, plan, verify=True)
    problems = [
        f"{name_segments(numbers)} of {status.segments} ({_name_frames(plan, numbers)}) {what}"
        for numbers, what in ((status.missing, "missing"), (status.damaged, "damaged"))
        if numbers
    ]
    if problems:
        raise OutputError(
            f"{folder}: segments {' and '.join(problems)}, so there is no result. "
            f"Run vidstyle farm render --work {folder} --segments {name_segments(status.wanted)}."
        )
    return finished


def clean(folder: Path) -> None:
    """Remove the plan and all segments, also those of older plans. Other files in the folder stay.

    Raises OutputError.
    """
    try:
        if not (folder / PLAN).exists():
            raise OutputError(f"{folder}: there is no plan here, so nothing is removed. Check the path.")
        for other in folder.iterdir():
            if other.is_dir() and (_is_key(other.name) or other.name == STILLS):
                shutil.rmtree(other)
            elif other.name.startswith("plan.") and other.suffix == ".part":
                other.unlink()
        (folder / PLAN).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be removed ({error.strerror}). Remove it by hand.") from error


def _name_frames(plan: PlanFile, numbers: Iterable[int]) -> str:
    ranges = [
        (plan.tasks[start].start, plan.tasks[stop - 1].stop) for start, stop in consecutive_ranges(numbers)
    ]
    return "frames " + ", ".join(name_range(start, stop) for start, stop in ranges)


def _is_key(name: str) -> bool:
    return len(name) == 24 and set(name) <= set("0123456789abcdef")
