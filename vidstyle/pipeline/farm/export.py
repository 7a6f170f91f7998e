"""Job files for a farm's own scheduler: they call `vidstyle farm plan`, `render` and `join`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import OutputError


@dataclass(frozen=True)
class SchedulerJob:
    """One clip as a job of a scheduler: plan, then render tasks in parallel, then join.

    command: the program on the workers. style: name or path. work: the folder that all workers share. All
    paths are absolute. segments: how many the clip has. chunk: segments in one task. device: "cpu" or "cuda".
    settings: more arguments of `farm plan`.
    """

    name: str
    command: str
    source: Path
    style: str
    work: Path
    output: Path
    segments: int
    chunk: int
    device: str
    settings: tuple[str, ...]

    def plan(self) -> list[str]:
        """The command line of the first step."""
        arguments = ["farm", "plan", str(self.source), "--style", self.style, "--work", str(self.work)]
        return [self.command, *arguments, *self.settings]

    def render(self, segments: str) -> list[str]:
        """The command line of one task. segments: a range such as "0-11", or the scheduler's variable."""
        return [
            self.command,
            "farm",
            "render",
            "--work",
            str(self.work),
            "--segments",
            segments,
            "--past-end",
        ]

    def join(self) -> list[str]:
        """The command line of the last step."""
        return [self.command, "farm", "join", "--work", str(self.work), "--output", str(self.output)]


@dataclass(frozen=True)
class JobFiles:
    """Files for a scheduler.

    files: name -> text. submit: the command that submits them. ran: on what the authors have run them.
    """

    files: dict[str, str]
    submit: str
    ran: str


# Makes the files of one scheduler for a job; the folder is where they will lie.
JobWriter = Callable[[SchedulerJob, Path], JobFiles]


def write(job: SchedulerJob, writer: JobWriter, folder: Path) -> JobFiles:
    """Write the files of a job into `folder`, which is created. Raises OutputError when that fails."""
    made = writer(job, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.files.items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                path.chmod(0o755)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}). Choose another folder."
        ) from error
    return made
