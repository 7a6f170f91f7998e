"""A training run: counts its steps, keeps statistics, and writes checkpoints, samples and the style file."""

from __future__ import annotations

import time
from pathlib import Path

from vidstyle.analysis.plots import INSTALL, has_matplotlib
from vidstyle.errors import TrainingError
from vidstyle.models.base import parameter_count
from vidstyle.styles.style_file import StyleFacts, save_style
from vidstyle.train.curves import write_curves
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.families.base import AnyFamily
from vidstyle.train.options import TrainingProgress
from vidstyle.train.run_folder import RunFolder
from vidstyle.train.step import TrainingStep


class Trainer:
    """Trains a family, step by step.

    steps_done, seconds: how much work the run has had. Looks take turns, one a step.
    """

    def __init__(self, family: AnyFamily) -> None:
        self.family, self.options = family, family.options
        self.networks = family.networks
        self.training_step = TrainingStep(family)
        self.folder = RunFolder(self.options.folder)
        self.steps_done = 0
        self.seconds = 0.0
        self._sums: dict[str, float] = {}  # of the statistics since the last report
        self._count = 0

    @property
    def progress(self) -> float:
        """Part of the run that is done; 1 or more when it is finished."""
        done = self.steps_done / self.options.steps
        if self.options.minutes is not None:
            done = max(done, self.seconds / (self.options.minutes * 60))
        return done

    @property
    def finished(self) -> bool:
        return self.progress >= 1

    def run_step(self) -> None:
        """One step of D and of G. TrainingError when the training has failed for good."""
        began = time.perf_counter()
        look = self.family.looks[self.steps_done % len(self.family.looks)]
        metrics = self.training_step(look, self.steps_done, self.progress)
        if self.training_step.guard.is_good(self.steps_done, metrics):
            for name, value in metrics.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._count += 1
        self.networks.update_ema(self.steps_done)
        self.steps_done += 1
        self.seconds += time.perf_counter() - began

    def report(self) -> TrainingProgress:
        """Mean statistics since the last report; writes them, a checkpoint and, now and then, samples."""
        metrics = {name: round(value / max(1, self._count), 5) for name, value in self._sums.items()}
        balances = self.training_step.balances.values()
        metrics["augmentation"] = round(max(b.augmentation for b in balances), 4)
        if self.training_step.guard.skipped:
            metrics["skipped"] = self.training_step.guard.skipped
        self._sums, self._count = {}, 0
        remaining = self.seconds * (1 - self.progress) / max(self.progress, 1e-6)
        made = TrainingProgress(
            self.steps_done,
            self.options.steps,
            round(self.seconds, 2),
            round(max(0.0, remaining), 1),
            metrics,
        )
        self.folder.add({"step": made.step, "seconds": made.seconds, **metrics})
        self.save()
        if (self.steps_done // self.options.tick_steps) % self.options.sheet_ticks == 0 or self.finished:
            self.write_sheets()
            if has_matplotlib():
                write_curves(self.folder.path / "curves.png", self.folder.read_stats())
        return made

    def warnings(self) -> list[str]:
        """What the user should know about the files that were given."""
        warnings = [warning for name, pictures in self._sets() for warning in pictures.warnings(name)]
        if not has_matplotlib():
            warnings.append(f"{self.folder.path / 'curves.png'}: left out without matplotlib. Run {INSTALL}.")
        return warnings

    def begin(self) -> None:
        """Start a new run folder."""
        styles = self.family.styles
        facts = self.options.to_dict() | {
            "pictures": {"content": len(self.family.content), **{k: len(v) for k, v in styles.items()}},
            "pairs": len(self.family.pairs),
            "unreadable": {name: pictures.unreadable for name, pictures in self._sets()},
            "ignored": {name: pictures.ignored for name, pictures in self._sets()},
            "duplicates": {name: pictures.duplicates for name, pictures in self._sets()},
            "parameters": parameter_count(self.networks.generator),
        }
        self.folder.begin(facts)

    def save(self) -> None:
        """Write the checkpoint."""
        self.folder.save(
            self.networks.state_dict()
            | self.training_step.state_dict()
            | {
                "memory": self.family.memory_state(),
                "random": self.family.random.get_state(),
                "step": self.steps_done,
                "seconds": self.seconds,
                "sums": self._sums,
                "since": self._count,
            }
        )

    def load(self) -> None:
        """Continue from the checkpoint. TrainingError when there is none or it belongs to other options."""
        state = self.folder.load()
        try:
            self.networks.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{self.folder.checkpoint}: it belongs to a run with other options. Use those again."
            ) from error
        self.training_step.load_state_dict(state)
        self.family.load_memory_state(state["memory"])
        self.family.random.set_state(state["random"])
        self.steps_done, self.seconds = state["step"], state["seconds"]
        self._sums, self._count = state["sums"], state["since"]

    def write_sheets(self) -> None:
        """A sample sheet for each look."""
        generator, codes = self.networks.averaged(self.family.styles)
        for look, code in codes.items():
            self.family.write_sheet(self.folder.path / f"sheet-{look}.png", generator, look, code)

    def write_style(self) -> Path:
        """The style file: the averaged generator and a code for each look."""
        generator, codes = self.networks.averaged(self.family.styles)
        self.family.finish(generator, codes)
        facts = StyleFacts(
            name=self.options.output.stem,
            family=self.options.family,
            summary=self.options.summary,
            licence=self.options.licence,
            provenance=self.options.provenance,
            looks=tuple(codes),
            training=self.options.recipe() | {"steps_done": self.steps_done},
        )
        return save_style(self.options.output, generator, codes, facts)

    def _sets(self) -> list[tuple[str, PictureSet]]:
        return [("content", self.family.content), *self.family.styles.items()]
