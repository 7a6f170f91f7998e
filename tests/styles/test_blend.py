"""Blends of styles and takes of one: continuous in their weights, the same bytes for the same wish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.clips import random_frames
from tests.helpers.styles import tiny_generator, tiny_style
from vidstyle.errors import StyleError
from vidstyle.imaging.correction import Correction, InputCorrection
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.plan import plan
from vidstyle.styles.blend import Blend, parts_of
from vidstyle.styles.load import load_style
from vidstyle.styles.network_style import NetworkStyle, varied
from vidstyle.styles.spec import parse_style, style_name
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import StyleFacts, save_style

RGB = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(5))
CPU = ApplyOptions(device="cpu")


def three_looks(folder: Path) -> Path:
    """A file that holds the looks dawn, noon and night."""
    generator = tiny_generator(3)
    random = torch.Generator().manual_seed(4)
    codes = {look: torch.randn(1, 16, generator=random) for look in ("dawn", "noon", "night")}
    facts = StyleFacts("day", "photographic", looks=tuple(codes))
    return save_style(folder / "day.safetensors", generator, codes, facts)


def test_what_is_asked_for() -> None:
    """Names, paths, looks and weights are told apart, and shares add up to 1."""
    (one,) = parse_style("vlogger")
    assert (one.style, one.look, one.share, one.name) == ("vlogger", "", 1.0, "vlogger")
    a, b = parse_style("vlogger:0.6, cinema:0.4")
    assert (a.style, b.style, a.share, b.share) == ("vlogger", "cinema", 0.6, 0.4)
    a, b, c = parse_style("runs/day.safetensors#dawn:3,x.safetensors,C:\\styles\\a.safetensors")
    assert (a.style, a.look, a.share, a.name) == ("runs/day.safetensors", "dawn", 0.6, "day-dawn")
    assert (b.style, b.look, b.share) == ("x.safetensors", "", 0.2)
    assert c.style == "C:\\styles\\a.safetensors"
    assert style_name(parse_style("vlogger:0.6,cinema:0.4")) == "vlogger+cinema"
    assert style_name(parse_style("a/day.safetensors#ä  b")) == "day-ä_b"


@pytest.mark.parametrize(
    "text", ["a:x,b", "a:-1,b:2", "a:nan", "a:inf,b", "a:0,b:0", "a,", ":0.5", "#dawn", "day#", "a:", ""]
)
def test_weights_that_are_none_are_refused_in_words(text: str) -> None:
    """Also names that are missing."""
    with pytest.raises(StyleError, match=r": .+\. .+\.$"):
        load_style(text)


def test_a_path_may_hold_what_else_parts_a_blend(tmp_path: Path) -> None:
    """Commas and colons in the name of a file that is there."""
    home = tmp_path / "a:1,b#c"
    assert load_style(tiny_style(home, "x,y:2#z")).name == "x,y:2#z"


def test_a_blend_is_continuous_in_its_weights(tmp_path: Path) -> None:
    """It is what its styles paint, mixed; a weight of 0 or of all is one style alone."""
    a, b = tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    first, second = load_style(a)(RGB), load_style(b)(RGB)
    assert (first - second).abs().max() > 0.05

    def blended(share: float) -> torch.Tensor:
        return load_style(f"{a}:{share},{b}:{1 - share}")(RGB)

    torch.testing.assert_close(blended(0.6), 0.6 * first + 0.4 * second)
    assert torch.equal(blended(1), first) and torch.equal(blended(0), second)
    assert (blended(0.999) - first).abs().max() < 2e-3
    assert (blended(0.5) - blended(0.501)).abs().max() < 2e-3


def test_looks_of_one_file_are_mixed_by_their_codes(tmp_path: Path) -> None:
    """Through the adaptive layers: one painting, continuous, and not the mean of two paintings."""
    day = three_looks(tmp_path)
    dawn, night = load_style(f"{day}#dawn"), load_style(f"{day}#night")
    both = load_style(f"{day}#dawn:0.5,{day}#night:0.5")
    assert not isinstance(both, Blend)
    torch.testing.assert_close(both._code, (dawn._code + night._code) / 2)
    assert (both(RGB) - (dawn(RGB) + night(RGB)) / 2).abs().max() > 1e-3
    near = load_style(f"{day}#dawn:0.999,{day}#night:0.001")
    assert (near(RGB) - dawn(RGB)).abs().max() < 5e-3
    assert torch.equal(load_style(day)(RGB), dawn(RGB)), "without a name the first look is meant"
    assert both.name == "day-dawn+day-night"
    with pytest.raises(StyleError, match=r"no look dusk\. Choose one of: dawn, noon, night"):
        load_style(f"{day}#dusk")


def test_looks_and_files_together(tmp_path: Path) -> None:
    """Looks of the same file are mixed first, then the files."""
    day, a = three_looks(tmp_path), tiny_style(tmp_path, "a")
    blend = load_style(f"{day}#dawn:1,{day}#noon:1,{a}:2")
    half = load_style(f"{day}#dawn,{day}#noon")
    torch.testing.assert_close(blend(RGB), (half(RGB) + load_style(a)(RGB)) / 2)


def test_every_blend_has_its_own_key_and_order_does_not_matter(tmp_path: Path) -> None:
    """Segments of another mixture are never taken for this one's."""
    day, a, b = three_looks(tmp_path), tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    wishes = [
        *(f"{a}", f"{b}", f"{a}:0.6,{b}:0.4", f"{a}:0.4,{b}:0.6", f"{day}", f"{day}#noon"),
        *(
            f"{day}#dawn:0.6,{day}#noon:0.4",
            f"{day}#dawn:0.4,{day}#noon:0.6",
            f"{day}#noon,{a}",
            f"{day},{a}",
        ),
    ]
    assert len({load_style(wish).content_hash for wish in wishes}) == len(wishes)
    one, other = load_style(f"{a}:6,{b}:4"), load_style(f"{b}:4,{a}:6")
    assert one.content_hash == other.content_hash and torch.equal(one(RGB), other(RGB))
    assert load_style(f"{a}:3").content_hash == load_style(a).content_hash
    assert load_style(f"{day}#dawn").content_hash == load_style(day).content_hash


def test_a_blend_is_a_style(tmp_path: Path) -> None:
    """Dials, strength 0, planes, batches and names."""
    a, b = tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    blend, batch = load_style(f"{a}:0.6,{b}:0.4"), random_frames(4)
    assert blend.with_options(replace(CPU, strength=0)).restyle(batch) is batch
    weak = replace(CPU, strength=0.25)
    first, second = (load_style(path).with_options(weak)(RGB) for path in (a, b))
    torch.testing.assert_close(blend.with_options(weak)(RGB), 0.6 * first + 0.4 * second)
    together = blend.restyle(batch)
    alone = blend.restyle(batch.part(2, 3))
    for plane, single in zip(together.planes, alone.planes, strict=True):
        assert torch.equal(plane[2:3], single)
    assert (blend.name, blend.family, blend.facts.looks) == ("a+b", "photographic", ("a", "b"))
    assert blend.to("cpu").content_hash == blend.content_hash


def test_styles_and_blends_are_beside_each_other(tmp_path: Path) -> None:
    """Both are a Style, neither is the other, and what only one network has a blend does not offer."""
    a, b = tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    one, blend = load_style(a), load_style(f"{a},{b}")
    assert isinstance(one, NetworkStyle) and isinstance(blend, Blend)
    assert isinstance(one, Style) and isinstance(blend, Style)
    assert not issubclass(Blend, NetworkStyle) and not issubclass(NetworkStyle, Blend)
    assert not any(hasattr(blend, name) for name in ("network", "controls", "paint", "variation"))
    assert parts_of(one) == ((one, 1.0),)
    assert [style.name for style, _ in parts_of(blend)] == [style.name for style, _ in blend.parts]


def test_a_blend_keeps_the_correction_of_its_clip(tmp_path: Path) -> None:
    """On the way through other options and another device, in its frames and in its key."""
    a, b = tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    blend = load_style(f"{a},{b}")
    brighter = blend.with_before(InputCorrection(Correction(exposure=0.5)))
    assert brighter.content_hash != blend.content_hash
    for copied in (brighter.with_options(CPU), brighter.to("cpu")):
        assert copied.content_hash == brighter.content_hash
        assert torch.equal(copied(RGB), brighter(RGB))
    assert not torch.equal(brighter(RGB), blend(RGB))


def test_submit_is_for_the_inside_of_at_work(tmp_path: Path) -> None:
    """Outside there are no threads to do the work, and the message says what to do."""
    style = load_style(tiny_style(tmp_path))
    with pytest.raises(RuntimeError, match="inside the with block"):
        style.submit(random_frames(1))


def test_a_variation_is_another_take_the_same_for_all_frames(tmp_path: Path) -> None:
    """Another seed is another picture, the same seed the same bytes, 0 the style; still stays still."""
    style, batch = load_style(tiny_style(tmp_path)), random_frames(1).padded(4)
    takes = [style.with_options(replace(CPU, variation=seed)).restyle(batch) for seed in (0, 1, 1, 2)]
    plain, first, again, second = (take.planes for take in takes)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(plain, style.restyle(batch).planes, strict=True))
    for a, b in ((plain, first), (plain, second), (first, second)):
        assert not torch.equal(a[0], b[0])
    for plane in (*first, *second):
        assert torch.equal(plane, plane[:1].expand_as(plane))


def test_a_variation_of_a_variation_is_that_of_the_style(tmp_path: Path) -> None:
    """Options replace each other; they do not pile up. Blends vary in all their parts."""
    a, b = tiny_style(tmp_path, "a", seed=1), tiny_style(tmp_path, "b", seed=2)
    for style in (load_style(a), load_style(f"{a},{b}")):
        three = style.with_options(replace(CPU, variation=3))
        seven = style.with_options(replace(CPU, variation=7))
        assert torch.equal(three.with_options(replace(CPU, variation=7))(RGB), seven(RGB))
        assert torch.equal(seven.with_options(CPU)(RGB), style(RGB))
        assert not torch.equal(three(RGB), style(RGB))
    generator, code = tiny_generator(1), torch.full((1, 16), 0.3)
    assert varied(generator, code, 0) is code
    assert varied(generator, code, 3).shape == code.shape


def test_a_variation_is_part_of_the_key(tmp_path: Path, clip: object) -> None:
    """A clip half made in one take does not go on in another."""
    style, source = load_style(tiny_style(tmp_path)), clip("plain.mp4")  # type: ignore[operator]
    keys = {plan(source, style, tmp_path / "out.mp4", replace(CPU, variation=seed)).key for seed in (0, 1, 2)}
    assert len(keys) == 3
    with pytest.raises(ValueError, match="variation"):
        ApplyOptions(variation=-1)
