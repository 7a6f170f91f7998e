"""The family that `learn` trains: photographic, starting from what the look reader estimates."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vidstyle.models.generator import Generator
from vidstyle.styles.library import style_path
from vidstyle.styles.style_file import read_network
from vidstyle.train.data.frame_pairs import FramePairs, load_pairs
from vidstyle.train.data.pictures import PictureSet, load_pictures
from vidstyle.train.families.photographic import Photographic, PhotographicBatch
from vidstyle.train.options import TrainOptions, Weights
from vidstyle.train.personal.look_reader import CODE_SIZE, GRADE_WIDTH, LookReader
from vidstyle.train.personal.material import Material
from vidstyle.train.warm_start import WarmStart

# The shipped style whose trunk is reused: it has learned what photographic frames show, and where.
BASE_STYLE = "vlogger"
MAX_PAIRS = 40
ANCHOR_COLORS = 3072
# Weight of the distance between the grade and the estimated one. It decides where the material says nothing.
ANCHOR_WEIGHT = 20.0


class PersonalStyle(Photographic):
    """The content is the material itself, with its look removed as the look reader estimates it.

    So both sides show the same things, and what they show cannot be mistaken for the look. The grade stays
    near the estimated one where the material has no colors.
    """

    loss_weights = Weights(transport=ANCHOR_WEIGHT, identity=0.0)
    warmup_weights: ClassVar[dict[str, float]] = {"distribution": 30.0, "transport": ANCHOR_WEIGHT}

    def __init__(self, options: TrainOptions, material: Material, reader: LookReader) -> None:
        self.reader = reader
        self.learned, self.held_out = material.split()
        self.estimated_code = reader.estimate_code(self.learned)
        self.remove_grade = reader.fit_inverse(self.estimated_code, options.seed)
        super().__init__(options)
        self.estimated_code = self.estimated_code.to(self.device)

    def warm_start(self, options: TrainOptions) -> WarmStart:
        base, _, _ = read_network(style_path(BASE_STYLE))
        config = replace(base.config, code_size=CODE_SIZE, grade_width=GRADE_WIDTH)
        weights = Generator(config).state_dict()  # its light head begins at zero
        kept = {n: t for n, t in base.state_dict().items() if not n.startswith(("grade.", "light."))}
        grade = {f"grade.{name}": t for name, t in self.reader.grade.state_dict().items()}
        return WarmStart(config, weights | kept | grade, dict.fromkeys(options.styles, self.estimated_code))

    def load_data(self) -> None:
        options, size = self.options, self.picture_size()
        ((look, paths),) = options.styles.items()
        style = picture_set(self.learned)
        self.styles = {look: style}
        self.content = PictureSet(self.remove_grade(style.landscape), self.remove_grade(style.portrait))
        if options.content:
            given = load_pictures(options.content, size, "content")
            self.content = PictureSet(
                _joined(self.content.landscape, given.landscape),
                _joined(self.content.portrait, given.portrait),
            )
        pairs = load_pairs(paths, size, MAX_PAIRS)
        self.pairs = FramePairs(
            tuple(
                replace(group, first=self.remove_grade(group.first), second=self.remove_grade(group.second))
                for group in pairs.groups
            )
        )

    def prepare(self) -> None:
        super().prepare()
        self.anchor_grade = copy.deepcopy(self.generator.grade).requires_grad_(False)

    def warmup_terms(self, look: str) -> dict[str, Tensor]:
        _, _, distance, code = self.fit_grade(look)
        return {"distribution": distance, "transport": self._anchor_distance(code)}

    def distribution_terms(self, batch: PhotographicBatch, lit: Tensor) -> dict[str, Tensor]:
        terms = super().distribution_terms(batch, lit)
        return terms | {"transport": self._anchor_distance(batch.code)}

    def _anchor_distance(self, code: Tensor) -> Tensor:
        """Mean squared distance of the grade to the estimated one: on ordinary colors and on any."""
        known = self.reader.colors
        ordinary = known[torch.randint(len(known), (2 * ANCHOR_COLORS // 3,), generator=self.random)]
        others = torch.rand(ANCHOR_COLORS // 3, 3, generator=self.random)
        colors = torch.cat((ordinary, others)).to(self.device)
        with torch.no_grad():
            wanted = self.anchor_grade(colors, self.estimated_code)
        return F.mse_loss(self.generator.grade(colors, code), wanted)


def picture_set(frames: Sequence[Tensor]) -> PictureSet:
    """Frames [3, h, w] uint8, landscape and portrait."""
    landscape = [f for f in frames if f.shape[1] <= f.shape[2]]
    portrait = [f for f in frames if f.shape[1] > f.shape[2]]
    none = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
    return PictureSet(
        torch.stack(landscape) if landscape else none, torch.stack(portrait) if portrait else none
    )


def _joined(a: Tensor, b: Tensor) -> Tensor:
    parts = [part for part in (a, b) if len(part)]
    return torch.cat(parts) if parts else a
