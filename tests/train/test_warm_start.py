"""Beginning with a style that exists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.styles import TINY, picture_folder, tiny_generator, tiny_style
from tests.helpers.training import interrupted
from vidstyle.errors import StyleError
from vidstyle.imaging.resize import shrink
from vidstyle.media.image_file import read_picture, write_png
from vidstyle.models.base import GeneratorConfig
from vidstyle.models.generator import Generator
from vidstyle.models.style_encoder import StyleEncoder
from vidstyle.styles.load import load_style
from vidstyle.styles.style_file import StyleFacts, save_style
from vidstyle.train.loop import train, trainer_for
from vidstyle.train.options import TrainOptions
from vidstyle.train.warm_start import WarmStart, fine_tuning


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    """Fine-tuning of a tiny style on what it makes of the content."""
    content = picture_folder(tmp_path / "content", 0.0)
    style = load_style(tiny_style(tmp_path))
    (tmp_path / "own").mkdir()
    for path in sorted(content.iterdir()):
        painted = style(read_picture(path)[None].float() / 255)[0]
        write_png(tmp_path / "own" / path.name, (painted * 255).byte().permute(1, 2, 0).numpy())
    return TrainOptions(
        content=(content,),
        styles={"own": (tmp_path / "own",)},
        output=tmp_path / "own.safetensors",
        start=str(tmp_path / "tiny.safetensors"),
        steps=40,
        warmup_steps=100,
        batch_size=2,
        paint_size=32,
        tick_steps=20,
        device="cpu",
    )


def test_the_first_step_sees_the_style_as_it_was(options: TrainOptions) -> None:
    """The same network and, whatever pictures are shown, the same code."""
    family = trainer_for(options).family
    style = load_style(Path(str(options.start)))
    code = family.networks.encoder(shrink(family.styles["own"].landscape.float() / 255, 64))
    assert torch.allclose(code.detach(), torch.tensor(0.3), atol=1e-6)
    x = family.content.landscape[:2].float() / 255
    with torch.no_grad():
        assert torch.allclose(family.generator(x, code), style(x), atol=0.02)  # the style paints from a table
    assert family.generator.config.grade_width == TINY["grade_width"]


def test_fine_tuning_on_its_own_pictures_stays_near_the_style(options: TrainOptions) -> None:
    """Far nearer to it than the source is, although the encoder and the discriminator begin anew."""
    before, after = load_style(Path(str(options.start))), load_style(train(options))
    x = trainer_for(options).family.content.landscape.float() / 255
    gap, whole = (after(x) - before(x)).abs().mean(), (before(x) - x).abs().mean()
    assert float(gap) < float(whole) / 3
    assert after.facts.training["start"] == "tiny.safetensors"


def test_law_11_a_resumed_fine_tuning_equals_an_uninterrupted_one(options: TrainOptions) -> None:
    """To the bit, as a run from chance does."""
    options = replace(options, steps=14)
    wanted = train(options).read_bytes()
    interrupted(trainer_for(options), 11)
    options.output.unlink()
    assert train(replace(options, resume=True)).read_bytes() == wanted


def test_a_look_of_the_same_name_is_taken_up(tmp_path: Path) -> None:
    """Else the first one of the style."""
    generator = tiny_generator()
    size = generator.config.code_size
    codes = {"a": torch.zeros(1, size), "b": torch.ones(1, size)}
    path = save_style(
        tmp_path / "two.safetensors", generator, codes, StyleFacts("two", "photographic", looks=("a", "b"))
    )
    start = WarmStart.of(str(path), "photographic")
    for look, value in (("b", 1.0), ("a", 0.0), ("new", 0.0)):
        encoder = StyleEncoder(size)
        start.put_into(tiny_generator(3), encoder, look)
        assert float(encoder(torch.rand(3, 3, 64, 64)).detach().mean()) == value


def test_a_style_of_color_alone_gets_light(options: TrainOptions, tmp_path: Path) -> None:
    """What `learn` made is a start too: its grade is kept, and light maps begin near nothing."""
    generator = Generator(GeneratorConfig(grade_width=8, light_scale=0))
    torch.nn.init.normal_(generator.grade.last.weight, std=0.4)
    codes = {"own": torch.full((1, generator.config.code_size), 0.3)}
    facts = StyleFacts("plain", "photographic", looks=("own",))
    path = save_style(tmp_path / "plain.safetensors", generator, codes, facts)
    family = trainer_for(replace(options, start=str(path))).family
    x = family.content.landscape[:2].float() / 255
    with torch.no_grad():
        plain = load_style(path)(x)
        assert family.generator.config.light_scale == 1
        assert float((family.generator(x, codes["own"]) - plain).abs().mean()) < 0.02
        assert float((plain - x).abs().mean()) > 0.02


def test_the_bold_start_is_cut_short(options: TrainOptions) -> None:
    """A tenth of the warm-up, a smaller rate; a style that is not there is named."""
    tuned = fine_tuning(options)
    assert tuned.warmup_steps == 10 and tuned.learning_rate < options.learning_rate / 2
    with pytest.raises(StyleError, match="nonesuch"):
        trainer_for(replace(options, start="nonesuch"))
    with pytest.raises(StyleError, match="family photographic"):
        WarmStart.of(str(options.start), "colour")
