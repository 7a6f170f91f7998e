"""train(): the training loop, from options to a style file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import torch

from vidstyle.errors import TrainingError
from vidstyle.train.curves import TensorBoardWriter
from vidstyle.train.families.base import AnyFamily, Family
from vidstyle.train.families.registry import FAMILIES, FAMILY_CLASSES
from vidstyle.train.graceful_stop import GracefulStop
from vidstyle.train.options import TrainingProgress, TrainOptions
from vidstyle.train.trainer import Trainer


@torch.random.fork_rng(devices=[])  # weights are drawn from torch's global random numbers
def train(
    options: TrainOptions,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    stop: GracefulStop | None = None,
) -> Path:
    """Learn options.styles from options.content and write options.output.

    on_progress is called every options.tick_steps steps, after the checkpoint has been written.
    on_warning is told what the user should know about the pictures.
    stop: lets Ctrl-C end the run after the current step, with a checkpoint; see `GracefulStop`. Without it
    Ctrl-C ends the run at once, and the checkpoint is that of the last report.
    TrainingError when the pictures are too few, when losses are no longer finite, or when one network beats
    the other for good.
    """
    trainer = trainer_for(options)
    if on_warning is not None:
        for warning in trainer.warnings():
            on_warning(warning)
    return run_to_end(trainer, on_progress, stop)


def run_to_end(
    trainer: Trainer,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    stop: GracefulStop | None = None,
) -> Path:
    """Begin or resume a run, as its options say, train it to its end and write its style; see `train`."""
    options = trainer.options
    if options.resume:
        trainer.load()
    else:
        trainer.begin()
    board = TensorBoardWriter(trainer.folder.path, trainer.steps_done) if options.tensorboard else None
    with stop or nullcontext():
        while not trainer.finished:
            trainer.run_step()
            if trainer.steps_done % options.tick_steps == 0 or trainer.finished:
                progress = trainer.report()
                if board is not None:
                    board.add(progress.step, progress.metrics)
                if on_progress is not None:
                    on_progress(progress)
            if stop is not None and stop.requested:
                trainer.save()
                stop.obey()
        trainer.save()
    if board is not None:
        board.close()
    return trainer.write_style()


def trainer_for(options: TrainOptions) -> Trainer:
    """A run of options.family that has not begun."""
    return Trainer(family_class(options.family)(options))


def family_class(name: str) -> type[AnyFamily]:
    """The class of a family. TrainingError for a name that is not in the registry."""
    if name not in FAMILY_CLASSES:
        raise TrainingError(f"{name}: there is no such family. Use one of {', '.join(FAMILIES)}.")
    module, _, attribute = FAMILY_CLASSES[name].rpartition(".")
    found = getattr(import_module(module), attribute)
    assert issubclass(found, Family)
    return found
