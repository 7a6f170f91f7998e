"""Tiny random styles and picture sets for the tests of networks, styles and training."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.io import write_png

from vidstyle.colourist import generator_for
from vidstyle.networks import Generator, GeneratorConfig
from vidstyle.style import StyleFacts, save_style

TINY = {"grade_width": 8, "trunk_width": 8, "trunk_blocks": 2, "working_size": 32}
# The same for the family colour: the fewest blocks that reach stride 16.
COLOURIST = {"backbone": 6, "trunk_width": 8, "working_size": 32, "light_scale": 2}


def tiny_generator(seed: int = 0, **changes: int) -> Generator:
    """Random weights, large enough that every head does something."""
    torch.manual_seed(seed)
    generator = generator_for(GeneratorConfig(**{**TINY, **changes}))
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
    """Pictures of soft blobs; `warm` shifts their colour."""
    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(seed)
    for number in range(count):
        size = (40, 54) if number % 3 else (54, 40)
        coarse = torch.rand(1, 3, 5, 5, generator=random)
        picture = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)[0]
        picture = (picture * 0.7 + torch.tensor([warm, 0.1, 0.1 - warm])[:, None, None]).clamp(0, 1)
        write_png((picture * 255).to(torch.uint8), str(folder / f"{number:02}.png"))
    return folder
