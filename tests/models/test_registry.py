"""The registry of generators and their common interface."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.styles import COLORIST, TINY, tiny_generator
from vidstyle.models.base import BaseGenerator, Dials, GeneratorConfig, InputSize
from vidstyle.models.colorizer import Colorizer
from vidstyle.models.drawer import Drawer
from vidstyle.models.generator import Generator
from vidstyle.models.registry import build_generator
from vidstyle.models.table import TableGenerator
from vidstyle.styles.library import STYLE_FOLDER
from vidstyle.styles.style_file import read_network

DRAWN = {**TINY, "light_scale": 0, "texture_width": 8, "texture_blocks": 2}
CONFIGS: dict[str, tuple[dict[str, int], type[BaseGenerator]]] = {
    "photographic": (TINY, Generator),
    "drawn": (DRAWN, Generator),
    "painted": ({**DRAWN, "washes": 2}, Generator),
    "brushed": ({**TINY, "light_scale": 0, "brush_width": 8, "drawing_size": 32}, Drawer),
    "colour": (COLORIST, Colorizer),
    "table": ({"table_size": 4, "curve_size": 3, "light_scale": 0}, TableGenerator),
}


@pytest.mark.parametrize("family", CONFIGS)
def test_a_config_stands_for_one_class(family: str) -> None:
    """The classes are beside each other: none inherits from another one."""
    config, kind = CONFIGS[family]
    generator = build_generator(GeneratorConfig(**config))
    assert type(generator) is kind
    assert kind.__bases__ == (BaseGenerator,)


@pytest.mark.parametrize("family", CONFIGS)
@torch.no_grad()
def test_every_generator_keeps_the_interface(family: str) -> None:
    """Any frame size; what it looks at has the size it states; both ways of painting agree."""
    generator, code = tiny_generator(1, **CONFIGS[family][0]), torch.full((1, 16), 0.3)
    for size in ((45, 61), (64, 40), (1, 1)):
        rgb = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2))
        seen = generator.look(rgb)
        assert all(side % generator.input_size.multiple == 0 for side in seen.shape[-2:])
        controls = generator.think(rgb, code)
        assert all(
            torch.allclose(a, b, atol=1e-5)
            for a, b in zip(vars(controls).values(), vars(generator.think(seen, code)).values(), strict=True)
            if a is not None
        )
        painted = generator.paint(rgb, controls, code)
        assert torch.equal(painted, generator(rgb, code)) and painted.shape == rgb.shape
        baked = generator.paint_baked(rgb, controls, lambda x: generator.graded(x, code), Dials())
        assert (baked - painted).abs().max() < 1e-4
    assert generator.lut(code, 5).shape == (3, 5, 5, 5)


def test_frames_of_the_input_size_are_padded_not_resized() -> None:
    """Where a generator says so, and only up to a shape of 4:1; the border is repeated."""
    frames = torch.rand(1, 3, 31, 45)
    fitted = InputSize(31, multiple=4, pads=True).fit(frames)
    assert fitted.shape[-2:] == (32, 48)
    assert torch.equal(fitted[..., :31, :45], frames)
    assert torch.equal(fitted[..., 31, :45], frames[..., 30, :])
    assert InputSize(31, multiple=4, pads=True).fit(torch.rand(1, 3, 31, 300)).shape[-2:] == (32, 124)
    assert InputSize(31, multiple=4).fit(frames).shape[-2:] == (32, 44)


@pytest.mark.parametrize("path", sorted(STYLE_FOLDER.glob("*.safetensors")), ids=lambda path: path.stem)
def test_shipped_styles_have_the_class_of_their_family(path) -> None:
    """The names of their weights are those that the class has today: old files keep loading."""
    generator, codes, facts = read_network(path)
    assert isinstance(generator, Colorizer) == (facts.family == "colour")
    assert set(generator.state_dict()) == set(build_generator(generator.config).state_dict())
    assert set(codes) == set(facts.looks)
