"""The look reader: estimates the color grade of pictures from the pictures alone.

A few clips of one creator show few things, and colors of things are not a look: fitting the colors of other
footage to theirs takes a green lawn for a green grade. The look reader was trained on photos under thousands
of random grades, so it knows what ordinary pictures look like without one. Its estimate is a code for its own
grade network, from which `learn` starts. benchmarks/make_reader.py trains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.yuv import luma_of
from vidstyle.models.generator import Grade
from vidstyle.styles.style_file import FORMAT, read_style_file, write_style_file

LOOK_READER_FILE = Path(__file__).parent / "look_reader.safetensors"
CODE_SIZE = 16
GRADE_WIDTH = 48
INVERSE_FIT_STEPS = 400
INPUT_SIZE = (32, 48)  # rows and columns at which pictures are read
QUANTILES = (0.005, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.995)
SCENE_FRAMES = 8  # frames that stand for a scene

N = TypeVar("N", bound=nn.Module)


class CodeEstimator(nn.Module):
    """Sets of pictures of one look [S, N, 3, 32, 48] in [0, 1] -> grade codes [S, K]; any number N.

    Like the style encoder, but what is pooled over the set passes through further layers: a lawn says
    nothing, a lawn beside gray asphalt does.
    """

    def __init__(self, code_size: int = CODE_SIZE, widths: tuple[int, ...] = (3, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            size = 4 if number == 0 else 2
            layers += [nn.Conv2d(inputs, outputs, size, stride=size), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers, nn.Conv2d(widths[-1], widths[-1], 1), nn.LeakyReLU(0.2))
        pooled = 4 * widths[-1] + 6 * len(QUANTILES) + 9
        self.code = nn.Sequential(
            nn.Linear(pooled, 192), nn.LeakyReLU(0.2), nn.Linear(192, 128), nn.LeakyReLU(0.2),
            nn.Linear(128, code_size),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        sets, count = pictures.shape[:2]
        x = self.features(pictures.flatten(0, 1) * 2 - 1).unflatten(0, (sets, count))
        each = x.mean((3, 4))
        pooled = (each.mean(1), each.amax(1), each.amin(1), x.amax((1, 3, 4)))
        return self.code(torch.cat((*pooled, color_statistics(pictures)), dim=1))


def color_statistics(pictures: Tensor) -> Tensor:
    """Statistics [S, F] of all pixels of sets [S, N, 3, h, w].

    Quantiles of R, G, B, luma, R - Y and B - Y, and the covariance of R, G and B.
    """
    luma = luma_of(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
    red, blue = pictures[:, :, 0:1] - luma, pictures[:, :, 2:3] - luma
    channels = torch.cat((pictures, luma, red, blue), dim=2).transpose(1, 2).flatten(2)
    ordered = channels[:, :, ::8].sort(dim=2)[0]
    at = [min(int(q * ordered.shape[2]), ordered.shape[2] - 1) for q in QUANTILES]
    colors = channels[:, :3]
    centered = colors - colors.mean(2, keepdim=True)
    covariance = centered @ centered.transpose(1, 2) / colors.shape[2]
    return torch.cat((ordered[:, :, at].flatten(1) * 2 - 1, covariance.flatten(1) * 10), dim=1)


def resize_to_input(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, h, w] at the size at which they are read."""
    return F.interpolate(pictures, size=INPUT_SIZE, mode="bilinear", antialias=True, align_corners=False)


@dataclass(frozen=True)
class LookReader:
    """The trained networks and statistics.

    estimator: pictures -> code. grade: code -> color grade.
    colors: colors [P, 3] of ordinary pictures without a grade.
    discriminants: [D, F], the directions of `color_statistics` in which looks differ most, compared with how
    scenes of one look differ (linear discriminant analysis, Fisher 1936).
    """

    estimator: CodeEstimator
    grade: Grade
    colors: Tensor
    discriminants: Tensor

    @torch.no_grad()
    def estimate_code(self, pictures: Sequence[Tensor]) -> Tensor:
        """The code [1, K] of the look of pictures [3, h, w] uint8."""
        return self.estimator(torch.cat([resize_to_input(p[None].float() / 255) for p in pictures])[None])

    def project_scenes(self, scenes: Sequence[Sequence[Tensor]]) -> Tensor:
        """Coordinates [S, D] of scenes of frames [3, h, w] uint8 along the discriminants."""
        rows = []
        for scene in scenes:
            frames = [resize_to_input(frame[None].float() / 255) for frame in scene[:SCENE_FRAMES]]
            rows.append(color_statistics(torch.cat(frames)[None])[0])
        return torch.stack(rows) @ self.discriminants.T

    def fit_inverse(self, code: Tensor, seed: int = 0) -> InverseGrade:
        """Fit what removes the grade of a code, as far as that is possible, on ordinary colors.

        Where a grade maps several colors to one, the result lies between them, near the frequent ones.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Grade(GRADE_WIDTH, CODE_SIZE)
        random = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters(), 1e-2, betas=(0.9, 0.99))
        for step in range(INVERSE_FIT_STEPS):
            optimizer.param_groups[0]["lr"] = 1e-2 * min(1.0, 1.5 * (1 - step / INVERSE_FIT_STEPS))
            ordinary = self.colors[torch.randint(len(self.colors), (1536,), generator=random)]
            colors = torch.cat((ordinary, torch.rand(256, 3, generator=random)))
            with torch.no_grad():
                graded = self.grade(colors, code).clamp(0, 1)
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(network(graded, code), colors).backward()
            optimizer.step()
        return InverseGrade(network.requires_grad_(False), code)


@dataclass(frozen=True)
class InverseGrade:
    """Removes a grade from pictures; see `LookReader.fit_inverse`."""

    network: Grade
    code: Tensor

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, h, w] uint8 without the grade."""
        parts = [torch.zeros(0, *pictures.shape[1:], dtype=torch.uint8)]
        for part in pictures.split(8):
            colors = part.float().permute(0, 2, 3, 1).reshape(-1, 3) / 255
            plain = self.network(colors, self.code).clamp(0, 1).mul(255).round().to(torch.uint8)
            parts.append(plain.view(len(part), *part.shape[2:], 3).permute(0, 3, 1, 2))
        return torch.cat(parts)


def load_look_reader() -> LookReader:
    """The look reader that comes with vidstyle."""
    tensors, _ = read_style_file(LOOK_READER_FILE)

    def filled(network: N, name: str) -> N:
        own = {key.partition(".")[2]: t.float() for key, t in tensors.items() if key.startswith(f"{name}.")}
        network.load_state_dict(own)
        return network.eval().requires_grad_(False)

    return LookReader(
        filled(CodeEstimator(), "reader"),
        filled(Grade(GRADE_WIDTH, CODE_SIZE), "grade"),
        tensors["colours"].float() / 255,
        tensors["telling"],
    )


def save_look_reader(
    path: Path, networks: nn.ModuleDict, *, colors: Tensor, discriminants: Tensor, facts: dict[str, Any]
) -> Path:
    """Write what `load_look_reader` reads; networks: "reader" (the code estimator) and "grade"."""
    tensors = {name: t.detach().half().contiguous() for name, t in networks.state_dict().items()}
    tensors["colours"] = colors.mul(255).round().to(torch.uint8).contiguous()
    tensors["telling"] = discriminants.float().contiguous()
    return write_style_file(path, tensors, {"format": FORMAT, "reader": facts})
