"""Train the look reader that ships in vidstyle/train: photos under random grades, the grade wanted back.

python benchmarks/make_reader.py --content PHOTOS \
    --out vidstyle/train/personal/look_reader.safetensors --steps 20000
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.lab import rgb_to_lab
from vidstyle.models.generator import Grade
from vidstyle.styles.style_file import read_style_file
from vidstyle.train.data.pictures import load_pictures
from vidstyle.train.personal.look_reader import (
    CODE_SIZE,
    GRADE_WIDTH,
    CodeEstimator,
    color_statistics,
    resize_to_input,
    save_look_reader,
)

RATE = 2e-3
LUMA = torch.tensor([0.2126, 0.7152, 0.0722])


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(*shape) * (high - low) + low


def maybe(chance: float, count: int) -> Tensor:
    return (torch.rand(count, 1, 1) < chance).float()


def smooth(x: Tensor, low: float, high: float) -> Tensor:
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


class RandomGrades:
    """count random grades: functions of colors [S, P, 3]."""

    def __init__(self, count: int) -> None:
        n = count
        force = torch.rand(n, 1, 1) * 1.1 + 0.1
        self.matrix = torch.randn(n, 3, 3) * 0.10 * force * maybe(0.5, n)
        self.matrix = self.matrix - self.matrix.mean(2, keepdim=True)
        self.gain = torch.exp(torch.randn(n, 1, 3) * 0.10 * force * maybe(0.7, n))
        self.gamma = torch.exp(torch.randn(n, 1, 1) * 0.28 * force)
        self.gammas = torch.exp(torch.randn(n, 1, 3) * 0.22 * force * maybe(0.4, n))
        self.contrast = uniform(-0.6, 1.1, n, 1, 1) * force
        self.contrasts = torch.randn(n, 1, 3) * 0.5 * force * maybe(0.3, n)
        self.saturation = 1 + uniform(-0.6, 0.6, n, 1, 1) * force
        self.saturation = torch.where(maybe(0.06, n) > 0, torch.rand(n, 1, 1) * 0.3, self.saturation)
        self.shadows = torch.randn(n, 1, 3) * 0.055 * force * maybe(0.6, n)
        self.highlights = torch.randn(n, 1, 3) * 0.055 * force * maybe(0.6, n)
        self.black = uniform(-0.10, 0.10, n, 1, 1) * force + torch.randn(n, 1, 3) * 0.025 * force
        self.white = 1 - uniform(-0.06, 0.16, n, 1, 1) * force + torch.randn(n, 1, 3) * 0.02 * force
        # Two or three inks for all brightnesses, the first dark and the last bright.
        self.inked = maybe(0.14, n) * uniform(0.4, 1.0, n, 1, 1)
        self.inks = torch.stack(
            (torch.rand(n, 3) * 0.45, torch.rand(n, 3), 0.45 + torch.rand(n, 3) * 0.55), dim=1
        )
        self.inks[:, 1] = torch.lerp(self.inks[:, 1], self.inks[:, [0, 2]].mean(1), torch.rand(n, 1) ** 0.5)

    def __call__(self, rgb: Tensor) -> Tensor:
        x = rgb + rgb @ self.matrix.transpose(1, 2)
        x = (x * self.gain).clamp(1e-4, 1.3) ** (self.gamma * self.gammas)
        t = x.clamp(0, 1)
        x = x + (self.contrast + self.contrasts).clamp(-0.9, 1.6) * (t * t * (3 - 2 * t) - t)
        luma = (x @ LUMA)[..., None]
        x = luma + (x - luma) * self.saturation
        x = x + (1 - smooth(luma, 0, 0.5)) * self.shadows + smooth(luma, 0.4, 1) * self.highlights
        t = luma.clamp(0, 1)
        low = torch.lerp(self.inks[:, None, 0], self.inks[:, None, 1], (t * 2).clamp(max=1))
        ink = torch.lerp(low, self.inks[:, None, 2], (t * 2 - 1).clamp(min=0))
        x = torch.lerp(x, ink, self.inked)
        x = self.black + x * (self.white - self.black)
        return x.clamp(0, 1)


def graded(grade: Grade, colors: Tensor, code: Tensor) -> Tensor:
    """colors [S, P, 3], code [S, K]: `Grade.forward` of several codes at once."""
    scale1, shift1, scale2, shift2 = grade.scale_shift(code)[:, None].chunk(4, dim=2)
    x = F.silu(grade.first(colors * 2 - 1) * (1 + scale1) + shift1)
    x = F.silu(grade.second(x) * (1 + scale2) + shift2)
    return colors + grade.last(x)


def lab(colors: Tensor) -> Tensor:
    return rgb_to_lab(colors.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)


def lab_distance(a: Tensor, b: Tensor) -> Tensor:
    """CIELAB distances [S, P], differentiable at 0."""
    return ((lab(a) - lab(b)).square().sum(2) + 0.1).sqrt()


def sample_clips(photos: Tensor, sets: int, shown: int) -> Tensor:
    """Sets of pictures [S, N, 3, h, w] as clips give them: few scenes, several frames of each."""
    height, width = photos.shape[-2:]
    out = torch.empty(sets, shown, 3, height, width)
    for number in range(sets):
        scenes = torch.randint(len(photos), (int(torch.randint(2, shown + 1, ())),))
        chosen = photos[scenes[torch.arange(shown) % len(scenes)]].float() / 255
        zoom, turn = 0.55 + 0.45 * torch.rand(shown), torch.sign(torch.rand(shown) - 0.5)
        theta = torch.zeros(shown, 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = zoom * turn, zoom
        theta[:, :, 2] = (torch.rand(shown, 2) * 2 - 1) * (1 - zoom[:, None])
        grid = F.affine_grid(theta, [shown, 3, height, width], align_corners=False)
        out[number] = F.grid_sample(chosen, grid, padding_mode="reflection", align_corners=False)
    return out


def step(grade: Grade, estimator: CodeEstimator, photos: Tensor, sets: int = 8, shown: int = 12) -> Tensor:
    """Mean CIELAB error of photos under the grades that were estimated, against those under the true ones."""
    grades = RandomGrades(sets)
    pictures = sample_clips(photos, sets, shown)
    height, width = pictures.shape[-2:]
    flat = pictures.permute(0, 1, 3, 4, 2).reshape(sets, -1, 3)
    marked = grades(flat).view(sets, shown, height, width, 3).permute(0, 1, 4, 2, 3)
    fade = torch.linspace(-1, 1, height)[:, None] ** 2 + torch.linspace(-1, 1, width)[None] ** 2
    marked = marked * (1 - maybe(0.3, sets)[..., None, None] * 0.18 * torch.rand(sets, 1, 1, 1, 1) * fade)
    code = estimator(marked)
    other = photos[torch.randint(len(photos), (sets, 24))]
    at = torch.randint(height * width, (24,))
    asked = other.flatten(3)[..., at].permute(0, 1, 3, 2).reshape(sets, -1, 3).float() / 255
    asked = torch.cat((asked, torch.rand(sets, 64, 3)), dim=1)  # also colors that photos seldom have
    truth = grades(asked)
    error = lab_distance(graded(grade, asked, code), truth)
    return error[:, :-64].mean() + 0.1 * error[:, -64:].mean()


@torch.no_grad()
def find_discriminants(photos: Tensor, grades: int = 400, shown: int = 12, axes: int = 8) -> Tensor:
    """Directions [axes, F] of color statistics that differ between looks and not between scenes."""
    rows = []
    for _ in range(grades // 4):
        pictures = photos[torch.randint(len(photos), (4, shown))].float() / 255
        flat = pictures.permute(0, 1, 3, 4, 2).reshape(4, -1, 3)
        marked = RandomGrades(4)(flat).view(4, shown, *photos.shape[2:], 3).permute(0, 1, 4, 2, 3)
        rows.append(color_statistics(marked.flatten(0, 1)[:, None]).view(4, shown, -1))
    found = torch.cat(rows).double()
    means = found.mean(1, keepdim=True)
    inside = (found - means).flatten(0, 1)
    within = inside.T @ inside / (len(found) * (shown - 1))
    between = torch.cov(means[:, 0].T) - within / shown
    within = within + 0.02 * torch.diag(within.diagonal()) + 1e-6 * torch.eye(len(within))
    whiten = torch.linalg.inv(torch.linalg.cholesky(within))
    _, vectors = torch.linalg.eigh(whiten @ between @ whiten.T)
    return (vectors.flip(1)[:, :axes].T @ whiten).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--content", type=Path, required=True, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--start", type=Path, help="networks to go on with")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    photos = load_pictures([arguments.content], 48, "content").landscape
    photos = torch.cat([resize_to_input(part.float()).round().to(torch.uint8) for part in photos.split(64)])
    networks = nn.ModuleDict({"grade": Grade(GRADE_WIDTH, CODE_SIZE), "reader": CodeEstimator()})
    nn.init.normal_(networks["grade"].last.weight, std=0.02)
    nn.init.normal_(networks["grade"].scale_shift.weight, std=0.2)
    begun = 0
    if arguments.start:
        tensors, document = read_style_file(arguments.start)
        begun = int(document["reader"]["steps"])
        networks.load_state_dict({name: t.float() for name, t in tensors.items() if "." in name})
    parameters = list(networks.parameters())
    optimizer = torch.optim.Adam(parameters, RATE, betas=(0.9, 0.99))
    average = copy.deepcopy(networks)
    at = torch.randint(photos.shape[2] * photos.shape[3], (16,))
    colors = photos.flatten(2)[:, :, at].transpose(1, 2).reshape(-1, 3)[torch.randperm(len(photos) * 16)]
    discriminants = find_discriminants(photos)
    total = 0.0
    for number in range(1, arguments.steps + 1):
        left = 1 - number / arguments.steps
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, number / 200) * min(1.0, (left + 0.02) / 0.6)
        loss = step(networks["grade"], networks["reader"], photos)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 20.0)
        optimizer.step()
        with torch.no_grad():
            for kept, now in zip(average.parameters(), parameters, strict=True):
                kept.lerp_(now, 0.005 if number > 500 else 0.05)
        total += loss.item()
        if number % 500 == 0 or number == arguments.steps:
            print(
                f"step {number}: {total / 500:.2f}, {time.process_time():.0f} CPU s",
                file=sys.stderr,
                flush=True,
            )
            total = 0.0
            facts = {"photos": len(photos), "seed": arguments.seed, "steps": begun + number}
            save_look_reader(
                arguments.out,
                average,
                colors=colors[:8192].float() / 255,
                discriminants=discriminants,
                facts=facts,
            )


if __name__ == "__main__":
    main()
