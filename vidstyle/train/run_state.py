"""State of a run: statistics, checkpoints, sample sheets and the style file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from vidstyle.analysis.plots import INSTALL, has_matplotlib
from vidstyle.errors import TrainingError
from vidstyle.imaging.resize import shrink
from vidstyle.models.colorizer import generator_for
from vidstyle.models.generator import Generator, parameter_count
from vidstyle.models.style_encoder import StyleEncoder
from vidstyle.styles.style_file import StyleFacts, save_style
from vidstyle.train.adaptive_balance import Balance
from vidstyle.train.curves import write_curves
from vidstyle.train.data.frame_pairs import FramePairs
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.memory_bank import Memory
from vidstyle.train.nonfinite import Faults
from vidstyle.train.options import Tick, TrainOptions
from vidstyle.train.run_folder import RunFolder
from vidstyle.train.sample_sheets import write_sheet


class Record:
    """The state of a run, and all that is written of it; `loop.Run` sets it up and changes it."""

    options: TrainOptions
    device: torch.device
    folder: RunFolder
    content: PictureSet
    styles: dict[str, PictureSet]
    pairs: FramePairs
    random: torch.Generator
    generator: Generator
    ours: nn.ModuleDict
    theirs: nn.ModuleDict
    average: dict[str, Tensor]
    optimize_ours: torch.optim.Optimizer
    optimize_theirs: torch.optim.Optimizer
    balances: dict[str, Balance]
    memory: dict[str, Memory]
    faults: Faults
    step: int
    seconds: float
    _sums: dict[str, float]
    _since: int

    @property
    def finished(self) -> bool:
        return self.progress >= 1

    @property
    def progress(self) -> float:
        done = self.step / self.options.steps
        if self.options.minutes is not None:
            done = max(done, self.seconds / (self.options.minutes * 60))
        return done

    def tick(self) -> Tick:
        figures = {name: round(value / max(1, self._since), 5) for name, value in self._sums.items()}
        figures["augmentation"] = round(max(b.augmentation for b in self.balances.values()), 4)
        if self.faults.skipped:
            figures["skipped"] = self.faults.skipped
        self._sums, self._since = {}, 0
        remaining = self.seconds * (1 - self.progress) / max(self.progress, 1e-6)
        tick = Tick(
            self.step, self.options.steps, round(self.seconds, 2), round(max(0.0, remaining), 1), figures
        )
        self.folder.add({"step": tick.step, "seconds": tick.seconds, **figures})
        self.save()
        if (self.step // self.options.tick_steps) % self.options.sheet_ticks == 0 or self.finished:
            self.write_sheets()
            if has_matplotlib():
                write_curves(self.folder.path / "curves.png", self.folder.read_stats())
        return tick

    def _sides(self) -> list[tuple[str, PictureSet]]:
        return [("content", self.content), *self.styles.items()]

    def warnings(self) -> list[str]:
        """What the user should know of the files that were given, in words."""
        warnings = [warning for name, side in self._sides() for warning in side.warnings(name)]
        if not has_matplotlib():
            warnings.append(f"{self.folder.path / 'curves.png'}: left out without matplotlib. Run {INSTALL}.")
        return warnings

    def begin(self) -> None:
        """A new run folder."""
        facts = self.options.to_dict() | {
            "pictures": {"content": len(self.content), **{k: len(v) for k, v in self.styles.items()}},
            "pairs": len(self.pairs),
            "unreadable": {name: side.unreadable for name, side in self._sides()},
            "ignored": {name: side.ignored for name, side in self._sides()},
            "duplicates": {name: side.duplicates for name, side in self._sides()},
            "parameters": parameter_count(self.generator),
        }
        self.folder.begin(facts)

    def save(self) -> None:
        state = {
            "ours": self.ours.state_dict(),
            "theirs": self.theirs.state_dict(),
            "average": self.average,
            "optimise_ours": self.optimize_ours.state_dict(),
            "optimise_theirs": self.optimize_theirs.state_dict(),
            "balances": {look: balance.to_dict() for look, balance in self.balances.items()},
            "memory": {look: memory.rows for look, memory in self.memory.items()},
            "random": self.random.get_state(),
            "faults": self.faults.to_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "sums": self._sums,
            "since": self._since,
        }
        self.folder.save(state)

    def load(self) -> None:
        state = self.folder.load()
        try:
            self.ours.load_state_dict(state["ours"])
            self.theirs.load_state_dict(state["theirs"])
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{self.folder.checkpoint}: it belongs to a run with other options. Use those again."
            ) from error
        self.average = {name: t.to(self.device) for name, t in state["average"].items()}
        self.optimize_ours.load_state_dict(state["optimise_ours"])
        self.optimize_theirs.load_state_dict(state["optimise_theirs"])
        self.balances = {look: Balance(**facts) for look, facts in state["balances"].items()}
        self.memory = {look: Memory(rows) for look, rows in state["memory"].items()}
        self.random.set_state(state["random"])
        self.step, self.seconds = state["step"], state["seconds"]
        self._sums, self._since = state["sums"], state["since"]
        self.faults = Faults(**state["faults"])

    def averaged(self) -> tuple[Generator, dict[str, Tensor]]:
        """The generator as it is shipped (EMA of its weights) and a code for each look."""
        config = self.generator.config
        both = nn.ModuleDict({"generator": generator_for(config), "encoder": StyleEncoder(config.code_size)})
        both.load_state_dict({name: t.cpu() for name, t in self.average.items()})
        encoder, generator = both["encoder"], both["generator"]
        assert isinstance(generator, Generator)
        codes = {}
        with torch.no_grad():
            for look, style in self.styles.items():
                found = [encoder(shrink(p[:64].float() / 255, 64)) for p in style.shapes()]
                codes[look] = torch.cat(found).mean(0, keepdim=True)
        return generator, codes

    def write_sheets(self) -> None:
        generator, codes = self.averaged()
        for look, code in codes.items():
            path = self.folder.path / f"sheet-{look}.png"
            write_sheet(path, generator, code, self.content, self.styles[look])

    def write_style(self) -> Path:
        generator, codes = self.averaged()
        facts = StyleFacts(
            name=self.options.output.stem,
            family=self.options.family,
            summary=self.options.summary,
            licence=self.options.licence,
            provenance=self.options.provenance,
            looks=tuple(codes),
            training=self.options.recipe() | {"steps_done": self.step},
        )
        return save_style(self.options.output, generator, codes, facts)
