"""Style files: data only, strictly loaded; styles on frames."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.clips import random_frames
from tests.helpers.styles import rewritten_style, tiny_generator, tiny_style
from vidstyle.errors import DeviceError, OutputError, StyleError
from vidstyle.options import ApplyOptions
from vidstyle.styles.device import choose_device
from vidstyle.styles.library import STYLE_FOLDER, list_styles
from vidstyle.styles.load import load_style
from vidstyle.styles.style_file import StyleFacts, read_facts, save_style


def test_a_style_survives_its_file(tmp_path: Path) -> None:
    """A style survives its file."""
    path = tiny_style(tmp_path)
    style = load_style(path)
    rgb = torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        wanted = tiny_generator()(rgb, torch.full((1, 16), 0.3))
    assert (style(rgb) - wanted).abs().max() < 3 / 255, "half precision weights and a baked grade"
    assert (style.name, style.family, style.facts.looks) == ("tiny", "photographic", ("tiny",))
    assert read_facts(path) == style.facts


def test_law_7_batch_1_equals_batch_8(tmp_path: Path) -> None:
    """Batch 1 equals batch 8; padding leaves no trace."""
    style, batch = load_style(tiny_style(tmp_path)), random_frames(8)
    together = style.restyle(batch)
    for number in range(8):
        alone = style.restyle(batch.part(number, number + 1))
        padded = style.restyle(batch.part(number, number + 1).padded(4)).part(0, 1)
        for plane, single, filled in zip(together.planes, alone.planes, padded.planes, strict=True):
            assert torch.equal(plane[number : number + 1], single) and torch.equal(single, filled)


def test_law_7_a_still_clip_stays_still(tmp_path: Path) -> None:
    """A still clip stays still."""
    still = random_frames(1).padded(5)
    for plane in load_style(tiny_style(tmp_path)).restyle(still).planes:
        assert torch.equal(plane, plane[:1].expand_as(plane))


def test_a_clip_lying_on_its_side_is_looked_at_upright(tmp_path: Path) -> None:
    """A clip lying on its side is looked at upright."""
    style = load_style(tiny_style(tmp_path))
    upright = torch.rand(1, 3, 64, 48)
    lying = torch.rot90(upright, -1, (2, 3))
    wanted = torch.rot90(style.controls(upright).light, -1, (2, 3))
    assert torch.allclose(style.controls(lying, quarter_turns=1).light, wanted, atol=1e-5)
    assert not torch.allclose(style.controls(lying).light, wanted, atol=1e-3)


def test_law_7_strength_0_is_the_source(tmp_path: Path) -> None:
    """Strength 0 is the source."""
    style, batch = load_style(tiny_style(tmp_path)), random_frames()
    assert style.with_options(ApplyOptions(strength=0, device="cpu")).restyle(batch) is batch
    changed = style.restyle(batch)
    assert not torch.equal(changed.planes[0], batch.planes[0])
    assert changed.pts == batch.pts and changed.format == batch.format


def test_a_shipped_style_loads_by_name() -> None:
    """A shipped style loads by name."""
    names = [facts.name for facts in list_styles()]
    assert "vlogger" in names
    for name in names:
        assert load_style(name).name == name


def test_an_unknown_name_is_told_the_nearest() -> None:
    """An unknown name is told the nearest."""
    with pytest.raises(StyleError, match="Did you mean vlogger"):
        load_style("vloger")
    with pytest.raises(StyleError, match="no such style file"):
        load_style("folder/none.safetensors")


HOSTILE = {
    "weights missing": {"light__weight": None},
    "weights of another size": {"light__weight": torch.zeros(3)},
    "weights too many": {"extra": torch.zeros(3)},
    "code missing": {"code__tiny": None},
    "code of another size": {"code__tiny": torch.zeros(1, 3)},
    "not finite": {"light__bias": torch.full((7,), float("nan"))},
    "no network": {"generator": {"what": 1}},
    "huge network": {"generator": {"trunk_width": 1 << 30}},
    "network is a list": {"generator": [1]},
    "unknown family": {"facts": {"name": "x", "family": "evil", "looks": ["tiny"]}},
    "no facts": {"facts": None},
    "strength beyond": {
        "facts": {"name": "x", "family": "photographic", "looks": ["tiny"], "recommended_strength": 9},
    },
    "looks are numbers": {"facts": {"name": "x", "family": "photographic", "looks": [1]}},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_wrong_style_file_is_refused_in_words(tmp_path: Path, changes: dict[str, object]) -> None:
    """A wrong style file is refused in words."""
    path = rewritten_style(tiny_style(tmp_path), **changes)
    with pytest.raises(StyleError, match="the style file is damaged"):
        load_style(path)


def test_a_file_of_another_kind_is_refused_and_never_executed(tmp_path: Path) -> None:
    """A file of another kind is refused and never executed."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "owned"),))  # type: ignore[return-value]

    path = tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(StyleError, match="not a safetensors file"):
        load_style(path)
    assert not (tmp_path / "owned").exists()
    whole = tiny_style(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StyleError):
        load_style(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(StyleError, match="not a vidstyle style file"):
        load_style(path)


def test_devices_that_are_not_there(tmp_path: Path) -> None:
    """Devices that are not there."""
    assert choose_device("cpu").type == "cpu"
    for name in ("cuda:99", "abacus", "meta"):
        with pytest.raises(DeviceError, match=name):
            choose_device(name)


def test_a_style_that_cannot_be_written(tmp_path: Path) -> None:
    """A style that cannot be written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"x\.safetensors: cannot be written"):
        save_style(
            tmp_path / "file" / "x.safetensors", tiny_generator(), {"x": torch.zeros(1, 16)},
            StyleFacts("x", "photographic"),
        )  # fmt: skip


@pytest.mark.cuda
def test_the_gpu_agrees_with_the_cpu(tmp_path: Path) -> None:
    """The GPU agrees with the CPU."""
    style, batch = load_style(tiny_style(tmp_path)), random_frames(4)
    here, there = style.restyle(batch), style.to("cuda").restyle(batch)
    for ours, theirs in zip(here.planes, there.planes, strict=True):
        assert (ours.int() - theirs.int()).abs().max() <= 2


def test_every_shipped_style_is_small_and_has_a_card() -> None:
    """At most 4 MB, colour 16; the card tells data, training with its seed, license, figures and limits."""
    for facts in list_styles():
        path = STYLE_FOLDER / f"{facts.name}.safetensors"
        assert path.stat().st_size <= (16 if facts.family == "colour" else 4) << 20
        card = path.with_suffix(".md").read_text()
        for heading in ("Learned from", "Training", "Figures", "Limits", "License"):
            assert f"## {heading}" in card
        assert f"--steps {facts.training['steps']}" in card and f"--seed {facts.training['seed']}" in card
        assert facts.summary and facts.licence and facts.provenance


def test_the_shipped_styles_have_the_license_of_the_project() -> None:
    """LICENSE, pyproject, each card and each style file name the same one, and whose the pictures are."""
    root = Path(__file__).parents[2]
    assert 'license = "Apache-2.0"' in (root / "pyproject.toml").read_text()
    assert "Apache License" in (root / "LICENSE").read_text()
    for facts in list_styles():
        card = (STYLE_FOLDER / f"{facts.name}.md").read_text()
        section = card.partition("## License")[2].partition("\n## ")[0]
        for words in (section, facts.licence):
            assert words.strip().startswith("Apache-2.0")
            assert "photographers" in words
            assert "research and evaluation" not in words


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_style_file_may_be_read_by_whoever_may_read_other_files(tmp_path: Path) -> None:
    """A farm runs as another user than the one who trained."""
    (tmp_path / "other").write_text("")
    assert tiny_style(tmp_path).stat().st_mode == (tmp_path / "other").stat().st_mode
