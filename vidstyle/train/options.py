"""Options of `train` and `learn` with their defaults, and what a run reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FAMILIES = ("photographic", "drawn", "painted", "colour")


@dataclass(frozen=True)
class Weights:
    """Weights of the generator's losses. The adversarial one is a ratio of gradient norms, see balance.py."""

    adversarial: float = 0.1
    distribution: float = 30.0
    grade: float = 30.0
    structure: float = 0.05
    identity: float = 0.02
    temporal: float = 2.0
    transport: float = 0.02
    calm: float = 1.0
    variation: float = 0.2
    foreign: float = 0.0
    guess: float = 1.0


@dataclass(frozen=True)
class TrainOptions:
    """content: pictures, clips or folders of them. styles: look -> the same. Both sides are unpaired.

    output: the style file. run_folder: checkpoint, options.json, stats.jsonl and sheets; beside the output by
    default. A run stops after `minutes` of work or `steps`, whichever comes first.
    paint_size: short side in pixels at which pictures are learned from; drawn styles have their own.
    family: photographic (color and light), drawn (marks on paper), painted (a wash in few tones and
    marks on it), or color (black-and-white gets the colors of the styles' own pictures).
    start: name or file of a style to begin with; its network is taken as it is, whatever `generator` says.
    """

    content: tuple[Path, ...]
    styles: dict[str, tuple[Path, ...]]
    output: Path
    family: str = "photographic"
    run_folder: Path | None = None
    minutes: float | None = None
    steps: int = 3000
    warmup_steps: int = 600
    seed: int = 0
    device: str = "auto"
    batch_size: int = 4
    learning_rate: float = 1e-3
    paint_size: int = 112
    tick_steps: int = 50
    sheet_ticks: int = 10
    resume: bool = False
    start: str | None = None
    tensorboard: bool = False
    weights: Weights = field(default_factory=Weights)
    generator: dict[str, int] = field(default_factory=dict)
    licence: str = ""
    provenance: str = ""
    summary: str = ""

    @property
    def folder(self) -> Path:
        return self.run_folder or self.output.with_suffix(".run")

    def to_dict(self) -> dict[str, Any]:
        facts = asdict(self)
        facts["content"] = [str(p) for p in self.content]
        facts["styles"] = {look: [str(p) for p in paths] for look, paths in self.styles.items()}
        facts["output"] = str(self.output)
        facts["run_folder"] = str(self.folder)
        return facts

    def recipe(self) -> dict[str, Any]:
        """What a style file tells of its training: all that changes the result, and no folders."""
        facts = self.to_dict()
        for name in ("output", "run_folder", "resume", "device", "minutes", "tensorboard"):
            del facts[name]
        facts["start"] = self.start and Path(self.start).name
        facts["content"] = [p.name for p in self.content]
        facts["styles"] = {look: [p.name for p in paths] for look, paths in self.styles.items()}
        return facts


@dataclass(frozen=True)
class LearnOptions:
    """material: clips, pictures or folders of them, all of one look. name: what the style is called.

    content: pictures or clips that the style will be used on, if there are any; they join the material with
    its look taken off. The work on the networks ends after `minutes` or `steps`, whichever comes first.
    mixed: learn also from material whose scenes lie far apart.
    """

    material: tuple[Path, ...]
    name: str
    content: tuple[Path, ...] = ()
    minutes: float = 3.5
    steps: int = 400
    warmup_steps: int = 60
    seed: int = 0
    device: str = "auto"
    batch_size: int = 3
    paint_size: int = 96
    resume: bool = False
    overwrite: bool = False
    mixed: bool = False
    licence: str = ""
    provenance: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Tick:
    """What a run says of itself from time to time; also a line of stats.jsonl."""

    step: int
    steps: int
    seconds: float
    remaining_seconds: float
    figures: dict[str, float]
