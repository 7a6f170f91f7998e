"""What became of each input of a run, also in a file, from which it is known when the process dies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidstyle.cli.shared import print_json


class Journal:
    """The results and failures of a run. With a path every event is written there at once, as a line of JSON,
    and what an earlier process wrote there is part of the run.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.done: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.ended: set[str] = set()
        """Targets of which it is known what became of them."""
        self.begun: tuple[str, str] | None = None
        """(source, target) of what is worked on; the target is empty where all results need the source."""
        for line in (
            path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else ()
        ):
            self._take(json.loads(line))

    def begin(self, source: Path, target: Path | None = None) -> None:
        """The work on an input begins."""
        self._write({"begin": [str(source), "" if target is None else str(target)]})

    def finish(self, target: Path, report: dict[str, Any]) -> None:
        """A result is made."""
        self._write({"done": report, "target": str(target)})

    def fail(self, target: Path, failure: dict[str, Any]) -> None:
        """A result cannot be made."""
        self._write({"failed": failure, "target": str(target)})

    def show(self, skipped: tuple[Path, ...], more: dict[str, Any]) -> None:
        """Print the document of --json."""
        document = {"results": self.done, "failures": self.failed, "skipped": [str(t) for t in skipped]}
        print_json(document | more)

    @property
    def exit_code(self) -> int:
        """That of the first failure; 0 without one."""
        return int(self.failed[0]["exit_code"]) if self.failed else 0

    def _write(self, event: dict[str, Any]) -> None:
        line = json.dumps(event, default=str)
        self._take(json.loads(line))
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def _take(self, event: dict[str, Any]) -> None:
        if "begin" in event:
            source, target = event["begin"]
            self.begun = source, target
            return
        self.begun = None
        self.ended.add(event["target"])
        if "done" in event:
            self.done.append(event["done"])
        else:
            self.failed.append(event["failed"])
