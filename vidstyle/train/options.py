"""Options of `train` and `learn` with their defaults, and what a run reports. Loads no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Weights:
    """Weights of G's losses; see losses.py for the formulas. The names are stored in style files."""

    adversarial: float = 0.1
    """Part of the gradient, as a ratio of norms; see adaptive_balance.py."""
    distribution: float = 30.0
    """Sliced Wasserstein distance of the features of a batch to the style's set."""
    grade: float = 30.0
    """The same for the grade alone, over the whole content set."""
    structure: float = 0.05
    """Change of edges and textures."""
    identity: float = 0.02
    """Change of pictures that have the look already."""
    temporal: float = 2.0
    """Difference between a frame and its moved neighbor."""
    transport: float = 0.02
    """How far the grade moves colors."""
    calm: float = 1.0
    """Smoothness and size of light maps; smoothness of chroma in the family `colour`."""
    tone: float = 10.0
    """Crushed dark skin, bleached highlights, skies of another hue; photographic styles only."""
    variation: float = 0.2
    """A minimum difference between two style codes; drawn and painted styles only."""
    foreign: float = 0.0
    """Colors that the style never has; drawn and painted styles only."""
    guess: float = 1.0
    """Cross entropy of the chosen colors; the family `colour` only."""
    nearness: float = 0.0
    """How far the chosen colors look from the true ones; the family `colour` only."""


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run. The names of the fields are stored in options.json and in style files."""

    content: tuple[Path, ...]
    """What is to be restyled: pictures, clips or folders of them. Not paired with the styles."""
    styles: dict[str, tuple[Path, ...]]
    """Name of a look -> pictures, clips or folders of them that show it."""
    output: Path
    """The style file."""
    family: str = "photographic"
    """photographic: color and light. drawn: marks on paper; painted is another name of it.
    colour: black-and-white gets the colors of the styles' own pictures. See families/registry.py."""
    run_folder: Path | None = None
    """Checkpoint, options.json, stats.jsonl, curves and samples; default: `output` with the suffix .run."""
    minutes: float | None = None
    """Stop after so many minutes of work, or after `steps`, whichever comes first."""
    steps: int = 3000
    """Stop after so many steps; one step updates D and G once."""
    warmup_steps: int = 600
    """First steps, which fit the grade alone; a tenth of them with `start`."""
    seed: int = 0
    """The same seed gives the same weights."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps or xpu."""
    batch_size: int = 4
    """Pictures of each side in one step."""
    learning_rate: float = 1e-3
    """Of Adam, before the schedule of the family; a third of it with `start`."""
    paint_size: int = 112
    """Short side in pixels at which pictures are learned from; only the photographic family uses it."""
    tick_steps: int = 50
    """Steps between two reports, each with a checkpoint and a line of stats.jsonl."""
    sheet_ticks: int = 10
    """Reports between two sample sheets."""
    resume: bool = False
    """Continue from the checkpoint in the run folder."""
    start: str | None = None
    """Name or file of a style to begin with; its network is taken as it is, whatever `generator` says."""
    tensorboard: bool = False
    """Write the statistics for TensorBoard too."""
    weights: Weights = field(default_factory=Weights)
    """Weights of the losses; a family's own take the place of the default ones."""
    generator: dict[str, int] = field(default_factory=dict)
    """Fields of GeneratorConfig that differ from the family's defaults."""
    licence: str = ""
    """License of the style, for its file."""
    provenance: str = ""
    """Where the pictures come from, for the style file."""
    summary: str = ""
    """The look in a sentence, for the style file."""

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
        """What a style file says about its training: all that changes the result, and no folders."""
        facts = self.to_dict()
        for name in ("output", "run_folder", "resume", "device", "minutes", "tensorboard"):
            del facts[name]
        facts["start"] = self.start and Path(self.start).name
        facts["content"] = [p.name for p in self.content]
        facts["styles"] = {look: [p.name for p in paths] for look, paths in self.styles.items()}
        return facts


@dataclass(frozen=True)
class LearnOptions:
    """Options of `learn`. Where a field is not described here, it means what it does in `TrainOptions`."""

    material: tuple[Path, ...]
    """Clips, pictures or folders of them, all of one look. Empty with `before` and `after`."""
    name: str
    """What the style is called."""
    before: tuple[Path, ...] = ()
    """Clips, pictures or folders before a grade; `after` has the same shots with it."""
    after: tuple[Path, ...] = ()
    content: tuple[Path, ...] = ()
    """Has no effect any more: the look is read from the material alone."""
    minutes: float = 3.5
    """Stop the fit of the style to the look after so many minutes, or after `steps`."""
    steps: int = 1500
    """Steps of the fit of the style to the look."""
    seed: int = 0
    device: str = "auto"
    """Has no effect any more: learning takes seconds on a CPU."""
    frame_size: int = 192
    """Short side in pixels at which frames are read."""
    resume: bool = False
    """Has no effect any more: a stopped run keeps nothing, and learning again takes seconds."""
    overwrite: bool = False
    """Replace a style of that name."""
    mixed: bool = False
    """Has no effect any more: material is never refused for having several looks."""
    licence: str = ""
    provenance: str = ""
    summary: str = ""


@dataclass(frozen=True)
class TrainingProgress:
    """What a run reports every `tick_steps` steps; also a line of stats.jsonl."""

    step: int
    """Steps done."""
    steps: int
    """Steps of the whole run."""
    seconds: float
    """Work so far."""
    remaining_seconds: float
    """Estimated work left."""
    metrics: dict[str, float]
    """Mean losses and statistics since the last report."""
