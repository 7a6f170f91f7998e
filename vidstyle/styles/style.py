"""Style: a generator, the codes of its looks, its facts and dials, callable on RGB."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from vidstyle.errors import DeviceError
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.imaging.correction import Before
from vidstyle.imaging.finishing import Finish, finished
from vidstyle.imaging.hdr import HdrConversion
from vidstyle.imaging.lut import HALD_SIZE, LUT_SIZE, Grading, Lut3D, baked
from vidstyle.imaging.yuv import from_rgb, to_rgb
from vidstyle.models.colorizer import generator_for
from vidstyle.models.cuda.fused import FusedPaint, reason_not, trouble
from vidstyle.models.generator import Controls, Dials, Generator
from vidstyle.options import ApplyOptions
from vidstyle.styles.executor import Pending, PendingPlanes, Ready, Restyled, Running, running
from vidstyle.styles.style_file import StyleFacts, hash_text

# Hatching lies still on the paper while a clip moves beneath it. On a still picture it is part of the look;
# in clips it is drawn much weaker: on a moving dark coat it would be most of the flicker.
MOVING_PAPER = 0.3


class Style:
    """A look that can be put on pictures: callable on RGB [N, 3, H, W] in [0, 1], any size.

    Frames are independent of each other and of the batch they stand in. `with_options` turns dials and
    chooses the device and returns another Style that shares the weights where it can.
    """

    _running: Running | None = None
    _hdr: HdrConversion | None = None  # while at work
    _fused: FusedPaint | None = None
    slow: str | None = None  # why a GPU does not paint in the fast way, in words

    def __init__(
        self,
        generator: Generator,
        code: Tensor,
        facts: StyleFacts,
        content_hash: str,
        *,
        device: torch.device | None = None,
        dials: Dials | None = None,
        variation: int = 0,
        finish: Finish | None = None,
        lut: Tensor | None = None,
    ) -> None:
        """code: style code [1, K]. variation: seed of another take of the look; 0 is the look itself.

        finish: what is done to the picture after the look. lut: its grade, where that is known already.
        """
        self.facts = facts
        self.content_hash = content_hash
        self.device = device or torch.device("cpu")
        self.dials = dials or Dials(strength=facts.recommended_strength)
        # Half precision where the hardware is built for it; colors are always mixed in float32.
        self._dtype = torch.float16 if self.device.type == "cuda" else torch.float32
        # Channels last: a CPU then takes a seventh less time for convolutions, and tensor cores want it so.
        self._generator = generator.to(self.device).to(memory_format=torch.channels_last)
        self._generator.eval().requires_grad_(False)
        self.finish = finish or Finish()
        self.before = Before()
        self.variation = variation
        self._plain_code = code
        self._code = varied(generator, code, variation).to(self.device)
        with torch.inference_mode():
            on_cpu = self.device.type == "cpu"
            if lut is None:
                lut = self._generator.lut(self._code, HALD_SIZE if on_cpu else LUT_SIZE)
        self._lut = lut
        self._grade: Grading = Lut3D(lut) if on_cpu else baked(lut)
        if self.device.type == "cuda" and type(self._generator) is Generator:
            self.slow = trouble(self.device)
            if self.slow is None and not self.dials.is_identity:
                self._fused = FusedPaint(lut, self.dials)

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def family(self) -> str:
        return self.facts.family

    @property
    def parts(self) -> Sequence[tuple[Style, float]]:
        """The styles that paint, with their shares, which sum to 1: only a blend has several."""
        return ((self, 1.0),)

    @property
    def network(self) -> tuple[Generator, Tensor]:
        """The generator and the code [1, K] in use, for whoever writes the look down in another form."""
        return self._generator, self._code

    def to(self, device: str | torch.device) -> Style:
        return self._copy(torch.device(device), self.dials, self.variation, self.finish)

    def with_options(self, options: ApplyOptions) -> Style:
        """The same style with the device and dials of options. DeviceError when there is no such device."""
        dials = Dials(
            strength=options.strength * self.facts.recommended_strength,
            grade=options.grade,
            light=options.light,
            texture=options.texture,
        )
        finish = Finish(options.sharpen, options.deblur, options.tone)
        return self._copy(choose_device(options.device), dials, options.variation, finish)

    def with_before(self, before: Before) -> Style:
        """The same style for the clip whose frames are to be changed like this first; see `match`."""
        style = copy.copy(self)
        style.before = before.to(self.device)
        if not before.is_nothing:
            style.content_hash = hash_text(self.content_hash, before.text)
        return style

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> Tensor:
        """RGB [N, 3, H, W] in [0, 1] -> the same, restyled, on the style's device."""
        if rgb.ndim != 4 or rgb.shape[1] != 3:
            raise ValueError(f"RGB must be [N, 3, H, W], not {tuple(rgb.shape)}")
        rgb = rgb.to(self.device, torch.float32)
        if self.changes_nothing:
            return rgb
        if self.device.type == "cpu":
            return torch.cat([self._painted(frame[None]) for frame in rgb])
        return self._painted(rgb)

    def controls(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Controls:
        """What the networks decide about frames [N, 3, H, W]; to be smoothed over time and given to `paint`.

        It looks at them upright, that is after `quarter_turns` of 90 degrees counter-clockwise: phones store
        portrait clips lying on their side.
        """
        with torch.inference_mode(), self._in_half():
            small = self._generator.look(rgb.to(self.device))
            upright = torch.rot90(small, quarter_turns, (2, 3))
            controls = self._generator.think(upright, self._code, paper, self._grade)
        return controls.turned(-quarter_turns).to(torch.float32)

    def paint(self, rgb: Tensor, controls: Controls) -> Tensor:
        with torch.inference_mode():
            return self._generator.paint_baked(rgb, controls, self._grade, self.dials)

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        """A batch of planes, restyled, back on the CPU. With nothing to do they are the source's own."""
        if self.changes_nothing or self._running is not None:
            return self.submit(batch).result().styled
        with self.at_work():
            return self.submit(batch).result().styled

    def submit(self, batch: FrameBatch) -> Pending:
        """`restyle` for several batches in work at once, in order; to be called within `at_work`."""
        if self._running is None:
            assert self.changes_nothing, "submit outside of at_work"
            return Ready(Restyled(batch, batch))
        return _StyledBatch(batch, self._running.submit(batch), self._hdr)

    @contextmanager
    def at_work(self, hdr: HdrConversion | None = None) -> Iterator[Running | None]:
        """While the block runs, threads, streams and recorded work are kept from batch to batch.

        hdr: what is done to the batches' HDR frames; None for SDR.
        """
        if self.changes_nothing and (hdr is None or hdr.keep):
            yield None
            return
        work = self.on_device if hdr is None else partial(self.on_device, hdr=hdr)
        with running(self.device, work) as self._running:
            self._hdr = hdr
            if self.slow is not None:
                self._running.warnings.append(f"the GPU paints with plain torch, slower: {self.slow}")
            try:
                yield self._running
            finally:
                self._running = self._hdr = None

    @torch.inference_mode()
    def on_device(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        quarter_turns: int = 0,
        hdr: HdrConversion | None = None,
    ) -> tuple[Tensor, ...]:
        """Planes as `fmt` describes them, on the style's device, restyled and left there.

        hdr: what is done to HDR planes; the result is then as `HdrConversion.restyle` gives it.
        """
        if hdr is not None:
            return hdr.restyle(planes, fmt, lambda rgb: self._painted(rgb, quarter_turns, MOVING_PAPER))
        alone = self.before.is_nothing and self.finish.is_nothing
        if self._fused is not None and alone and reason_not(fmt, *planes[0].shape[-2:]) is None:
            seen = self._fused.graded(planes, fmt)
            controls = self.controls(seen.rgb, quarter_turns, MOVING_PAPER)
            return self._fused.planes(seen, controls, fmt)
        painted = self._painted(to_rgb(planes, fmt), quarter_turns, MOVING_PAPER)
        return from_rgb(painted, fmt)

    def _painted(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        """What comes before the look, the look, the finish; each only where there is something to do."""
        rgb = self.before(rgb, quarter_turns)
        if not self.dials.is_identity:
            rgb = self._paint(rgb, quarter_turns, paper)
        return finished(rgb, self.finish)

    @property
    def changes_nothing(self) -> bool:
        return self.before.is_nothing and self.dials.is_identity and self.finish.is_nothing

    def _in_half(self) -> torch.autocast:
        # Every weight is used once, so there is nothing to cache, and a CUDA graph must not hold a cache.
        half = self._dtype != torch.float32
        return torch.autocast(self.device.type, self._dtype, enabled=half, cache_enabled=False)

    def _paint(self, rgb: Tensor, quarter_turns: int = 0, paper: float = 1.0) -> Tensor:
        controls = self.controls(rgb, quarter_turns, paper)
        if self._fused is not None:
            return self._fused.rgb(self._fused.graded_rgb(rgb), controls)
        return self.paint(rgb, controls)

    def _copy(self, device: torch.device, dials: Dials, variation: int, finish: Finish) -> Style:
        generator = self._generator
        if device != self.device:
            with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and then replaced
                generator = generator_for(generator.config)
            generator.load_state_dict(self._generator.state_dict())
        made = Style(
            generator,
            self._plain_code,
            self.facts,
            self.content_hash,
            device=device,
            dials=dials,
            variation=variation,
            finish=finish,
            lut=self._lut if (device, variation) == (self.device, self.variation) else None,
        )
        made.before = self.before.to(device)
        return made


class _StyledBatch:
    """A batch whose planes are in work."""

    def __init__(self, batch: FrameBatch, planes: PendingPlanes, hdr: HdrConversion | None) -> None:
        self._batch, self._planes, self._hdr = batch, planes, hdr

    def result(self) -> Restyled:
        planes = self._planes.result()
        if self._hdr is not None:
            return Restyled(*self._hdr.batches(self._batch, planes))
        return Restyled(self._batch, replace(self._batch, planes=planes))


@torch.inference_mode()
def varied(generator: Generator, code: Tensor, seed: int) -> Tensor:
    """The code [1, K] of another take of a look: z ~ N(0, 1) from the seed, through M(z, code).

    Drawn and mapped on the CPU, so that a seed is the same take on every device. Seed 0 is the code itself.
    """
    if not seed:
        return code
    noise = torch.randn(1, generator.config.noise_size, generator=torch.Generator().manual_seed(seed))
    return copy.deepcopy(generator.mapping).to("cpu")(noise, code.to("cpu"))


def choose_device(name: str) -> torch.device:
    """ "auto" is the first GPU, else the CPU. DeviceError when there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name}: this is no device. Use auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"{name}: this kind of device is not supported. Use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            have = f"this machine has {count}" if count else "no usable NVIDIA GPU was found"
            raise DeviceError(f"{name}: no such GPU, {have}. Use --device cpu, or look at nvidia-smi.")
    return device
