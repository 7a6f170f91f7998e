"""Tiny random styles and picture sets for the tests of networks, styles and training."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidstyle.frames import FrameBatch
from vidstyle.imaging.filters import gaussian_blur
from vidstyle.media.image_file import write_png
from vidstyle.models.base import BaseGenerator, GeneratorConfig
from vidstyle.models.registry import build_generator
from vidstyle.styles.style_file import StyleFacts, save_style

TINY = {"grade_width": 8, "trunk_width": 8, "trunk_blocks": 2, "working_size": 32}
# The same for the family colour: the fewest blocks that reach stride 16.
COLORIST = {
    "backbone": 6,
    "trunk_width": 8,
    "working_size": 32,
    "light_scale": 2,
    "context": 0,
    "sharpness": 0,
}
# The one that knows what a picture shows; it needs all blocks.
KNOWING = {**COLORIST, "backbone": 16, "context": 12, "sharpness": 150, "vividness": 120, "purity": 30}


def tiny_generator(seed: int = 0, **changes: int) -> BaseGenerator:
    """Random weights, large enough that every head does something."""
    torch.manual_seed(seed)
    generator = build_generator(GeneratorConfig(**{**TINY, **changes}))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return generator


def tiny_style(folder: Path, name: str = "tiny", seed: int = 0, **changes: int) -> Path:
    facts = StyleFacts(
        name=name,
        family="colour" if "backbone" in changes else "photographic",
        looks=(name,),
        summary="A random look.",
    )
    generator = tiny_generator(seed, **changes)
    code = torch.full((1, generator.config.code_size), 0.3)
    return save_style(folder / f"{name}.safetensors", generator, {name: code}, facts)


def picture_folder(folder: Path, warm: float, count: int = 14, seed: int = 0) -> Path:
    """Pictures of soft blobs; `warm` shifts their color."""
    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(seed)
    for number in range(count):
        size = (40, 54) if number % 3 else (54, 40)
        coarse = torch.rand(1, 3, 5, 5, generator=random)
        picture = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)[0]
        picture = (picture * 0.7 + torch.tensor([warm, 0.1, 0.1 - warm])[:, None, None]).clamp(0, 1)
        write_png(folder / f"{number:02}.png", (picture * 255).to(torch.uint8).permute(1, 2, 0).numpy())
    return folder


def blobs(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    """A soft random picture [3, H, W] in [0, 1]."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=random)
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)[0]


def panned(seed: int, frames: int, step: int = 1, height: int = 48, width: int = 64) -> torch.Tensor:
    """A scene [N, 3, H, W] uint8: a camera that moves to the right by `step` pixels a frame."""
    wide = blobs(seed, height, width + step * frames)
    return torch.stack([wide[:, :, i * step : i * step + width] for i in range(frames)]).mul(255).byte()


def clip_of(path: Path, frames: torch.Tensor) -> Path:
    """Frames [N, 3, H, W] uint8 as a lossless clip."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        context = video.codec_context
        context.width, context.height, context.pix_fmt = frames.shape[3], frames.shape[2], "bgr0"
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            out.mux(video.encode(frame.reformat(format="bgr0")))
        out.mux(video.encode(None))
    return path


class Identity:
    """The style that changes nothing."""

    content_hash = "identity"

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        return batch


class Brighter:
    """Twenty levels brighter; counts the frames it was given."""

    content_hash = "brighter"

    def __init__(self) -> None:
        self.frames = 0

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        self.frames += len(batch)
        luma = (batch.planes[0].to(torch.int32) + 20).clamp(0, 255).to(batch.planes[0].dtype)
        return replace(batch, planes=(luma, *batch.planes[1:]))


class DiesOnce(Brighter):
    """Kills its process at a frame, the first time that any process comes to it."""

    def __init__(self, mark: Path, frame: int) -> None:
        super().__init__()
        self.mark, self.frame = mark, frame

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        if batch.index <= self.frame < batch.index + len(batch) and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().restyle(batch)


def rewritten_style(path: Path, **changes: object) -> Path:
    """The style file with parts of its facts or tensors changed; None removes."""
    tensors = load_file(path)
    generator = {"code_size": 16, "grade_width": 8, "trunk_width": 8, "trunk_blocks": 2, "working_size": 32}
    facts = {"name": "x", "family": "photographic", "looks": ["tiny"]}
    document: dict[str, object] = {"format": "vidstyle-style-1", "generator": generator, "facts": facts}
    for name, value in changes.items():
        if name in ("generator", "facts"):
            document[name] = value
        elif value is None:
            tensors.pop(name.replace("__", "."))
        else:
            assert isinstance(value, torch.Tensor)
            tensors[name.replace("__", ".")] = value
    save_file(tensors, path, {"vidstyle": json.dumps(document)})
    return path


def picture(seed: int, warm: float = 0.0, height: int = 40, width: int = 56) -> Tensor:
    """Soft blobs, [1, 3, H, W]; `warm` shifts and stretches their colors."""
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    soft = 0.5 + (gaussian_blur(noise, 2.0) - 0.5) * 3
    return (soft * (1 + warm) + torch.tensor([warm, 0.0, -warm]).view(1, 3, 1, 1)).clamp(0, 1)


def codes(rgb: Tensor) -> Tensor:
    return (rgb * 255).round().to(torch.uint8)


def folder_of(folder: Path, warm: float, names: list[str], first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = codes(picture(first + number, warm))[0].permute(1, 2, 0).contiguous().numpy()
        write_png(folder / name, np.asarray(pixels))
    return folder
