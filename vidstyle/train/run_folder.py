"""Files of a run folder: options, statistics and checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vidstyle.errors import OutputError, TrainingError
from vidstyle.files import written_whole


class RunFolder:
    """options.json, stats.jsonl and checkpoint.pt of one run. OutputError where they cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self._stats = path / "stats.jsonl"

    def begin(self, facts: dict[str, Any]) -> None:
        """Start a new run: nothing of an earlier one is left that could be resumed by mistake."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.checkpoint.unlink(missing_ok=True)
            self._stats.write_text("", encoding="utf-8")
            (self.path / "options.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot write there: {error.strerror}. Choose another place."
            ) from error

    def add(self, line: dict[str, Any]) -> None:
        """Append a line to stats.jsonl."""
        try:
            with self._stats.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._stats}: cannot be written ({error.strerror}). Check the free space."
            ) from error

    def read_stats(self) -> list[dict[str, Any]]:
        """The lines of stats.jsonl, without the last one if a kill cut it off."""
        lines = []
        for text in self._stats.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
        return lines

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint: a kill or a power cut leaves the old or the new one, whole."""
        with written_whole(self.checkpoint) as part:
            try:
                torch.save(state, part)
            except RuntimeError as error:  # how torch reports a full disk
                raise OutputError(
                    f"{self.checkpoint}: cannot be written ({error}). Check the free space."
                ) from error

    def load(self) -> dict[str, Any]:
        """The checkpoint. Lines of stats.jsonl about later steps are removed: these steps are run again."""
        path = self.checkpoint
        if not path.is_file():
            raise TrainingError(f"{path}: there is no checkpoint to resume from. Start without --resume.")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        kept = [json.dumps(line) + "\n" for line in self.read_stats() if line["step"] <= state["step"]]
        self._stats.write_text("".join(kept), encoding="utf-8")
        return state
