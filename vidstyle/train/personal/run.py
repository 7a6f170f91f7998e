"""The short training run of `learn`, which starts from what the look reader found."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.models.generator import Generator
from vidstyle.styles.library import style_path
from vidstyle.styles.style_file import read_network
from vidstyle.train.data.frame_pairs import FramePairs, load_pairs
from vidstyle.train.data.pictures import PictureSet, load_pictures
from vidstyle.train.options import TrainOptions, Weights
from vidstyle.train.personal.look_reader import CODE_SIZE, GRADE_WIDTH, Known
from vidstyle.train.personal.material import Material
from vidstyle.train.run import Run
from vidstyle.train.warm_start import Start

# The shipped style whose trunk is taken over: it knows what is where in photographic frames.
BASE = "vlogger"
PAIRS = 40
ANCHORED = 3072  # colors
# How hard the grade is held to what the reader read, where the material says nothing.
ANCHOR = 20.0
WEIGHTS = Weights(transport=ANCHOR, identity=0.0)


class PersonalRun(Run):
    """What is to be restyled is the material itself, its look taken off as the reader read it.

    So both sides show the same things, and what they show cannot be taken for the look. The reader's grade is
    kept where the material has no colors.
    """

    def __init__(self, options: TrainOptions, material: Material, known: Known) -> None:
        self.known = known
        self.learned, self.held = material.parts()
        self.read = known.read(self.learned)
        self.plain = known.inverse(self.read, options.seed)
        super().__init__(options)
        self.anchor = copy.deepcopy(self.generator.grade).requires_grad_(False)
        self.read = self.read.to(self.device)

    def _start(self, options: TrainOptions) -> Start:
        base, _, _ = read_network(style_path(BASE))
        config = replace(base.config, code_size=CODE_SIZE, grade_width=GRADE_WIDTH)
        weights = Generator(config).state_dict()  # the light is closed
        kept = {n: t for n, t in base.state_dict().items() if not n.startswith(("grade.", "light."))}
        grade = {f"grade.{name}": t for name, t in self.known.grade.state_dict().items()}
        return Start(config, weights | kept | grade, dict.fromkeys(options.styles, self.read))

    def _load_pictures(self, options: TrainOptions, size: int) -> None:
        ((look, paths),) = options.styles.items()
        style = picture_set(self.learned)
        self.styles = {look: style}
        self.content = PictureSet(self.plain(style.lying), self.plain(style.standing))
        if options.content:
            given = load_pictures(options.content, size, "content")
            self.content = PictureSet(
                _joined(self.content.lying, given.lying), _joined(self.content.standing, given.standing)
            )
        pairs = load_pairs(paths, size, PAIRS)
        self.pairs = FramePairs(
            tuple(
                replace(group, first=self.plain(group.first), second=self.plain(group.second))
                for group in pairs.groups
            )
        )

    def _warm_up(self, look: str) -> dict[str, float]:
        _, _, distance, code = self._grade_alone(look)
        held = self._anchored(code)
        self._update(self.optimize_ours, distance * 30 + ANCHOR * held, self.ours)
        return {"distribution": distance.item(), "transport": held.item()}

    def _distribution(
        self, look: str, x: Tensor, lit: Tensor, code: Tensor, standing: bool, numbers: Tensor
    ) -> dict[str, Tensor]:
        terms = super()._distribution(look, x, lit, code, standing, numbers)
        return terms | {"transport": self._anchored(code)}

    def _anchored(self, code: Tensor) -> Tensor:
        """How far the grade is from what was read, on ordinary colors and on any."""
        ordinary = self.known.colors[
            torch.randint(len(self.known.colors), (2 * ANCHORED // 3,), generator=self.random)
        ]
        colors = torch.cat((ordinary, torch.rand(ANCHORED // 3, 3, generator=self.random))).to(self.device)
        with torch.no_grad():
            wanted = self.anchor(colors, self.read)
        return F.mse_loss(self.generator.grade(colors, code), wanted)


def picture_set(frames: Sequence[Tensor]) -> PictureSet:
    """Frames [3, h, w] uint8, lying and standing."""
    lying = [f for f in frames if f.shape[1] <= f.shape[2]]
    standing = [f for f in frames if f.shape[1] > f.shape[2]]
    none = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
    return PictureSet(torch.stack(lying) if lying else none, torch.stack(standing) if standing else none)


def _joined(a: Tensor, b: Tensor) -> Tensor:
    parts = [part for part in (a, b) if len(part)]
    return torch.cat(parts) if parts else a
