"""The generator for black-and-white: what it looks at, what it leaves alone, and its laws as a Style."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.helpers.styles import COLORIST, KNOWING, picture, tiny_generator, tiny_style
from vidstyle.errors import StyleError
from vidstyle.frames import PlaneFormat
from vidstyle.imaging.lut import baked
from vidstyle.imaging.yuv import LUMA_BT601, LUMA_BT709, from_rgb, luma_of, luma_plane, to_rgb
from vidstyle.models.base import Controls, Dials, GeneratorConfig
from vidstyle.models.colorizer import (
    NODES,
    Backbone,
    Colorizer,
    chosen,
    chroma_of,
    enlivened,
    guided,
    tint,
    tinted,
    tinted_planes,
    with_chroma,
)
from vidstyle.models.registry import build_generator
from vidstyle.options import ApplyOptions
from vidstyle.styles.load import load_style

CODE = torch.full((1, 16), 0.3)


def colorist(seed: int = 0, **changes: int) -> Colorizer:
    generator = tiny_generator(seed, **{**COLORIST, **changes})
    assert isinstance(generator, Colorizer)
    return generator


@pytest.mark.parametrize("shape", [COLORIST, KNOWING], ids=["first", "knowing"])
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (1, 1), (5, 200), (90, 160)])
@torch.no_grad()
def test_every_frame_size_works_and_the_luma_stays(size: tuple[int, int], shape: dict[str, int]) -> None:
    """Every frame size works and the luma stays."""
    rgb = torch.rand(2, 3, *size)
    out = colorist(**shape)(rgb, CODE)
    assert out.shape == rgb.shape
    assert float(out.min()) >= 0 and float(out.max()) <= 1
    assert (luma_of(out) - luma_of(rgb)).abs().max() < 1e-3
    assert (chroma_of(out)).abs().mean() > 0.005, "the random style must do something"


@torch.no_grad()
def test_gray_sepia_and_color_of_one_luma_give_one_result() -> None:
    """Gray sepia and color of one luma give one result."""
    generator, rgb = colorist(), torch.rand(1, 3, 64, 80) * 0.5 + 0.25
    luma = luma_of(rgb)
    sepia = with_chroma(luma, torch.tensor([0.05, -0.08])[None, :, None, None].expand(1, 2, 64, 80))
    wanted = generator(rgb, CODE)
    for other in (luma.expand_as(rgb), sepia):
        assert (generator(other, CODE) - wanted).abs().max() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("dials", [Dials(), Dials(0.7, 0.6, 0.5), Dials(grade=0), Dials(light=0)])
def test_painting_in_strips_is_painting(dials: Dials) -> None:
    """Painting in strips is painting."""
    rgb = torch.rand(2, 3, 75, 61)
    generator = colorist()
    controls, grade = generator.think(rgb, CODE), baked(generator.lut(CODE))
    wanted = generator.paint(rgb, controls, CODE, dials)
    assert (generator.paint_baked(rgb, controls, grade, dials) - wanted).abs().max() < 1e-4


@torch.no_grad()
def test_without_light_the_picture_is_gray_and_strength_0_is_the_source() -> None:
    """Without light the picture is gray and strength 0 is the source."""
    rgb = torch.rand(1, 3, 40, 56)
    gray = colorist()(rgb, CODE, Dials(light=0))
    assert torch.allclose(gray, luma_of(rgb).expand_as(rgb), atol=1e-6)
    assert torch.equal(colorist()(rgb, CODE, Dials(strength=0)), rgb)
    assert torch.allclose(colorist().lut(CODE)[0], colorist().lut(CODE)[2])


@torch.no_grad()
def test_vividness_and_sharpness_are_dials_of_the_file() -> None:
    """Twice the vividness is twice the chroma; a sharper choice is nearer to the likeliest color."""
    rgb = torch.rand(1, 3, 40, 56)
    once, twice = (colorist(**{**KNOWING, "vividness": v}).think(rgb, CODE).light for v in (100, 200))
    assert torch.allclose(2 * once, twice, atol=1e-5) and float(once.abs().mean()) > 1e-3
    soft, sharp = (colorist(**{**KNOWING, "sharpness": s}) for s in (20, 1000))
    likeliest = chosen(soft.guess(soft.look(rgb), CODE), 1e-3)
    far, near = (
        (chosen(g.guess(g.look(rgb), CODE), g.temperature) - likeliest).abs().mean() for g in (soft, sharp)
    )
    assert float(near) < float(far)


@pytest.mark.parametrize("blocks", [6, 15])
def test_what_a_picture_shows_is_known_by_all_blocks_only(blocks: int) -> None:
    """A colorizer with context and fewer blocks is refused in words."""
    with pytest.raises(ValueError, match="backbone must be 16"):
        build_generator(GeneratorConfig(backbone=blocks, context=8))


@torch.no_grad()
def test_what_the_rest_of_the_picture_shows_changes_a_color() -> None:
    """The same corner has other colors beside another thing, far beyond the reach of any convolution."""
    decoder, random = colorist(**KNOWING).decoder, torch.Generator().manual_seed(0)
    features = [
        torch.randn(1, width, 2 * scale, 24 * scale, generator=random)
        for width, scale in ((24, 8), (40, 4), (112, 2), (320, 1))
    ]
    beside = features[-1].clone()
    beside[..., 20:] += 3
    one, other = (decoder([*features[:-1], deepest], CODE)[..., 0] for deepest in (features[-1], beside))
    assert not torch.allclose(one, other, atol=1e-4)


@torch.no_grad()
def test_the_light_maps_have_at_least_64_lines() -> None:
    """The light maps have at least 64 lines."""
    generator = build_generator(GeneratorConfig(backbone=13, working_size=192, light_scale=2))
    light = generator.think(torch.rand(1, 3, 180, 320), CODE).light
    assert min(light.shape[-2:]) == 96 and light.shape[1] == 4


def test_a_color_that_rgb_cannot_hold_loses_saturation_not_luma() -> None:
    """A color that RGB cannot hold loses saturation not luma."""
    luma = torch.full((1, 1, 1, 1), 0.9)
    maps = torch.tensor([0.0, 0.0, 0.3, -0.3])[None, :, None, None]
    out = tinted(luma.expand(1, 3, 1, 1), luma, maps, 1.0)
    assert float(out.max()) <= 1 and float(luma_of(out)) == pytest.approx(0.9, abs=1e-6)
    red, blue = chroma_of(out).flatten().tolist()
    assert red == pytest.approx(-blue, abs=1e-6) and 0.01 < red < 0.3


def test_white_that_rounding_has_raised_stays_white() -> None:
    """Luma of white is 1 and a little more: it takes no chroma, and keeps its luma."""
    luma = torch.full((1, 1, 1, 1), 1 + 2e-7)
    maps = torch.tensor([0.0, 0.0, 0.2, -0.3])[None, :, None, None]
    out = tinted(luma.expand(1, 3, 1, 1), luma, maps, 1.0).clamp(0, 1)
    assert float((1 - out).max()) < 1e-3


def test_guided_chroma_ends_where_brightness_ends() -> None:
    """Color that fades out over an edge of brightness ends there at once."""
    guide = torch.zeros(1, 1, 24, 24)
    guide[..., 12:] = 0.8
    chroma = torch.nn.functional.avg_pool2d(guide * 0.3, 5, 1, 2, count_include_pad=False).expand(
        1, 2, 24, 24
    )
    maps = guided(chroma, guide)
    back = maps[:, 2:] + maps[:, :2] * guide
    across = float((back[..., 12] - back[..., 11]).mean())
    assert across > 2.5 * float((chroma[..., 12] - chroma[..., 11]).mean())


def test_purity_lowers_weak_colors_and_raises_strong_ones() -> None:
    """Hues stay, the order of saturations stays, and 0 changes nothing."""
    chroma = torch.tensor([[0.01, 0.02], [0.3, -0.4]])[:, :, None, None]
    assert torch.equal(enlivened(chroma, GeneratorConfig()), chroma)
    factor = enlivened(chroma, GeneratorConfig(purity=30)) / chroma
    assert (
        torch.allclose(factor[:, 0], factor[:, 1]) and 0.5 < float(factor[0, 0]) < 1 < float(factor[1, 0]) < 2
    )


def test_the_choice_is_its_node_when_sure() -> None:
    """The choice is its node when sure."""
    logits = torch.zeros(1, len(NODES) ** 2, 1, 1)
    logits[0, 2 * len(NODES) + 9] = 100
    assert torch.allclose(chosen(logits, temperature=0.5).flatten(), torch.tensor([NODES[2], NODES[9]]))


def test_the_backbone_returns_every_stride() -> None:
    """The backbone returns every stride."""
    backbone = Backbone(13)
    shapes = [tuple(f.shape[1:]) for f in backbone(torch.rand(1, 1, 64, 96))]
    assert shapes == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (192, 2, 3)]
    assert backbone.widths == [24, 40, 112, 192] and backbone.stride == 32


@pytest.mark.parametrize("blocks", [1, 5, 17, 1000])
def test_a_backbone_that_does_not_exist_is_a_damaged_file(tmp_path: Path, blocks: int) -> None:
    """A backbone that does not exist is a damaged file."""
    with pytest.raises(ValueError, match="backbone"):
        build_generator(GeneratorConfig(backbone=blocks))
    path = tiny_style(tmp_path, **COLORIST)
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["vidstyle"])
    document["generator"]["backbone"] = blocks
    save_file(load_file(path), path, metadata={"vidstyle": json.dumps(document)})
    with pytest.raises(StyleError, match="backbone"):
        load_style(path)


def test_law_7_batches_stills_and_turned_clips(tmp_path: Path) -> None:
    """Batch 1 equals batch 8, and a clip lying on its side is looked at upright."""
    style = load_style(tiny_style(tmp_path, **COLORIST))
    rgb = torch.rand(4, 3, 64, 48)
    together = style(rgb)
    assert all(torch.equal(together[n : n + 1], style(rgb[n : n + 1])) for n in range(4))
    lying = torch.rot90(rgb, -1, (2, 3))
    wanted = torch.rot90(style.controls(rgb).light, -1, (2, 3))
    assert torch.allclose(style.controls(lying, quarter_turns=1).light, wanted, atol=1e-6)
    assert not torch.allclose(style.controls(lying).light, wanted, atol=1e-4)


FORMATS = {
    "4:2:0 of 8 bit": PlaneFormat(),
    "4:2:2 of 10 bit": PlaneFormat(bit_depth=10, chroma_shift=(1, 0), matrix="bt2020"),
    "4:4:4, full range": PlaneFormat(chroma_shift=(0, 0), matrix="bt601", full_range=True),
}


def gray_planes(fmt: PlaneFormat) -> tuple[Tensor, ...]:
    """Planes of a soft gray picture of 90 x 122, one frame."""
    return from_rgb(luma_of(picture(0, height=90, width=122)).expand(1, 3, 90, 122), fmt)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dials", [Dials(), Dials(strength=0.6, light=0.8)], ids=["full", "less"])
def test_painting_planes_is_painting(kind: str, dials: Dials) -> None:
    """Chroma painted on planes is that of the way through RGB; their luma does not change by a bit."""
    fmt = FORMATS[kind]
    generator, planes = colorist(), gray_planes(fmt)
    maps = torch.randn(1, 4, 12, 16, generator=torch.Generator().manual_seed(0)) * 0.07
    made = tinted_planes(planes, fmt, luma_plane(planes, fmt), Controls(light=maps), dials)
    assert torch.equal(made[0], planes[0])
    rgb = to_rgb(planes, fmt)
    wanted = from_rgb(
        generator.paint_baked(rgb, Controls(light=maps), baked(generator.lut(CODE)), dials), fmt
    )
    step = 1 << (fmt.bit_depth - 8)
    for ours, theirs, gray in zip(made[1:], wanted[1:], planes[1:], strict=True):
        apart = (ours.int() - theirs.int()).abs().float() / step
        assert (ours.int() - gray.int()).abs().max() > 10 * step
        assert float(apart.mean()) < 1 and float(apart.max()) < 8


@pytest.mark.parametrize(
    "options", [ApplyOptions(grade=0.5), ApplyOptions(sharpen=0.5)], ids=["grade", "finish"]
)
def test_what_changes_luma_takes_the_way_through_rgb(tmp_path: Path, options: ApplyOptions) -> None:
    """A weaker grade keeps old color, and a finish changes luma: both give what RGB gives."""
    fmt = PlaneFormat()
    style = load_style(tiny_style(tmp_path, **KNOWING)).with_options(options)
    planes = gray_planes(fmt)
    wanted = from_rgb(style(to_rgb(planes, fmt)), fmt)
    for ours, theirs in zip(style.on_device(planes, fmt), wanted, strict=True):
        assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize("matrix", ["rgb", "gray"])
def test_planes_without_chroma_of_their_own_are_painted_too(tmp_path: Path, matrix: str) -> None:
    """RGB planes get color; a gray plane has no room for any and keeps its brightness."""
    fmt = PlaneFormat(matrix=matrix, chroma_shift=(0, 0))
    style = load_style(tiny_style(tmp_path, **KNOWING))
    planes = gray_planes(fmt)
    made = style.on_device(planes, fmt)
    if matrix == "gray":
        assert (made[0].int() - planes[0].int()).abs().max() < 60
    else:
        assert (made[0].int() - made[1].int()).abs().max() > 3


def test_a_tint_has_the_luma_and_the_range_of_rgb() -> None:
    """Added to gray it stays inside RGB, and its green balances red and blue for the weights asked for."""
    random = torch.Generator().manual_seed(0)
    luma = torch.rand(1, 1, 20, 20, generator=random)
    maps = torch.randn(1, 4, 20, 20, generator=random)
    for weights in (LUMA_BT601, LUMA_BT709):
        red, blue = tint(luma, maps, 1.0, weights).unbind(1)
        green = (red * weights[0] + blue * weights[2]) / -weights[1]
        rgb = luma + torch.stack((red, green, blue), dim=1)
        assert float(rgb.min()) > -1e-5 and float(rgb.max()) < 1 + 1e-5
    full = tint(luma, maps * 0.01, 0.5, LUMA_BT601)
    assert torch.allclose(full, 0.005 * (maps[:, 2:] + maps[:, :2] * luma), atol=1e-2)
