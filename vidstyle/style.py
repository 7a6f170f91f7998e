"""A style: a generator, the codes of its named looks and its facts, in one file. Knows no clips."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingType
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidstyle.color import from_rgb, to_rgb
from vidstyle.colourist import generator_for
from vidstyle.document import (
    FORMAT,
    damaged,
    document_of,
    hash_file,
    hash_text,
    opened,
    read_document,
    write_document,
)
from vidstyle.errors import DeviceError, StyleError
from vidstyle.finish import Finish, finished
from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.fused import FusedPaint, reason_not, trouble
from vidstyle.match import Before
from vidstyle.networks import LUT_SIZE, Controls, Dials, Generator, Grading, baked, config_from
from vidstyle.options import ApplyOptions
from vidstyle.running import Pending, Ready, Running, running
from vidstyle.table import SIZE, Table

FAMILIES = ("photographic", "drawn", "painted", "colour")
# Hatching lies still on the paper while a clip moves beneath it. On a still picture it is part of the look;
# in clips it is drawn much weaker: on a moving dark coat it would be most of the flicker.
MOVING_PAPER = 0.3


@dataclass(frozen=True)
class StyleFacts:
    """What a style file says of itself. All of it is data; none of it is executed.

    looks: names of the looks within; each has a stored style code. provenance: pictures it was learned from.
    training: options and seed of the run that made it.
    """

    name: str
    family: str
    summary: str = ""
    licence: str = ""
    provenance: str = ""
    recommended_strength: float = 1.0
    recommended_smooth: float = 1.0
    looks: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Style:
    """A look that can be put on pictures: callable on RGB [N, 3, H, W] in [0, 1], any size.

    Frames are independent of each other and of the batch they stand in. `with_options` turns dials and
    chooses the device and returns another Style that shares the weights where it can.
    """

    _running: Running | None = None
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
        # Half precision where the hardware is built for it; colours are always mixed in float32.
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
                lut = self._generator.lut(self._code, SIZE if on_cpu else LUT_SIZE)
        self._lut = lut
        self._grade: Grading = Table(lut) if on_cpu else baked(lut)
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
            return self.submit(batch).result()
        with self.at_work():
            return self.submit(batch).result()

    def submit(self, batch: FrameBatch) -> Pending:
        """`restyle` for several batches in work at once, in order; to be called within `at_work`."""
        if self.changes_nothing:
            return Ready(batch)
        assert self._running is not None, "submit outside of at_work"
        return self._running.submit(batch)

    @contextmanager
    def at_work(self) -> Iterator[Running | None]:
        """While the block runs, threads, streams and recorded work are kept from batch to batch."""
        if self.changes_nothing:
            yield None
            return
        with running(self.device, self.on_device) as self._running:
            if self.slow is not None:
                self._running.warnings.append(f"the GPU paints with plain torch, slower: {self.slow}")
            try:
                yield self._running
            finally:
                self._running = None

    @torch.inference_mode()
    def on_device(
        self, planes: Sequence[Tensor], fmt: PlaneFormat, quarter_turns: int = 0
    ) -> tuple[Tensor, ...]:
        """Planes as `fmt` describes them, on the style's device, restyled and left there."""
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


def read_facts(path: Path) -> StyleFacts:
    """Only the facts, without the weights."""
    with opened(path) as file:
        return _facts(path, document_of(path, file.metadata()))


def read_style(path: Path, looks: MappingType[str, float] | None = None) -> Style:
    """The style in a file. looks: shares of its looks, by default all of the first (which "" stands for).

    Looks of one file are mixed by their codes: in between lie looks that the network paints as a whole.
    Raises StyleError when the file is missing, damaged or hostile, or has no such look.
    """
    generator, codes, facts = read_network(path)
    shares = _shares(path, facts, looks or {"": 1.0})
    code = torch.stack([codes[look] * share for look, share in shares]).sum(0)
    content_hash = hash_file(path)
    if shares != [(facts.looks[0], 1.0)]:
        content_hash = hash_text(content_hash, *(f"{look}:{share!r}" for look, share in shares))
    return Style(generator, code, facts, content_hash)


def read_network(path: Path) -> tuple[Generator, dict[str, Tensor], StyleFacts]:
    """What a style file holds: the generator, a code [1, K] for each look, and the facts. StyleError."""
    tensors, document = read_document(path)
    facts = _facts(path, document)
    try:
        generator = generator_for(config_from(document["generator"]))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"its network is described wrongly: {error}") from error
    codes = {look: tensors.pop(f"code.{look}", None) for look in facts.looks}
    weights = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise damaged(path, "its weights do not fit its network") from error
    size = generator.config.code_size
    if not codes or any(code is None or tuple(code.shape) != (1, size) for code in codes.values()):
        raise damaged(path, "a style code is missing or has the wrong size")
    kept = {look: code.to(torch.float32) for look, code in codes.items() if code is not None}
    if not all(torch.isfinite(t).all() for t in (*weights.values(), *kept.values())):
        raise damaged(path, "it holds numbers that are not finite")
    return generator, kept, facts


def _shares(path: Path, facts: StyleFacts, looks: MappingType[str, float]) -> list[tuple[str, float]]:
    """(look, share) in the file's order, shares summing to 1."""
    total = sum(looks.values())
    shares: dict[str, float] = {}
    for look, share in looks.items():
        name = look or facts.looks[0]
        if name not in facts.looks:
            raise StyleError(f"{path}: it has no look {look}. Choose one of: {', '.join(facts.looks)}.")
        shares[name] = shares.get(name, 0.0) + share / total
    return [(look, shares[look]) for look in facts.looks if shares.get(look)]


def save_style(
    path: Path, generator: Generator, codes: MappingType[str, Tensor], facts: StyleFacts, *, half: bool = True
) -> Path:
    """Write a style file (atomically). codes: look -> [1, K]. Weights are stored as float16 if `half`."""
    dtype = torch.float16 if half else torch.float32
    exact = {name for name, _ in generator.named_buffers()}  # frequencies, which halves would bend
    tensors = {
        name: t.detach().cpu().to(torch.float32 if name in exact else dtype).contiguous()
        for name, t in generator.state_dict().items()
    }
    tensors |= {f"code.{look}": code.detach().cpu().to(torch.float32) for look, code in codes.items()}
    document = {"format": FORMAT, "generator": generator.config.to_dict(), "facts": facts.to_dict()}
    return write_document(path, tensors, document)


def _facts(path: Path, document: dict[str, Any]) -> StyleFacts:
    stored = document.get("facts")
    known = {f.name for f in fields(StyleFacts)}
    try:
        if not isinstance(stored, dict):
            raise TypeError("no facts")
        facts = StyleFacts(**{key: value for key, value in stored.items() if key in known})
        numbers = (float(facts.recommended_strength), float(facts.recommended_smooth))
        if not all(0 <= number <= 1 for number in numbers):
            raise ValueError("a recommendation is not between 0 and 1")
        if facts.family not in FAMILIES or not all(isinstance(look, str) for look in facts.looks):
            raise ValueError("the family or the looks are unknown")
    except (TypeError, ValueError) as error:
        raise damaged(path, f"its facts are wrong: {error}") from error
    return replace(facts, looks=tuple(facts.looks))
