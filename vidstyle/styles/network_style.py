"""NetworkStyle: a generator with the style code of one look."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256

import torch
from torch import Tensor

from vidstyle.frames import PlaneFormat
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.correction import InputCorrection
from vidstyle.imaging.finishing import Finish
from vidstyle.imaging.lut import Grading
from vidstyle.imaging.yuv import luma_plane
from vidstyle.models.base import BaseGenerator, Controls, Dials
from vidstyle.models.colorizer import Colorizer, tinted_planes
from vidstyle.models.cuda.fused import Fused, FusedPaint, reason_not, trouble
from vidstyle.models.hints import Hints
from vidstyle.models.registry import build_generator
from vidstyle.options import ApplyOptions
from vidstyle.styles.device import choose_device, is_out_of_memory
from vidstyle.styles.executor import first_line
from vidstyle.styles.style import MOVING_PAPER, Style
from vidstyle.styles.style_file import StyleFacts, hash_text


class NetworkStyle(Style):
    """A style that one generator paints."""

    def __init__(
        self,
        generator: BaseGenerator,
        code: Tensor,
        facts: StyleFacts,
        content_hash: str,
        *,
        device: torch.device | None = None,
        dials: Dials | None = None,
        variation: int = 0,
        finish: Finish | None = None,
        before: InputCorrection | None = None,
        lut: Tensor | None = None,
        hints: Hints | None = None,
        fused: Fused | None = None,
    ) -> None:
        """code: style code [1, K]. variation: seed of a variation of the look; 0 is the look itself.

        lut: the grade of this code as a table, where it is known already. hints: see `with_references`.
        fused: paints in place of plain torch, until it fails; by default Triton's kernels where they can be
        used. The generator is moved to the device and frozen.
        """
        device = device or torch.device("cpu")
        dials = dials or Dials(strength=facts.recommended_strength)
        slow = trouble(device) if device.type == "cuda" and generator.fuses else None
        super().__init__(
            facts,
            content_hash,
            device=device,
            dials=dials,
            finish=finish or Finish(),
            before=before,
            slow=slow,
        )
        # Half precision where the hardware is built for it; colors are always mixed in float32.
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        # Channels last: convolutions take a seventh less time on a CPU, and tensor cores want it so.
        self._generator = generator.to(device).to(memory_format=torch.channels_last)
        self._generator.eval().requires_grad_(False)
        self.variation = variation
        self._plain_code = code
        self._code = varied(generator, code, variation).to(device)
        if lut is None:
            with torch.inference_mode():
                lut = self._generator.baked_lut(self._code)
        self._lut = lut
        self._grade: Grading = self._generator.grading(lut)
        self._hints = None if hints is None else hints.to(device)
        self._fused = fused
        usable = device.type == "cuda" and generator.fuses and slow is None and not dials.is_identity
        if fused is None and usable:
            self._fused = FusedPaint(lut, dials)

    @property
    def network(self) -> tuple[BaseGenerator, Tensor]:
        """The generator and the style code [1, K] in use, for export into other formats."""
        return self._generator, self._code

    def to(self, device: str | torch.device) -> NetworkStyle:
        made = self._copy(torch.device(device), self.dials, self.variation, self.finish)
        made.chosen = self.chosen
        return made

    def with_options(self, options: ApplyOptions) -> NetworkStyle:
        dials = Dials(
            strength=options.strength * self.facts.recommended_strength,
            grade=options.grade,
            light=options.light,
            texture=options.texture,
        )
        finish = Finish(options.sharpen, options.deblur, options.tone)
        return self._copy(choose_device(options.device), dials, options.variation, finish)

    def plain_table(self, size: int) -> Tensor:
        axis = torch.linspace(0, 1, size)
        blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
        plain = torch.stack((red, green, blue))
        graded = self._generator.lut(self._code, size).to("cpu", torch.float32)
        return torch.lerp(plain, graded, self.dials.strength * self.dials.grade).clamp(0, 1)

    def controls(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Controls:
        """What the networks predict about frames [N, 3, H, W], float32; to be given to `paint`.

        They see the frames upright, that is after `quarter_turns` of 90 degrees counter-clockwise: phones
        store portrait clips lying on their side.
        """
        with torch.inference_mode(), self._half():
            small = self._generator.look(rgb.to(self.device), paper)
            upright = torch.rot90(small, quarter_turns, (2, 3))
            if isinstance(self._generator, Colorizer):
                controls = self._generator.think(upright, self._code, hints=self._hints)
            else:
                controls = self._generator.think(upright, self._code, paper, self._grade)
        return controls.turned(-quarter_turns).to(torch.float32)

    def with_references(self, stills: Sequence[Tensor]) -> Style:
        if not isinstance(self._generator, Colorizer):
            return super().with_references(stills)
        pictures = [
            still[None].to(self.device, torch.float32) / (255 if still.dtype == torch.uint8 else 1)
            for still in stills
        ]
        with torch.inference_mode(), self._half():
            hints = self._generator.hints(pictures)
        style = copy.copy(self)
        style._hints = hints
        pixels = [sha256(still.contiguous().cpu().numpy().tobytes()).hexdigest() for still in stills]
        style.content_hash = hash_text(self.content_hash, *pixels)
        return style

    def _half(self) -> AbstractContextManager[object]:
        """Half precision for the networks, where `_dtype` says so."""
        if self._dtype == torch.float32:
            return nullcontext()
        # Every weight is used once, so there is nothing to cache, and a CUDA graph must not hold a cache.
        return torch.autocast(self.device.type, self._dtype, cache_enabled=False)

    def paint(self, rgb: Tensor, controls: Controls) -> Tensor:
        """Apply controls at full size, with plain torch: RGB [N, 3, H, W] in [0, 1] -> the same."""
        with torch.inference_mode():
            return self._generator.paint_baked(rgb, controls, self._grade, self.dials)

    def paint_look(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        controls = self.controls(rgb, quarter_turns, paper)
        fused = self._fused  # another thread may give them up meanwhile
        if fused is not None:
            try:
                return fused.rgb(fused.graded_rgb(rgb), controls)
            except Exception as error:
                self._paint_plainly(error)
        return self.paint(rgb, controls)

    def _paint_plainly(self, error: Exception) -> None:
        """From now on without the kernels, which have failed. Raises the error if memory ran out."""
        # Triton has errors of many kinds: of its compiler, of the driver, of a GPU too small for a kernel.
        if is_out_of_memory(error):
            raise error
        self._fused = None
        self._slow = self._slow or f"Triton failed: {first_line(error)}"

    @torch.inference_mode()
    def on_device(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        quarter_turns: int = 0,
        hdr: Conversion | None = None,
    ) -> tuple[Tensor, ...]:
        alone = hdr is None and self.before.is_nothing and self.finish.is_nothing
        fused = self._fused  # another thread may give them up meanwhile
        if fused is not None and alone and reason_not(fmt, *planes[0].shape[-2:]) is None:
            try:
                graded = fused.graded(planes, fmt)
                controls = self.controls(graded.rgb, quarter_turns, MOVING_PAPER)
                return fused.planes(graded, controls, fmt, dither=self.dither)
            except Exception as error:
                self._paint_plainly(error)
        if alone and self._generator.tints_planes and self._tints(fmt):
            luma = luma_plane(planes, fmt)
            controls = self.controls(luma, quarter_turns)
            return tinted_planes(planes, fmt, luma, controls, self.dials, self.dither)
        return super().on_device(planes, fmt, quarter_turns, hdr)

    def _tints(self, fmt: PlaneFormat) -> bool:
        """Whether the look is new chroma for planes of this kind, and nothing else."""
        return fmt.matrix not in ("rgb", "gray") and self.dials.grade == 1 and not self.dials.is_identity

    def _copy(self, device: torch.device, dials: Dials, variation: int, finish: Finish) -> NetworkStyle:
        generator = self._generator
        if device != self.device:
            with torch.random.fork_rng(devices=[]):  # random weights are drawn, and then replaced
                generator = build_generator(generator.config)
            generator.load_state_dict(self._generator.state_dict())
        return NetworkStyle(
            generator,
            self._plain_code,
            self.facts,
            self.content_hash,
            device=device,
            dials=dials,
            variation=variation,
            finish=finish,
            before=self.before.to(device),
            hints=self._hints,
            lut=self._lut if (device, variation) == (self.device, self.variation) else None,
        )


@torch.inference_mode()
def varied(generator: BaseGenerator, code: Tensor, seed: int) -> Tensor:
    """The style code [1, K] of a variation of a look: noise from the seed through the mapping network.

    Drawn and mapped on the CPU, so that a seed gives the same variation on every device. Seed 0 gives the
    code itself.
    """
    if not seed:
        return code
    noise = torch.randn(1, generator.config.noise_size, generator=torch.Generator().manual_seed(seed))
    return copy.deepcopy(generator.mapping).to("cpu")(noise, code.to("cpu"))
