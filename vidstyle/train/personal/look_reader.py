"""The look reader: estimates the color grade of pictures from the pictures alone.

A few clips of one creator show few things, and colors of things are not a look: fitting the colors of other
footage to theirs takes a green lawn for a green grade. The reader was shown photos under thousands of made-up
grades and knows what ordinary pictures look like without one. What it says is a code of its own grade
network, from which learning a style begins.
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
from vidstyle.styles.style_file import FORMAT, read_document, write_document

READER = Path(__file__).parent / "look_reader.safetensors"
T = TypeVar("T", bound=nn.Module)

CODE_SIZE = 16
GRADE_WIDTH = 48
INVERSE_STEPS = 400
SEEN = (32, 48)  # rows and columns at which pictures are read
QUANTILES = (0.005, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.995)


class Reader(nn.Module):
    """Pictures of one look [S, N, 3, 32, 48] in [0, 1] to its code [S, K]; sets of any size N.

    After the style encoder, but what is pooled over the set goes through layers of its own: a lawn says
    nothing, a lawn beside gray asphalt does.
    """

    def __init__(self, code_size: int = CODE_SIZE, widths: tuple[int, ...] = (3, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            size = 4 if number == 0 else 2
            layers += [nn.Conv2d(inputs, outputs, size, stride=size), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers, nn.Conv2d(widths[-1], widths[-1], 1), nn.LeakyReLU(0.2))
        known = 4 * widths[-1] + 6 * len(QUANTILES) + 9
        self.code = nn.Sequential(
            nn.Linear(known, 192), nn.LeakyReLU(0.2), nn.Linear(192, 128), nn.LeakyReLU(0.2),
            nn.Linear(128, code_size),
        )  # fmt: skip

    def forward(self, pictures: Tensor) -> Tensor:
        sets, count = pictures.shape[:2]
        x = self.features(pictures.flatten(0, 1) * 2 - 1).unflatten(0, (sets, count))
        each = x.mean((3, 4))
        pooled = (each.mean(1), each.amax(1), each.amin(1), x.amax((1, 3, 4)))
        return self.code(torch.cat((*pooled, color_statistics(pictures)), dim=1))


def color_statistics(pictures: Tensor) -> Tensor:
    """Of all pixels of sets [S, N, 3, h, w]: quantiles of R, G, B, luma and chroma, and the covariance."""
    luma = luma_of(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
    red, blue = pictures[:, :, 0:1] - luma, pictures[:, :, 2:3] - luma
    channels = torch.cat((pictures, luma, red, blue), dim=2).transpose(1, 2).flatten(2)
    ordered = channels[:, :, ::8].sort(dim=2)[0]
    at = [min(int(q * ordered.shape[2]), ordered.shape[2] - 1) for q in QUANTILES]
    colors = channels[:, :3]
    centered = colors - colors.mean(2, keepdim=True)
    covariance = centered @ centered.transpose(1, 2) / colors.shape[2]
    return torch.cat((ordered[:, :, at].flatten(1) * 2 - 1, covariance.flatten(1) * 10), dim=1)


def seen(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, h, w] at the size at which they are read."""
    return F.interpolate(pictures, size=SEEN, mode="bilinear", antialias=True, align_corners=False)


@dataclass(frozen=True)
class Known:
    """What the reader was taught: its networks, and colors [P, 3] of ordinary pictures without a grade.

    grade: the look that a code names. telling: [D, F], the directions of `color_statistics` that differ most
    between looks for what they differ between scenes of one look (linear discriminants, Fisher 1936).
    """

    reader: Reader
    grade: Grade
    colors: Tensor
    telling: Tensor

    @torch.no_grad()
    def read(self, pictures: Sequence[Tensor]) -> Tensor:
        """The code [1, K] of the look that pictures [3, h, w] uint8 carry."""
        return self.reader(torch.cat([seen(p[None].float() / 255) for p in pictures])[None])

    def places(self, scenes: Sequence[Sequence[Tensor]]) -> Tensor:
        """Where scenes of frames [3, h, w] uint8 stand among looks: [S, D]; see `telling`."""
        rows = []
        for scene in scenes:
            pictures = torch.cat([seen(frame[None].float() / 255) for frame in scene[:8]])
            rows.append(color_statistics(pictures[None])[0])
        return torch.stack(rows) @ self.telling.T

    def inverse(self, code: Tensor, seed: int = 0) -> Inverse:
        """What takes the look of a code off, as far as that can be done, fitted on ordinary colors.

        Where a look makes several colors one, it gives what lies between them, the frequent ones most.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Grade(GRADE_WIDTH, CODE_SIZE)
        random = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters(), 1e-2, betas=(0.9, 0.99))
        for step in range(INVERSE_STEPS):
            optimizer.param_groups[0]["lr"] = 1e-2 * min(1.0, 1.5 * (1 - step / INVERSE_STEPS))
            ordinary = self.colors[torch.randint(len(self.colors), (1536,), generator=random)]
            colors = torch.cat((ordinary, torch.rand(256, 3, generator=random)))
            with torch.no_grad():
                graded = self.grade(colors, code).clamp(0, 1)
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(network(graded, code), colors).backward()
            optimizer.step()
        return Inverse(network.requires_grad_(False), code)


@dataclass(frozen=True)
class Inverse:
    """Takes a look off; see `Known.inverse`."""

    network: Grade
    code: Tensor

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures [N, 3, h, w] uint8 without the look."""
        parts = [torch.zeros(0, *pictures.shape[1:], dtype=torch.uint8)]
        for part in pictures.split(8):
            colors = part.float().permute(0, 2, 3, 1).reshape(-1, 3) / 255
            plain = self.network(colors, self.code).clamp(0, 1).mul(255).round().to(torch.uint8)
            parts.append(plain.view(len(part), *part.shape[2:], 3).permute(0, 3, 1, 2))
        return torch.cat(parts)


def load_reader() -> Known:
    """The reader that comes with vidstyle."""
    tensors, _ = read_document(READER)

    def filled(network: T, name: str) -> T:
        own = {key.partition(".")[2]: t.float() for key, t in tensors.items() if key.startswith(f"{name}.")}
        network.load_state_dict(own)
        return network.eval().requires_grad_(False)

    return Known(
        filled(Reader(), "reader"),
        filled(Grade(GRADE_WIDTH, CODE_SIZE), "grade"),
        tensors["colours"].float() / 255,
        tensors["telling"],
    )


def save_reader(
    path: Path, networks: nn.ModuleDict, colors: Tensor, telling: Tensor, facts: dict[str, Any]
) -> Path:
    """What `load_reader` reads; see `Known`."""
    tensors = {name: t.detach().half().contiguous() for name, t in networks.state_dict().items()}
    tensors["colours"] = colors.mul(255).round().to(torch.uint8).contiguous()
    tensors["telling"] = telling.float().contiguous()
    return write_document(path, tensors, {"format": FORMAT, "reader": facts})
