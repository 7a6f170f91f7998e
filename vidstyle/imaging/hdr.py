"""PQ and HLG light: tone mapping to SDR by BT.2390, and a style's change carried back to HDR.

Signals are RGB [N, 3, H, W] in [0, 1] as `color.to_rgb` returns them. Light is in nits (cd/m2) on the screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.imaging.yuv import from_rgb, to_rgb

# White of paper in HDR, which becomes the white of SDR: ITU-R BT.2408-7, section 2.
WHITE_NITS = 203.0
# Of a source that does not say how bright it gets; also the nominal screen of HLG (BT.2100-2).
USUAL_PEAK_NITS = 1000.0
# Share of the look that HDR gets with `--hdr keep`: styles have only seen SDR, and a screen ten times as
# bright shows a change of color that much more strongly.
KEPT_SHARE = 0.5

PQ, HLG = 16, 18
_M1, _M2 = 2610 / 16384, 2523 / 32  # SMPTE ST 2084
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073  # ARIB STD-B67
_GAMMA = 1.2  # of HLG's system at 1000 nits
_SCREEN_GAMMA = 2.4  # BT.1886: what an SDR screen makes of a signal

# Linear light to BT.709: from BT.2020 (BT.2087-0), and from P3 with a D65 white (SMPTE EG 432-1).
_TO_709 = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
_WEIGHTS_709 = (0.2126, 0.7152, 0.0722)
_WEIGHTS_2020 = (0.2627, 0.6780, 0.0593)


@dataclass(frozen=True)
class HdrLight:
    """What is to be known of HDR frames. transfer: 16 (PQ) or 18 (HLG). primaries: FFmpeg's number."""

    transfer: int
    primaries: int
    peak_nits: float

    @classmethod
    def of(cls, info: VideoInfo) -> HdrLight:
        """The brightest pixel that the source names, else its screen's, else the usual one."""
        peak = USUAL_PEAK_NITS
        if info.transfer == PQ:
            peak = info.content_light[0] if info.content_light else 0.0
            peak = peak or (info.mastering.peak_nits if info.mastering else 0.0) or USUAL_PEAK_NITS
        return cls(info.transfer, 12 if info.primaries == 12 else 9, peak)


def sdr_info(info: VideoInfo, deepest: int) -> VideoInfo:
    """The same clip after `to_sdr`: BT.709, limited range; no deeper than the codec's deepest format."""
    fmt = _sdr_format(info.format, deepest)
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


def to_sdr(batch: FrameBatch, light: HdrLight, device: torch.device, deepest: int = 16) -> FrameBatch:
    """An HDR batch tone mapped to SDR BT.709 on the device; planes back on the CPU."""
    fmt = _sdr_format(batch.format, deepest)
    planes = from_rgb(tone_map(_signal(batch, device), light), fmt)
    alpha = batch.alpha
    if alpha is not None and fmt.bit_depth < batch.format.bit_depth:
        alpha = (alpha.to(torch.int32) >> (batch.format.bit_depth - fmt.bit_depth)).to(fmt.dtype)
    return replace(batch, planes=tuple(plane.cpu() for plane in planes), format=fmt, alpha=alpha)


def with_change(
    batch: FrameBatch, before: FrameBatch, after: FrameBatch, light: HdrLight, device: torch.device
) -> FrameBatch:
    """The HDR batch with what a style did to its SDR copy (`before` to `after`), at KEPT_SHARE.

    The change of the light that an SDR screen would show is measured in steps of PQ, which the eye sees as
    equal, and added to the PQ signal of the HDR frame. No change leaves the planes themselves.
    """
    if all(torch.equal(a, b) for a, b in zip(before.planes, after.planes, strict=True)):
        return batch
    back = torch.linalg.inv(torch.tensor(_TO_709[light.primaries], device=device))
    signals = [
        nits_to_pq(_mix(_signal(part, device).pow(_SCREEN_GAMMA) * WHITE_NITS, back).clamp_(min=0))
        for part in (after, before)
    ]
    change = (signals[0] - signals[1]).mul_(KEPT_SHARE)
    top = float(nits_to_pq(torch.tensor(max(light.peak_nits, WHITE_NITS))))
    source = nits_to_pq(_nits(_signal(batch, device), light))
    changed = torch.minimum(source + change, source.clamp(min=top)).clamp_(min=0)
    if light.transfer == HLG:
        changed = nits_to_hlg(pq_to_nits(changed))
    return replace(batch, planes=tuple(plane.cpu() for plane in from_rgb(changed, batch.format)))


def to_light(signal: Tensor, info: VideoInfo) -> Tensor:
    """Linear light of any signal, 1.0 being the white of SDR (WHITE_NITS of HDR): what EXR files hold."""
    if info.is_hdr:
        return _nits(signal, HdrLight.of(info)) / WHITE_NITS
    return signal.pow(_SCREEN_GAMMA)


def tone_map(signal: Tensor, light: HdrLight) -> Tensor:
    """HDR signal -> SDR signal of BT.709, both [N, 3, H, W] in [0, 1].

    The curve is the EETF of ITU-R BT.2390-11 (section 5.4.1), taken in PQ at the largest of R, G and B so
    that hues stay: light up to its knee is untouched, what is brighter bends towards SDR's white, which is
    WHITE_NITS. Colors outside BT.709 move towards gray of the same brightness until they fit.
    """
    nits = _nits(signal, light)
    largest = nits.amax(1, keepdim=True)
    mapped = pq_to_nits(eetf(nits_to_pq(largest), light.peak_nits))
    nits = nits * (mapped / largest.clamp(min=1e-4)).clamp_(max=1)
    linear = _mix(nits.div_(WHITE_NITS), torch.tensor(_TO_709[light.primaries], device=signal.device))
    return _into_gamut(linear).pow_(1 / _SCREEN_GAMMA)


def eetf(pq: Tensor, peak_nits: float, white_nits: float = WHITE_NITS) -> Tensor:
    """BT.2390's curve from a source of peak_nits to a screen of white_nits, PQ signal to PQ signal."""
    if peak_nits <= white_nits:
        return pq
    source, screen = (float(nits_to_pq(torch.tensor(nits))) for nits in (peak_nits, white_nits))
    top = screen / source
    knee = 1.5 * top - 0.5
    x = (pq / source).clamp(max=1)
    t = (x - knee).div_(1 - knee).clamp_(min=0)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * top
    return torch.where(x < knee, x, bent) * source


def pq_to_nits(signal: Tensor) -> Tensor:
    """SMPTE ST 2084: [0, 1] -> 0 to 10000 nits."""
    power = signal.pow(1 / _M2)
    return (power - _C1).clamp_(min=0).div_(_C2 - _C3 * power).pow_(1 / _M1).mul_(10_000)


def nits_to_pq(nits: Tensor) -> Tensor:
    power = (nits / 10_000).clamp_(0, 1).pow_(_M1)
    return (_C1 + _C2 * power).div_(1 + _C3 * power).pow_(_M2)


def hlg_to_nits(signal: Tensor) -> Tensor:
    """BT.2100: [0, 1] -> light on a screen of 1000 nits."""
    scene = torch.where(signal <= 0.5, signal.square() / 3, (((signal - _C) / _A).exp() + _B) / 12)
    return scene * _luminance(scene).clamp_(min=1e-6).pow_(_GAMMA - 1) * USUAL_PEAK_NITS


def nits_to_hlg(nits: Tensor) -> Tensor:
    light = nits / USUAL_PEAK_NITS
    scene = light * _luminance(light).clamp_(min=1e-8).pow_((1 - _GAMMA) / _GAMMA)
    bright = (12 * scene - _B).clamp_(min=1e-6).log_().mul_(_A).add_(_C)
    return torch.where(scene <= 1 / 12, (3 * scene).clamp(min=0).sqrt(), bright).clamp_(0, 1)


def _nits(signal: Tensor, light: HdrLight) -> Tensor:
    return pq_to_nits(signal) if light.transfer == PQ else hlg_to_nits(signal)


def _luminance(linear: Tensor) -> Tensor:
    red, green, blue = _WEIGHTS_2020
    return linear[:, 0:1] * red + linear[:, 1:2] * green + linear[:, 2:3] * blue


def _mix(linear: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, linear)


def _into_gamut(linear: Tensor) -> Tensor:
    """Towards gray of the same luminance, as little as brings all three into [0, 1]."""
    red, green, blue = _WEIGHTS_709
    gray = (linear[:, 0:1] * red + linear[:, 1:2] * green + linear[:, 2:3] * blue).clamp_(0, 1)
    low, high = linear.amin(1, keepdim=True), linear.amax(1, keepdim=True)
    share = torch.minimum(
        torch.where(low < 0, gray / (gray - low).clamp(min=1e-6), 1.0),
        torch.where(high > 1, (1 - gray) / (high - gray).clamp(min=1e-6), 1.0),
    )
    return torch.lerp(gray.expand_as(linear), linear, share).clamp_(0, 1)


def _sdr_format(fmt: PlaneFormat, deepest: int) -> PlaneFormat:
    depth = min(fmt.bit_depth, deepest)
    if fmt.matrix == "rgb":
        return replace(fmt, bit_depth=depth)
    return replace(fmt, bit_depth=depth, matrix="bt709", full_range=False, chroma_location="left")


def _signal(batch: FrameBatch, device: torch.device) -> Tensor:
    return to_rgb([plane.to(device) for plane in batch.planes], batch.format)
