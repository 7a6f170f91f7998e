"""The look reader: estimates the color grade of pictures from the graded pictures alone, as a 3D LUT.

It was trained on photos under real film looks and mixtures of them. It starts from a plain color transfer
(Monge-Kantorovich) between the colors that the content usually has and the graded ones. A set transformer
over all scenes says how far to trust that and what else the look does, in the principal components of real
looks. benchmarks/make_reader.py trains it; benchmarks/learn_figures.py measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidstyle.imaging.lab import colors_to_lab, colors_to_rgb
from vidstyle.imaging.yuv import luma_of
from vidstyle.models.colorizer import Backbone
from vidstyle.styles.style_file import FORMAT, read_style_file, write_style_file
from vidstyle.train.personal.grade_fit import OrdinaryColors
from vidstyle.train.personal.look_networks import (
    CELL,
    CELLS,
    COMPONENTS,
    LONG,
    NODES,
    PIXELS,
    SHORT,
    Cells,
    LookEstimator,
    TypicalColor,
    cell_positions,
    identity_lut,
    lookup,
    soft_histogram,
    split_into_cells,
    transfer_between,
)
from vidstyle.train.personal.monochrome import read_monochrome

LOOK_READER_FILE = Path(__file__).parent / "look_reader.safetensors"
# The trunk as it was pretrained: that of the style `colour` has learned on since.
TRUNK_FILE = Path(__file__).parent / "look_reader_trunk.safetensors"
TRUNK_BLOCKS = 13
LUT_SIZE = 33  # of the table handed out
DRAWS = 4  # readings of different pixels that are averaged
MAX_FRAMES = 160
# Distance over expected error where nothing and where all of a reading is used; from many scenes, from few.
EVIDENCE, EVIDENCE_OF_FEW = (1.05, 1.25), (0.9, 1.2)
MOVED = (7.5, 9.5)  # the same for the distance of the plain transfer, CIELAB; sets without a look: 3.7 to 7.5
DOUBTFUL = 0.75  # below this share people are told that the look is hardly told from none
ORDINARY_COLORS = 8192
# From this expected error on (CIELAB) the plain transfer is mixed in, fully from 2.5 more on, given scenes.
UNSURE, UNSURE_RANGE, PLAIN_SHARE, FEW_SCENES, SOME_SCENES = 4.5, 2.5, 0.35, 4, 10


@dataclass(frozen=True)
class Reading:
    """What was read.

    lut: [33, 33, 33, 3] of R, G, B in [0, 1], axes blue, green, red: the graded color of each plain color.
    expected_error: mean CIELAB distance to be expected between this look and the true one on ordinary photos.
    distance: mean CIELAB distance of ordinary photos to themselves under the look, as the reader judges.
    coefficients: [K], the look in principal components, in their standard deviations; see `LookReader.lut`.
    scenes: how many scenes were told apart.
    strength: share of what was read that is in all of these; below 1 where it is hardly told from no look.
    monochrome: the material is black-and-white or toned; its look was read by its tones, not by the networks.
    """

    lut: Tensor
    expected_error: float
    distance: float
    coefficients: Tensor
    scenes: int
    strength: float = 1.0
    monochrome: bool = False


class LookReader:
    """The networks, their trunk and the components of looks; see `read_look`."""

    def __init__(self, estimator: LookEstimator, typical: TypicalColor, tensors: dict[str, Tensor]) -> None:
        self.estimator, self.typical = estimator.eval(), typical.eval()
        self.tensors = tensors
        self.projection, self.offset = tensors["projection"], tensors["offset"]  # [304, 48], [48]
        self.noise = tensors["noise"]  # [3, 3], CIELAB
        self.weight = tensors["weight"]  # [n^3], how much colors at a node count
        self.components = tensors["components"]  # [K, n^3 * 3]
        self.deviations = tensors["deviations"]  # [K]
        self.error_scale = float(tensors["error_scale"])
        self.grid = colors_to_lab(identity_lut().view(-1, 3))
        directions = self.components.view(COMPONENTS, -1, 3) * self.weight[:, None]
        self.directions = directions.flatten(1).T.contiguous()
        self._trunk: Backbone | None = None

    @property
    def frequencies(self) -> Tensor:
        """How often ordinary photos have the colors near each node of the table of components: [n^3]."""
        return (self.weight.square() - 0.1).clamp(min=0)

    @property
    def trunk(self) -> Backbone:
        if self._trunk is None:
            self._trunk = load_trunk()
        return self._trunk

    def lut(self, coefficients: Tensor, nodes: int = NODES) -> Tensor:
        """Coefficients [S, K] to tables [S, n, n, n, 3], clamped to [0, 1]."""
        change = ((coefficients * self.deviations) @ self.components).view(-1, NODES, NODES, NODES, 3)
        plain = identity_lut(nodes).view(1, -1, 3).expand(len(change), -1, -1)
        return (plain + lookup(change, plain)).clamp(0, 1).view(-1, nodes, nodes, nodes, 3)

    def coefficients(self, graded: Tensor) -> Tensor:
        """What the grid becomes [S, n^3, 3] to coefficients [S, K]."""
        change = (graded - identity_lut().view(-1, 3)) * self.weight[:, None]
        return change.flatten(1) @ self.directions / self.deviations

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Tensor:
        """Pictures [F, 3, h, w] in [0, 1] at the reading size to features of their cells [F, T, 48].

        The trunk sees brightness only, brought to one mean and contrast: a grade hardly shows in it.
        """
        luma = luma_of(pictures)
        deviation = luma.std((1, 2, 3), keepdim=True, correction=0).clamp(min=0.03)
        luma = (luma - luma.mean((1, 2, 3), keepdim=True)) / deviation * 0.25 + 0.48
        *_, fine, coarse = self.trunk(luma.clamp(0, 1).contiguous(memory_format=torch.channels_last))
        coarse = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
        found = torch.cat((fine, coarse), 1).flatten(2).transpose(1, 2)
        return found @ self.projection + self.offset

    @torch.no_grad()
    def cells(self, pictures: Tensor, features: Tensor, generator: torch.Generator) -> Cells:
        """Pictures of one shape at the reading size; their pixels are drawn by the generator."""
        places = cell_positions(pictures.shape[2] > pictures.shape[3]).expand(len(pictures), -1, -1)
        at = torch.rand(CELLS, CELL**2, generator=generator).argsort(1)[:, :PIXELS]
        parts = torch.stack([split_into_cells(picture) for picture in pictures])
        rgb = parts.gather(2, at[None, :, :, None].expand(len(parts), -1, -1, 3))
        return Cells(features, places, rgb, colors_to_lab(rgb), self.typical(features, places))

    @torch.no_grad()
    def read(self, cells: Cells, scene_of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients [K], (error, distance) [2] and the plain transfer [K] of one set.

        scene_of: [F], its scenes from 0 on.

        Looks unlike all that were taught are read badly, and the reader knows: some of the plain transfer,
        which was taught nothing, helps there (0.1 to 0.3 of 5.6 on validation stocks).
        """
        graded = cells.lab.reshape(1, -1, 3)
        matrix, plain_mean, mean = transfer_between(cells.usual.reshape(1, -1, 3), self.noise, graded)
        plain = self.coefficients(colors_to_rgb((self.grid - plain_mean) @ matrix + mean))
        inverse = torch.linalg.inv(matrix + 1e-3 * torch.eye(3)).clamp(-5, 5)
        back = (graded - mean) @ inverse + plain_mean
        every = soft_histogram(None, back)
        vectors, histograms = self.estimator.frames(cells, back.view(cells.lab.shape).clamp(-150, 150))
        member = F.one_hot(scene_of).float()
        member = member / member.sum(0)
        coefficients, judged = self.estimator(
            (member.T @ vectors)[None], (member.T @ histograms)[None], plain, every
        )
        judged = judged.exp()
        unsure = (judged[:, :1] - UNSURE) / UNSURE_RANGE
        share = PLAIN_SHARE * unsure.clamp(0, 1) * _many(member.shape[1])
        return torch.lerp(coefficients, plain, share)[0], judged[0], plain[0]

    def read_look(self, frames: Sequence[Tensor], scenes: Sequence[int] | None = None) -> Reading:
        """Estimate the look of frames [3, h, w] uint8 (R, G, B), all of one look; sizes may differ.

        scenes: the number of the scene of each frame. Frames of one scene are one piece of evidence. None:
        each is a scene of its own. At most `MAX_FRAMES` frames are read. ValueError without frames.
        """
        numbers = list(range(len(frames)) if scenes is None else scenes)
        if not frames or len(numbers) != len(frames):
            raise ValueError(f"{len(frames)} frames and {len(numbers)} scene numbers")
        step = -(-len(frames) // MAX_FRAMES)
        frames, scenes = frames[::step], numbers[::step]
        colors = OrdinaryColors(self.frequencies)
        ordinary = colors.draw(ORDINARY_COLORS, torch.Generator().manual_seed(0), any_colors=0.0)
        if mono := read_monochrome(frames, len(set(scenes)), ordinary, LUT_SIZE):
            change, none = _change(mono.lut, ordinary), torch.zeros(COMPONENTS)
            return Reading(mono.lut, mono.expected_error, change, none, len(set(scenes)), monochrome=True)
        shapes = [(LONG, SHORT) if frame.shape[1] > frame.shape[2] else (SHORT, LONG) for frame in frames]
        names = {name: number for number, name in enumerate(dict.fromkeys(scenes))}
        parts, scene_of = [], []
        for shape in sorted(set(shapes)):
            chosen = [number for number, own in enumerate(shapes) if own == shape]
            small = [F.interpolate(frames[i][None].float() / 255, shape, mode="area") for i in chosen]
            features = torch.cat([self.features(picture) for picture in small])
            parts.append((torch.cat(small), features))
            scene_of += [names[scenes[i]] for i in chosen]
        found = []
        for draw in range(DRAWS):
            random = torch.Generator().manual_seed(draw)
            drawn = [vars(self.cells(pictures, features, random)).values() for pictures, features in parts]
            cells = Cells(*(torch.cat(tensors) for tensors in zip(*drawn, strict=True)))
            found.append(self.read(cells, torch.tensor(scene_of)))
        coefficients, judged, plain = (torch.stack(part).mean(0) for part in zip(*found, strict=True))
        error, distance = judged.tolist()
        error *= self.error_scale
        moved = _change(self.lut(plain[None])[0], ordinary)
        strength = strength_by_evidence(error, distance, moved, len(names))
        coefficients *= strength
        lut = self.lut(coefficients[None], LUT_SIZE)[0]
        return Reading(lut, error, distance * strength, coefficients, len(names), strength)


def _many(scenes: int) -> float:
    """0 for few scenes, 1 for many."""
    return min(max((scenes - FEW_SCENES) / (SOME_SCENES - FEW_SCENES), 0.0), 1.0)


def _change(lut: Tensor, colors: Tensor) -> float:
    """Mean CIELAB distance that a table [n, n, n, 3] moves colors [P, 3]."""
    made = colors_to_lab(lookup(lut[None], colors[None])[0])
    return float((made - colors_to_lab(colors)).norm(dim=-1).mean())


def strength_by_evidence(error: float, distance: float, moved: float, scenes: int) -> float:
    """The share of a reading that is used, from the error and the distance that the networks expect.

    Of pictures without any look both are about the same: the distance is the error. From several scenes that
    is told surely, from one it is not, so there the way from nothing to all is wider. moved: the distance of
    the plain transfer. Of several scenes without a look it stays small; a large one is evidence by itself.
    """
    many = _many(scenes)
    nothing, everything = (a + (b - a) * many for a, b in zip(EVIDENCE_OF_FEW, EVIDENCE, strict=True))
    told = (distance / error - nothing) / (everything - nothing)
    far = many * (moved - MOVED[0]) / (MOVED[1] - MOVED[0])
    return min(max(told, far, 0.0), 1.0)


def load_trunk() -> Backbone:
    """The first blocks of EfficientNet-Lite0 (weights of ML Illustrated, Apache-2.0), as pretrained."""
    tensors, _ = read_style_file(TRUNK_FILE)
    with torch.random.fork_rng(devices=[]):  # random weights are drawn, and then replaced
        trunk = Backbone(TRUNK_BLOCKS)
    trunk.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return trunk.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def load_look_reader(path: Path = LOOK_READER_FILE) -> LookReader:
    """The look reader that comes with vidstyle, or one that `save_look_reader` wrote. StyleError."""
    tensors, _ = read_style_file(path)
    scale = tensors.pop("components_scale")
    tensors["components"] = tensors["components"].float() * scale[:, None]
    with torch.random.fork_rng(devices=[]):  # random weights are drawn, and then replaced
        estimator, typical = LookEstimator(), TypicalColor()
    for name, network in (("reader", estimator), ("usual", typical)):
        start = f"{name}."
        own = {key.removeprefix(start): t.float() for key, t in tensors.items() if key.startswith(start)}
        network.load_state_dict(own)
        network.eval().requires_grad_(False)
    return LookReader(estimator, typical, {n: t.float() for n, t in tensors.items() if "." not in n})


def save_look_reader(
    path: Path, reader: LookReader, *, error_scale: float, facts: dict[str, Any] | None = None
) -> Path:
    """Write what `load_look_reader` reads: weights as float16, components as bytes with a scale each.

    error_scale: mean measured error over the mean error that the networks expect. OutputError.
    """
    networks = nn.ModuleDict({"reader": reader.estimator, "usual": reader.typical})
    tensors = {name: t.detach().half().contiguous() for name, t in networks.state_dict().items()}
    largest = reader.components.abs().amax(1) / 127
    tensors |= {
        "components": (reader.components / largest[:, None]).round().to(torch.int8).contiguous(),
        "components_scale": largest.contiguous(),
        "error_scale": torch.tensor(error_scale),
    }
    for name in ("deviations", "weight", "projection", "offset", "noise"):
        tensors[name] = getattr(reader, name).contiguous()
    return write_style_file(path, tensors, {"format": FORMAT, "reader": facts or {}})
