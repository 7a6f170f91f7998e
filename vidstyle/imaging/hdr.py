"""HDR: PQ and HLG signals, tone mapping to SDR, and a style's change carried back to HDR.

A signal is RGB [N, 3, H, W], float32 in [0, 1], as `yuv.to_rgb` returns it. Light is measured in nits (cd/m2)
on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.conversion import Conversion
from vidstyle.imaging.dither import Dither
from vidstyle.imaging.resize import row_strips
from vidstyle.imaging.yuv import LUMA_BT709, LUMA_BT2020, from_rgb, to_rgb

# Raise when HDR sources would give other frames than before. SDR has PIXEL_PATH_VERSION.
HDR_PATH_VERSION = 2

# Diffuse white in HDR, which becomes the white of SDR: ITU-R BT.2408-7, section 2.
WHITE_NITS = 203.0
# The peak of a source that does not name one; also the nominal screen of HLG (BT.2100-2).
USUAL_PEAK_NITS = 1000.0
# Share of the look that HDR gets with `--hdr keep`: styles have only seen SDR, and a screen ten times as
# bright shows a change of color that much more strongly.
KEPT_SHARE = 0.5

PQ, HLG = 16, 18  # FFmpeg's numbers of the transfer functions
_M1, _M2 = 2610 / 16384, 2523 / 32  # SMPTE ST 2084
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073  # ARIB STD-B67
_GAMMA = 1.2  # of HLG's system at 1000 nits
_SCREEN_GAMMA = 2.4  # BT.1886: what an SDR screen makes of a signal

_Matrix = tuple[tuple[float, float, float], ...]
# Linear light to BT.709: from BT.2020 (BT.2087-0), and from P3 with a D65 white (SMPTE EG 432-1).
_TO_709: dict[int, _Matrix] = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}

_PIECES = 1024  # of the tables of `tone_map`: three of them stay in a core's fastest cache


@dataclass(frozen=True)
class HdrLight:
    """How the signal of HDR frames becomes light.

    transfer: 16 (PQ) or 18 (HLG). primaries: FFmpeg's number, 9 (BT.2020) or 12 (P3). peak_nits: the
    brightest light in the source.
    """

    transfer: int
    primaries: int
    peak_nits: float

    @classmethod
    def of(cls, info: VideoInfo) -> HdrLight:
        """From the facts of a source. The peak is MaxCLL, else the mastering screen's, else the usual one."""
        peak = USUAL_PEAK_NITS
        if info.transfer == PQ:
            peak = info.content_light[0] if info.content_light else 0.0
            peak = peak or (info.mastering.peak_nits if info.mastering else 0.0) or USUAL_PEAK_NITS
        return cls(info.transfer, 12 if info.primaries == 12 else 9, peak)


@dataclass(frozen=True)
class HdrConversion(Conversion):
    """What is done to HDR frames around a style, which sees SDR.

    keep: False gives SDR frames; True gives HDR frames with KEPT_SHARE of the style's change. deepest: bits
    of the deepest SDR frames that the codec holds. with_source: also return the tone mapped source, for a
    smoother that compares it with the styled frames.
    """

    light: HdrLight
    keep: bool = False
    deepest: int = 16
    with_source: bool = False

    def restyle(
        self,
        planes: Sequence[Tensor],
        fmt: PlaneFormat,
        style: Callable[[Tensor], Tensor],
        dither: Dither | None = None,
    ) -> tuple[Tensor, ...]:
        """See Conversion. The planes are the styled ones and, with `with_source`, those of the tone mapped
        source.
        """
        signal = to_rgb(planes, fmt)
        before = tone_map(signal, self.light)
        after = style(before)
        if not self.keep:
            sdr = sdr_format(fmt, self.deepest)
            source = from_rgb(before, sdr) if self.with_source else ()
            return (*from_rgb(after, sdr, dither=dither), *source)
        changed = from_rgb(with_change(signal, before, after, self.light), fmt)
        same = (after == before).flatten(1).all(1)[:, None, None]
        return tuple(_select(same, old, new) for old, new in zip(planes, changed, strict=True))

    def batches(self, batch: FrameBatch, planes: Sequence[Tensor]) -> tuple[FrameBatch, FrameBatch]:
        if self.keep:
            return batch, replace(batch, planes=tuple(planes))
        count = batch.format.plane_count
        sdr = replace(
            batch,
            planes=tuple(planes[:count]),
            format=sdr_format(batch.format, self.deepest),
            alpha=shallower_alpha(batch, self.deepest),
        )
        return replace(sdr, planes=tuple(planes[count:])) if self.with_source else sdr, sdr

    def shown(self, batch: FrameBatch) -> FrameBatch:
        return to_sdr(batch, self.light, self.deepest)

    def unstyled(self, batch: FrameBatch) -> FrameBatch:
        return batch if self.keep else self.shown(batch)

    def restyle_batch(
        self, batch: FrameBatch, restyle: Callable[[FrameBatch], FrameBatch]
    ) -> tuple[FrameBatch, FrameBatch]:
        sdr = self.shown(batch)
        styled = restyle(sdr)
        if not self.keep:
            return sdr, styled
        if all(torch.equal(a, b) for a, b in zip(sdr.planes, styled.planes, strict=True)):
            return batch, batch
        before, after = to_rgb(sdr.planes, sdr.format), to_rgb(styled.planes, styled.format)
        changed = with_change(to_rgb(batch.planes, batch.format), before, after, self.light)
        return batch, replace(batch, planes=from_rgb(changed, batch.format))


def sdr_info(info: VideoInfo, deepest: int) -> VideoInfo:
    """The facts of a clip after tone mapping: BT.709, limited range, at most `deepest` bits."""
    fmt = sdr_format(info.format, deepest)
    return replace(
        info,
        format=fmt,
        primaries=1,
        transfer=1,
        matrix_code=0 if fmt.matrix == "rgb" else 1,
        range_code=2 if fmt.full_range else 1,
        mastering=None,
        content_light=None,
    )


def sdr_format(fmt: PlaneFormat, deepest: int) -> PlaneFormat:
    """The format of planes after tone mapping."""
    depth = min(fmt.bit_depth, deepest)
    if fmt.matrix == "rgb":
        return replace(fmt, bit_depth=depth)
    return replace(fmt, bit_depth=depth, matrix="bt709", full_range=False, chroma_location="left")


def to_sdr(batch: FrameBatch, light: HdrLight, deepest: int = 16) -> FrameBatch:
    """A batch of HDR planes as SDR planes of BT.709, of at most `deepest` bits, on the same device."""
    fmt = sdr_format(batch.format, deepest)
    planes = from_rgb(tone_map(to_rgb(batch.planes, batch.format), light), fmt)
    return replace(batch, planes=planes, format=fmt, alpha=shallower_alpha(batch, deepest))


def tone_map(signal: Tensor, light: HdrLight) -> Tensor:
    """HDR signal -> SDR signal of BT.709, both [N, 3, H, W] in [0, 1].

    The curve is the EETF of ITU-R BT.2390-11 (section 5.4.1), taken in PQ at the largest of R, G and B so
    that hues stay: light up to its knee is untouched, what is brighter bends towards SDR's white, which is
    WHITE_NITS. Colors outside BT.709 move towards gray of the same brightness until they fit.

    The steepest powers come from a table made in float64. That takes less time, and is closer to the formulas
    than their own computation in float32: planes of 8 bit are within 1 level of those computed in float64.
    """
    table = _table(light, signal.device)
    out = torch.empty_like(signal)
    for top, bottom in row_strips(signal):
        part = signal[:, :, top:bottom]
        if light.transfer == PQ:
            linear = _look_up(table, part)
            bent = _look_up(table, eetf(_largest(part), light.peak_nits))
            linear.mul_(bent.div_(_largest(linear).clamp_(min=1e-7)).clamp_(max=1))
        else:
            linear = _hlg_to_scene(part)
            linear.mul_(_luminance(linear).clamp_(min=1e-6).pow_(_GAMMA - 1))
            linear.mul_(_look_up(table, _largest(linear).sqrt_()))
        linear = _into_gamut(_mix(linear, _TO_709[light.primaries]))
        torch.pow(linear, 1 / _SCREEN_GAMMA, out=out[:, :, top:bottom])
    return out


@lru_cache(maxsize=8)
def _table(light: HdrLight, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The function that `_look_up` reads, as values, slopes and bends of parabolas.

    For PQ: signal -> linear light, where white is 1. For HLG: the square root of the light on the screen,
    where USUAL_PEAK_NITS is 1 -> the factor that tone maps it.
    """

    def pq_to_linear(signal: Tensor) -> Tensor:
        return pq_to_nits(signal) / WHITE_NITS

    def hlg_gain(root: Tensor) -> Tensor:
        nits = root.square() * USUAL_PEAK_NITS
        mapped = pq_to_nits(eetf(nits_to_pq(nits), light.peak_nits))
        return (mapped / nits.clamp(min=1e-4)).clamp(max=1) * (USUAL_PEAK_NITS / WHITE_NITS)

    curve = pq_to_linear if light.transfer == PQ else hlg_gain
    with torch.inference_mode(False):  # the table is kept, and may be used anywhere
        center = torch.arange(_PIECES + 1, dtype=torch.float64)
        before, here, after = (curve(((center + d) / _PIECES).clamp(0, 1)) for d in (-0.5, 0.0, 0.5))
        parabola = here, after - before, 2 * (before + after - 2 * here)
        value, slope, bend = (part.to(device, torch.float32) for part in parabola)
        return value, slope, bend


def _look_up(table: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    """A function of x in [0, 1] from its table: a parabola around each of _PIECES + 1 points."""
    value, slope, bend = table
    place = (x * _PIECES).clamp_(0, _PIECES)
    nearest = place.round()
    index = nearest.to(torch.int32).reshape(-1)
    offset = place.sub_(nearest).view(-1)
    found = torch.index_select(bend, 0, index).mul_(offset)
    found.add_(torch.index_select(slope, 0, index)).mul_(offset).add_(torch.index_select(value, 0, index))
    return found.view(x.shape)


def _largest(rgb: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 1, H, W]."""
    red, green, blue = rgb.split(1, dim=1)
    return torch.maximum(torch.maximum(red, green), blue)


def with_change(signal: Tensor, before: Tensor, after: Tensor, light: HdrLight) -> Tensor:
    """An HDR signal with KEPT_SHARE of what a style did to its SDR copy (`before` to `after`, BT.709).

    All [N, 3, H, W] in [0, 1]. The change of the light that an SDR screen would show is measured in steps of
    PQ, which the eye sees as equal, and added to the PQ signal of the HDR frame.
    """
    back = _inverse(_TO_709[light.primaries])
    pq_after, pq_before = (
        nits_to_pq(_mix(sdr.pow(_SCREEN_GAMMA).mul_(WHITE_NITS), back).clamp_(min=0))
        for sdr in (after, before)
    )
    change = pq_after.sub_(pq_before).mul_(KEPT_SHARE)
    top = float(nits_to_pq(torch.tensor(max(light.peak_nits, WHITE_NITS))))
    source = signal if light.transfer == PQ else nits_to_pq(hlg_to_nits(signal))
    changed = torch.minimum(source + change, source.clamp(min=top)).clamp_(min=0)
    return changed if light.transfer == PQ else nits_to_hlg(pq_to_nits(changed))


def to_light(signal: Tensor, info: VideoInfo) -> Tensor:
    """Linear light of any signal, 1.0 being the white of SDR (WHITE_NITS of HDR): what EXR files hold."""
    if info.is_hdr:
        return (pq_to_nits(signal) if info.transfer == PQ else hlg_to_nits(signal)) / WHITE_NITS
    return signal.pow(_SCREEN_GAMMA)


def eetf(pq: Tensor, peak_nits: float, white_nits: float = WHITE_NITS) -> Tensor:
    """BT.2390's curve from a source of peak_nits to a screen of white_nits, PQ signal to PQ signal."""
    if peak_nits <= white_nits:
        return pq
    source, screen = (float(nits_to_pq(torch.tensor(nits))) for nits in (peak_nits, white_nits))
    top = screen / source
    knee = 1.5 * top - 0.5
    x = (pq / source).clamp(max=1)
    t = (x - knee).div_(1 - knee).clamp_(min=0)
    # The Hermite spline of the report, its powers of t put together.
    bent = (t * (1 + knee - 2 * top)).add_(3 * top - knee - 2).mul_(t).add_(1 - knee).mul_(t).add_(knee)
    return torch.where(x < knee, x, bent).mul_(source)


def pq_to_nits(signal: Tensor) -> Tensor:
    """SMPTE ST 2084: signal in [0, 1] -> 0 to 10000 nits."""
    power = signal.pow(1 / _M2)
    return (power - _C1).clamp_(min=0).div_(_C2 - _C3 * power).pow_(1 / _M1).mul_(10_000)


def nits_to_pq(nits: Tensor) -> Tensor:
    """The inverse of `pq_to_nits`."""
    power = (nits / 10_000).clamp_(0, 1).pow_(_M1)
    return (_C1 + _C2 * power).div_(1 + _C3 * power).pow_(_M2)


def hlg_to_nits(signal: Tensor) -> Tensor:
    """BT.2100: signal in [0, 1] -> light on a screen of 1000 nits."""
    scene = _hlg_to_scene(signal)
    return scene * _luminance(scene).clamp_(min=1e-6).pow_(_GAMMA - 1) * USUAL_PEAK_NITS


def nits_to_hlg(nits: Tensor) -> Tensor:
    """The inverse of `hlg_to_nits`."""
    light = nits / USUAL_PEAK_NITS
    scene = light * _luminance(light).clamp_(min=1e-8).pow_((1 - _GAMMA) / _GAMMA)
    bright = (12 * scene - _B).clamp_(min=1e-6).log_().mul_(_A).add_(_C)
    return torch.where(scene <= 1 / 12, (3 * scene).clamp(min=0).sqrt(), bright).clamp_(0, 1)


def _hlg_to_scene(signal: Tensor) -> Tensor:
    """The inverse of HLG's OETF: signal -> light of the scene, both in [0, 1]."""
    return torch.where(signal <= 0.5, signal.square() / 3, (((signal - _C) / _A).exp() + _B) / 12)


def _luminance(linear: Tensor) -> Tensor:
    red, green, blue = LUMA_BT2020
    return linear[:, 0:1] * red + linear[:, 1:2] * green + linear[:, 2:3] * blue


def _mix(linear: Tensor, matrix: _Matrix) -> Tensor:
    """RGB through a matrix of numbers: no tensor is moved to the device, which a CUDA graph forbids."""
    out = torch.empty_like(linear)
    red, green, blue = linear.unbind(1)
    for channel, (a, b, c) in enumerate(matrix):
        torch.mul(red, a, out=out[:, channel]).add_(green, alpha=b).add_(blue, alpha=c)
    return out


@lru_cache
def _inverse(matrix: _Matrix) -> _Matrix:
    rows = torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64)).tolist()
    return tuple((row[0], row[1], row[2]) for row in rows)


def _into_gamut(linear: Tensor) -> Tensor:
    """Towards gray of the same luminance, as little as brings all three into [0, 1]. Overwrites its input."""
    red, green, blue = linear.split(1, dim=1)
    gray = (red * LUMA_BT709[0]).add_(green, alpha=LUMA_BT709[1]).add_(blue, alpha=LUMA_BT709[2])
    gray.clamp_(0, 1)
    low = torch.minimum(torch.minimum(red, green), blue)
    high = torch.maximum(torch.maximum(red, green), blue)
    # The factor of the distance from gray; at most 1 where a color fits already.
    share = gray / low.neg_().clamp_(min=0).add_(gray).clamp_(min=1e-6)
    share = torch.minimum(share, (1 - gray).div_(high.clamp_(min=1).sub_(gray).clamp_(min=1e-6)))
    return linear.sub_(gray).mul_(share).add_(gray).clamp_(0, 1)


def shallower_alpha(batch: FrameBatch, deepest: int) -> Tensor | None:
    """The alpha plane in the depth of the SDR frames."""
    fmt = sdr_format(batch.format, deepest)
    if batch.alpha is None or fmt.bit_depth == batch.format.bit_depth:
        return batch.alpha
    return (batch.alpha.to(torch.int32) >> (batch.format.bit_depth - fmt.bit_depth)).to(fmt.dtype)


def _select(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """torch.where, also for uint16."""
    return torch.where(condition, yes.to(torch.int32), no.to(torch.int32)).to(no.dtype)
