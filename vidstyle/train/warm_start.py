"""Starts a run from an existing style (`--from`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vidstyle.errors import StyleError
from vidstyle.models.base import BaseGenerator, GeneratorConfig
from vidstyle.models.style_encoder import StyleEncoder
from vidstyle.styles.library import style_path
from vidstyle.styles.style_file import read_network
from vidstyle.train.options import TrainOptions


@dataclass(frozen=True)
class WarmStart:
    """A style's network, and the code [1, K] of each of its looks.

    A style that `learn` made is a grade alone. It gets light maps, which begin with nothing.
    """

    config: GeneratorConfig
    weights: dict[str, Tensor]
    codes: dict[str, Tensor]

    @classmethod
    def of(cls, name_or_path: str, family: str) -> WarmStart:
        """StyleError when there is no such style, its file is damaged or it is of another family."""
        generator, codes, facts = read_network(style_path(name_or_path))
        if facts.family != family:
            raise StyleError(
                f"{name_or_path}: it is of the family {facts.family}. Train that family, or begin with "
                f"a style of the family {family}."
            )
        config = generator.config
        if family == "photographic" and not config.light_scale and not config.table_size:
            config = replace(config, light_scale=GeneratorConfig.light_scale)
        return cls(config, generator.state_dict(), codes)

    def put_into(self, generator: BaseGenerator, encoder: StyleEncoder, look: str) -> None:
        """Make both networks give the stored look: that of the same name, else the style's first.

        A style file holds no encoder. The new one begins with the stored code as its bias and zero weights,
        so the first step sees the style as it was, whatever the pictures. Their influence is learned then.
        """
        missing, unexpected = generator.load_state_dict(self.weights, strict=False)
        assert not unexpected and all(name.startswith(("trunk.", "light.")) for name in missing)
        code = self.codes.get(look, next(iter(self.codes.values())))
        with torch.no_grad():
            nn.init.zeros_(encoder.code.weight)
            encoder.code.bias.copy_(code[0])


def fine_tuning(options: TrainOptions) -> TrainOptions:
    """The options of a run that begins with a style: a tenth of the warm-up, a third of the learning rate.

    The long warm-up at a high rate is for random weights.
    """
    return replace(options, warmup_steps=options.warmup_steps // 10, learning_rate=options.learning_rate / 3)
