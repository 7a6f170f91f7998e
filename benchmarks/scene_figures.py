"""How near the tables for camera log and scene light come to what OpenColorIO makes itself, by space.

    python benchmarks/scene_figures.py [--colors 20000]

Colors as pictures have them on a screen are taken into each space and from there to the screen again: once by
OpenColorIO, once by the table. Differences are CIEDE2000.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from ciede2000 import ciede2000
from common import report, table

from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.imaging.ocio import NODES, SPACES, Spaces, grading_of, table_to_display


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Tables of color spaces beside OpenColorIO itself.")
    parser.add_argument("--colors", type=int, default=20_000)
    parser.add_argument("--spaces", nargs="+", default=list(SPACES))
    arguments = parser.parse_args(given)
    random = np.random.default_rng(0)
    natural = random.random((arguments.colors, 1)) * random.random((arguments.colors, 3)) ** 0.5
    shown = natural.astype(np.float32)[None]
    lines, figures = [], {}
    for name in arguments.spaces:
        codes = Spaces(name, name).from_display(shown).clip(0, 1)
        began = time.perf_counter()
        made = table_to_display(Spaces(name))
        seconds = time.perf_counter() - began
        exact = torch.from_numpy(Spaces(name).to_display(codes)).permute(2, 0, 1)[None].clamp(0, 1)
        rgb = torch.from_numpy(codes).permute(2, 0, 1)[None].contiguous()
        found = ciede2000(
            rgb_to_lab(grading_of(*made, torch.device("cpu"))(rgb).clamp(0, 1)), rgb_to_lab(exact)
        ).flatten()
        quantiles = torch.quantile(found, torch.tensor([0.99, 0.999], dtype=found.dtype)).tolist()
        figures[name] = [float(found.mean()), *quantiles, float(found.max())]
        lines.append([name, *(f"{number:.3f}" for number in figures[name]), f"{seconds:.1f}"])
    table(["space", "mean", "99 %", "99.9 %", "most", "s to bake"], lines)
    report("scene_figures", nodes=NODES, differences=figures)


if __name__ == "__main__":
    main()
