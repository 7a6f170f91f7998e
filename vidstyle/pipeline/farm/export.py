"""Job files for a farm's own scheduler, around the verbs of `vidstyle farm`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import OutputError


@dataclass(frozen=True)
class Job:
    """What is handed to an engine. Paths are absolute.

    command: the program on the workers. segments: how many; chunk: of them in a task. settings: arguments of
    `farm plan` beside source, style and folder. device: cpu or cuda.
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
        arguments = ["farm", "plan", str(self.source), "--style", self.style, "--work", str(self.work)]
        return [self.command, *arguments, *self.settings]

    def render(self, segments: str) -> list[str]:
        return [self.command, "farm", "render", "--work", str(self.work), "--segments", segments]

    def join(self) -> list[str]:
        return [self.command, "farm", "join", "--work", str(self.work), "--output", str(self.output)]


@dataclass(frozen=True)
class Export:
    """files: name -> text. submit: the command that hands them in. ran: whether it was run by the authors."""

    files: dict[str, str]
    submit: str
    ran: str


Writer = Callable[[Job, Path], Export]


def write(job: Job, writer: Writer, folder: Path) -> Export:
    """Write the files into folder, which is made. OutputError when that cannot be."""
    made = writer(job, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.files.items():
            path = folder / name
            path.write_text(text)
            if text.startswith("#!"):
                path.chmod(0o755)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}). Choose another folder."
        ) from error
    return made
