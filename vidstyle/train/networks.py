"""The networks of a run: G, D, and the moving average of G that is shipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.imaging.resize import shrink
from vidstyle.models.base import BaseGenerator, GeneratorConfig
from vidstyle.models.registry import build_generator
from vidstyle.models.style_encoder import StyleEncoder
from vidstyle.train.data.pictures import PictureSet
from vidstyle.train.mixed_precision import use_mixed_precision

EMA_DECAY = 0.995
CODE_PICTURE_SIZE = 64  # short side in pixels at which the style encoder sees pictures


class Networks:
    """G (generator and style encoder), a discriminator D for each look, and the EMA of G's weights.

    The names in `state_dict` are those of checkpoints: `ours` is G, `theirs` is D, `average` is the EMA.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        looks: Sequence[str],
        discriminator: Callable[[], nn.Module],
        device: torch.device,
    ) -> None:
        self.generator: BaseGenerator = build_generator(config).to(device)
        self.encoder = StyleEncoder(config.code_size).to(device)
        self.G = nn.ModuleDict({"generator": self.generator, "encoder": self.encoder})
        self.D = nn.ModuleDict({look: discriminator() for look in looks}).to(device)
        use_mixed_precision((*self.generator.conv_stacks, *self.D.values()), device)
        self.device = device
        self.ema: dict[str, Tensor] = {}
        self.reset_ema()

    def reset_ema(self) -> None:
        """Let the average begin with G's weights as they are now."""
        self.ema = {name: t.detach().clone() for name, t in self.G.state_dict().items()}

    @torch.no_grad()
    def update_ema(self, step: int) -> None:
        """Follow G's weights after step number `step`, faster in the first steps."""
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        for name, value in self.G.state_dict().items():
            if value.dtype.is_floating_point:
                self.ema[name].lerp_(value, 1 - decay)

    def averaged(self, styles: Mapping[str, PictureSet]) -> tuple[BaseGenerator, dict[str, Tensor]]:
        """The generator as it is shipped, on the CPU, and the style code [1, K] of each look."""
        config = self.generator.config
        generator, encoder = build_generator(config), StyleEncoder(config.code_size)
        both = nn.ModuleDict({"generator": generator, "encoder": encoder})
        both.load_state_dict({name: t.cpu() for name, t in self.ema.items()})
        codes = {}
        with torch.no_grad():
            for look, style in styles.items():
                found = [encoder(shrink(p[:64].float() / 255, CODE_PICTURE_SIZE)) for p in style.shapes()]
                codes[look] = torch.cat(found).mean(0, keepdim=True)
        return generator, codes

    def state_dict(self) -> dict[str, Any]:
        return {"ours": self.G.state_dict(), "theirs": self.D.state_dict(), "average": self.ema}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """KeyError or RuntimeError when the state is that of other networks."""
        self.G.load_state_dict(state["ours"])
        self.D.load_state_dict(state["theirs"])
        self.ema = {name: t.to(self.device) for name, t in state["average"].items()}
