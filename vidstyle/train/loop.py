"""train() and play(): begin or resume a training run of any family."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

from vidstyle.train.curves import TensorBoardWriter
from vidstyle.train.graceful_stop import Stopping
from vidstyle.train.options import Tick, TrainOptions
from vidstyle.train.run import Run


@torch.random.fork_rng(devices=[])  # weights are drawn from torch's global random numbers
def train(
    options: TrainOptions,
    on_tick: Callable[[Tick], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    stopping: Stopping | None = None,
) -> Path:
    """Learn options.styles from options.content and write options.output.

    on_warning is told what the user should know of the pictures. stopping: if given, it takes the process's
    Ctrl-C and SIGTERM: the first one ends the run after the step it is in and leaves a checkpoint in the run
    folder with which `resume` goes on. A second one, or any without `stopping`, stops at once, and the
    checkpoint is that of the last tick. TrainingError when the pictures are too few, a loss is no longer
    finite or one network beats the other for good.
    """
    run = run_of(options)
    if on_warning is not None:
        for warning in run.warnings():
            on_warning(warning)
    return play(run, on_tick, stopping)


def play(run: Run, on_tick: Callable[[Tick], None] | None = None, stopping: Stopping | None = None) -> Path:
    """Begin or resume a run, as its options say, and bring it to its end; see `train`."""
    options = run.options
    if options.resume:
        run.load()
    else:
        run.begin()
    board = TensorBoardWriter(run.folder.path, run.step) if options.tensorboard else None
    with stopping or nullcontext():
        while not run.finished:
            run.advance()
            if run.step % options.tick_steps == 0 or run.finished:
                tick = run.tick()
                if board is not None:
                    board.add(tick.step, tick.figures)
                if on_tick is not None:
                    on_tick(tick)
            if stopping is not None and stopping.wanted:
                run.save()
                stopping.obey()
        run.save()
    if board is not None:
        board.close()
    return run.write_style()


def run_of(options: TrainOptions) -> Run:
    """The run that trains options.family, not begun."""
    if options.family == "colour":
        from vidstyle.train.families.colorize import ColorRun

        return ColorRun(options)
    if options.family == "drawn":
        from vidstyle.train.families.drawn import DrawnRun

        return DrawnRun(options)
    if options.family == "painted":
        from vidstyle.train.families.drawn import PaintedRun

        return PaintedRun(options)
    return Run(options)
