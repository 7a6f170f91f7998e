"""Takes of a look, which `--variation` gives."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from vidstyle.imaging.lab import colors_to_lab
from vidstyle.models.base import GeneratorConfig
from vidstyle.models.generator import Generator
from vidstyle.train.takes import OF_THE_SPREAD, amounts_of, learn_takes, spread_of, taken


def colors_of(count: int) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def test_takes_differ_visibly_and_the_looks_stay() -> None:
    """Each take is 2 to 8 CIELAB away from its look, and no look of the file moves."""
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(grade_width=16, trunk_width=8, trunk_blocks=1))
    torch.nn.init.normal_(generator.grade.last.weight, std=0.05)  # a grade that is not the identity any more
    codes = {
        name: torch.randn(1, 16, generator=torch.Generator().manual_seed(k)) for k, name in enumerate("ab")
    }
    colors = colors_of(2000)
    before = {name: generator.grade(colors, code).detach() for name, code in codes.items()}
    spread = torch.tensor([12.0, 0.3, 10.0, 6.0, 0.4])
    learn_takes(generator, codes, colors, dict.fromkeys(codes, spread), steps=120)
    noise = torch.randn(5, 8, generator=torch.Generator().manual_seed(2))
    for name, code in codes.items():
        assert torch.allclose(generator.grade(colors, code), before[name], atol=1e-5)
        look = colors_to_lab(before[name].clamp(0, 1))
        takes = [
            colors_to_lab(generator.grade(colors, c[None]).clamp(0, 1))
            for c in generator.mapping(noise, code)
        ]
        assert all(2 < float((take - look).norm(dim=1).mean()) < 8 for take in takes)
        apart = [float((a - b).norm(dim=1).mean()) for a, b in combinations(takes, 2)]
        assert sum(apart) / len(apart) > 2


def test_a_take_stays_among_the_pictures_of_its_look() -> None:
    """No amount is beyond the spread of the pictures; a gray look has takes without a color."""
    gray = torch.randint(
        0, 256, (20, 1, 24, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    gray = gray // torch.arange(1, 21)[:, None, None, None].to(torch.uint8)
    spread = spread_of([gray.expand(-1, 3, -1, -1)])
    assert float(spread[0]) > 1
    assert float(spread[2:].max()) < 0.1
    values = torch.linspace(0.05, 0.95, 50)[:, None].expand(-1, 3)
    lab = colors_to_lab(values)
    amounts = amounts_of(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), lab, spread)
    assert bool((amounts.abs() <= OF_THE_SPREAD * spread + 1e-6).all())
    assert float(taken(lab, amounts)[:, :, 1:].abs().max()) < 0.5


def test_a_take_leaves_black_and_white() -> None:
    """They are what holds a picture together."""
    lab = torch.tensor([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0]])
    assert torch.allclose(taken(lab, torch.tensor([[4.0, 0.1, 3.0, 1.0, 0.1]]))[0], lab, atol=1e-4)
