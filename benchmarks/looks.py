"""Looks whose recipe is known, so that what a training run learns can be held against the truth.

Two photographic and two drawn ones, made to resemble what people want to learn: each has a part that colors
alone can explain and a part that only a network can (place, glow, skin, line, paper). Pictures are float32
[H, W, 3], RGB in [0, 1]; lengths scale with the short side.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def vlogger(rgb: Picture, seed: int = 0) -> Picture:
    """Airy: bright, peach highlights, cool lifted shadows, calm greens, smooth skin, soft glow."""
    side = min(rgb.shape[:2])
    skin = _blur(_skin(rgb), side * 0.01)[..., None]
    soft = cv2.bilateralFilter(rgb, 0, 0.10, side * 0.012)
    x = rgb + (soft - rgb) * 0.7 * skin
    x = _curve(x, gamma=0.69, contrast=0.62)
    x = _saturate(x, 0.97)
    x = _tame_greens(x, (0.22, -0.38, -0.10))
    x = _split_tone(x, shadows=(-0.020, 0.028, 0.080), highlights=(0.028, 0.014, -0.034))
    x = _levels(x, black=(0.050, 0.050, 0.046), white=(1.0, 0.985, 0.985))
    glow = _blur(_smooth(x, 0.55, 1.0), side * 0.035)
    x = 1 - (1 - x) * (1 - 0.12 * glow)
    return _clip(x)


def cinema(rgb: Picture, seed: int = 0) -> Picture:
    """Low key: teal shadows, amber highlights, muted color, red halation, light vignette."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    light = _blur(_smooth(_luma(rgb), 0.72, 1.0), side * 0.022)
    x = _curve(rgb, gamma=1.07, contrast=0.85)
    x = _saturate(x, 0.68)
    x = _tame_greens(x, (0.07, -0.11, 0.07))
    x = _split_tone(x, shadows=(-0.044, 0.028, 0.085), highlights=(0.070, 0.035, -0.090))
    x = _levels(x, black=(0.031, 0.033, 0.018), white=(0.95, 0.925, 0.92))
    halation = np.maximum(light - _smooth(_luma(rgb), 0.72, 1.0), 0)[..., None]
    x = 1 - (1 - x) * (1 - halation * np.array([0.30, 0.07, 0.02], np.float32))
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((across + 0.5) / width * 2 - 1, (down + 0.5) / height * 2 - 1) / np.sqrt(2)
    x = x * (1 - 0.24 * _smooth(radius, 0.35, 1.08)[..., None])
    return _clip(x)


def sketch(rgb: Picture, seed: int = 0) -> Picture:
    """Graphite on warm paper: color-dodge lines, flat tone, hatching in the dark, grain."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    tone = _blur(_luma(cv2.bilateralFilter(rgb, 0, 0.10, side * 0.006)), side * 0.0015)
    lines = (tone + 0.001) / (_blur(tone, side * 0.024) + 0.008)
    lines = np.clip(1.8 * lines - 0.8, 0, 1) ** 1.2
    shade = 1 - 0.36 * (1 - _smooth(tone, 0.04, 0.50))
    shade *= 1 - 0.08 * (1 - _smooth(tone, 0.20, 0.80))
    down, across = np.mgrid[0:height, 0:width].astype(np.float32) * (320 / side)
    wave = np.sin(2 * np.pi * (0.238 * down + 0.190 * across))
    hatch = np.clip(wave * 4 + 0.6, -1, 1) * 0.5 + 0.5
    shade *= 1 - 0.23 * hatch * (1 - _smooth(tone, 0.05, 0.42))
    value = 0.14 + 0.86 * lines * shade
    value = value + _paper(height, width, seed, side) * (0.35 + 0.65 * value)
    ink, paper = np.array([0.030, 0.026, 0.020], np.float32), np.array([0.958, 0.941, 0.914], np.float32)
    return _clip(ink + value[..., None] * (paper - ink))


def watercolor(rgb: Picture, seed: int = 0) -> Picture:
    """Light washes: smoothed shapes in few tones, pigment at the edges, paper that shines through."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    codes = cv2.medianBlur((rgb * 255 + 0.5).astype(np.uint8), 2 * round(side * 0.0062) + 1)
    x = codes.astype(np.float32) / 255
    for _ in range(3):
        x = cv2.bilateralFilter(x, 0, 0.12, side * 0.010)
    edges = _smooth(_blur(_gradient(_luma(x)), side * 0.002), 0.18, 1.0)
    x = _curve(_saturate(x, 1.6), gamma=0.58, contrast=0.30)
    flat = np.round(x * 8) / 8
    x = _blur(x + (flat - x) * 0.85, side * 0.0035)
    x = x * (1 - 0.45 * edges[..., None])
    wash = _noise(height, width, seed + 1, side * 0.06)[..., None]
    x = 0.13 + (0.87 - 0.012 * wash) * x
    grain = _paper(height, width, seed, side)[..., None]
    x = x * np.array([1.0, 0.996, 0.972], np.float32) + grain * (0.2 + 0.8 * x) * 1.1
    return _clip(x)


def warm(rgb: Picture, seed: int = 0) -> Picture:
    """A mild one: brighter, a little warm, a little more contrast and color."""
    x = _curve(rgb, gamma=0.82, contrast=0.22) * np.array([1.03, 1.0, 0.91], np.float32)
    return _clip(_levels(_saturate(x, 1.08), black=(0.02, 0.015, 0.01), white=(1.0, 1.0, 1.0)))


def teal_orange(rgb: Picture, seed: int = 0) -> Picture:
    """Film: crushed blacks, strong contrast, teal shadows, orange highlights, darker corners."""
    height, width = rgb.shape[:2]
    x = _curve(np.clip((rgb - 0.07) / 0.93, 0, 1), gamma=1.05, contrast=0.55)
    x = _split_tone(_saturate(x, 0.82), shadows=(-0.055, 0.022, 0.065), highlights=(0.075, 0.02, -0.085))
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((across + 0.5) / width * 2 - 1, (down + 0.5) / height * 2 - 1) / np.sqrt(2)
    return _clip(x * (1 - 0.15 * _smooth(radius, 0.4, 1.1)[..., None]))


def duotone(rgb: Picture, seed: int = 0) -> Picture:
    """An extreme one: two inks, indigo in the dark and peach in the light, hardly a trace of other color."""
    gray = np.clip(_curve(_luma(rgb), gamma=0.95, contrast=0.35), 0, 1)[..., None]
    dark, light = np.array([0.09, 0.04, 0.30], np.float32), np.array([1.0, 0.83, 0.60], np.float32)
    return _clip((dark + gray * (light - dark)) * 0.9 + rgb * 0.1)


def crossed(rgb: Picture, seed: int = 0) -> Picture:
    """Another: slide film in the wrong bath, each channel with a curve of its own; yellows glare."""
    red = _curve(rgb[..., 0], gamma=0.95, contrast=0.9)
    green = _curve(rgb[..., 1], gamma=0.85, contrast=0.55)
    blue = 0.22 + 0.55 * _curve(rgb[..., 2], gamma=1.1, contrast=-0.5)
    return _clip(_saturate(np.stack((red, green, blue), axis=-1), 1.15))


def charcoal(rgb: Picture, seed: int = 0) -> Picture:
    """Charcoal and white chalk on toned paper: smudges, broad strokes, the tooth of the paper."""
    height, width = rgb.shape[:2]
    unit, random = min(height, width) / 384, np.random.default_rng(seed)
    tooth = 0.75 * _noise(height, width, seed + 1, 0.75 * unit) + 0.65 * _noise(
        height, width, seed + 2, 1.8 * unit
    )
    tone = _stretched(_luma(_coherent(rgb, 4 * unit, 3)))
    wobble = 0.05 * _noise(height, width, seed + 3, 14 * unit)
    hatch = _hatching(height, width, random.uniform(44, 52), 18 * unit, 1.1 * unit, seed + 4)
    dark = np.clip((0.56 + wobble - tone) / 0.56, 0, 1)
    smudged = _blur(dark, 3.2 * unit)
    grain = (0.10 * tooth + 0.15 * hatch) * _smooth(dark, 0.0, 0.3)
    char = 0.34 * smudged + 0.70 * _smooth(dark + grain, 0.08, 1.0)
    lines = _lines(_luma(rgb), 1.5 * unit, 0.94, wobble=seed + 5, unit=unit)
    char = np.maximum(char, _smooth(lines * (1 + 0.22 * tooth), 0.25, 0.95) * 0.85)
    light = np.clip((tone + wobble - 0.62) / 0.38, 0, 1)
    grain = (0.10 * tooth + 0.15 * hatch) * _smooth(light, 0.0, 0.3)
    chalk = 0.88 * _smooth(light + grain, 0.12, 1.0) * (1 - char)
    shift = random.uniform(-0.02, 0.02)
    paper = np.array([0.655 + shift, 0.590 + shift, 0.505 + shift], np.float32)
    paper = paper + 0.012 * (tooth + _noise(height, width, seed + 6, 5 * unit))[..., None]
    x = paper + (np.array([0.96, 0.945, 0.91], np.float32) - paper) * chalk[..., None]
    return _clip(x + (np.array([0.085, 0.078, 0.074], np.float32) - x) * np.clip(char, 0, 0.97)[..., None])


def comic(rgb: Picture, seed: int = 0) -> Picture:
    """Cels: flat colors with one shadow and one light, bluish shadows, thin dark contours, no grain."""
    height, width = rgb.shape[:2]
    unit, random = min(height, width) / 384, np.random.default_rng(seed)
    soft = _coherent(rgb, 5 * unit, 4)
    tone = _stretched(_luma(soft))
    level = _stepped(tone, 4, seed)
    flat = soft * ((0.10 + 0.90 * (0.25 * tone + 0.75 * level)) / (0.08 + _luma(soft)))[..., None]
    flat = _saturate(_clip(flat) ** 0.9, 1.5)
    shadow = (1 - _smooth(level, 0.15, 0.55))[..., None]
    flat = flat + shadow * np.array([-0.015, 0.0, 0.085], np.float32)
    flat = 0.05 + 0.95 * _blur(_clip(flat), 0.6 * unit)
    lines = _lines(_luma(rgb), 1.15 * unit, 0.96, wobble=seed + 1, unit=unit)
    ink = np.array([0.11, 0.08, 0.13], np.float32)
    return _clip(flat + (ink - flat) * (lines * random.uniform(0.85, 0.95))[..., None])


def ink(rgb: Picture, seed: int = 0) -> Picture:
    """Brush and diluted ink: black contours that swell, three gray washes with rims, white paper."""
    height, width = rgb.shape[:2]
    unit = min(height, width) / 384
    rgb = _moved(rgb, 1.2 * unit, 6 * unit, seed + 1)
    soft = _coherent(rgb, 6 * unit, 5)
    tone = _stretched(_luma(soft)) + 0.035 * _noise(height, width, seed + 2, 12 * unit)
    bloom = (
        1
        + 0.16 * _noise(height, width, seed + 3, 16 * unit)
        + 0.05 * _noise(height, width, seed + 4, 1.1 * unit)
    )
    value = np.ones((height, width), np.float32)
    for place, strength in ((0.62, 0.17), (0.40, 0.30), (0.20, 0.55)):
        wash = _smooth(place - tone, -0.012, 0.012)
        rim = np.clip(_blur(wash, 2.0 * unit) * wash * 4 * (1 - _blur(wash, 2.0 * unit)), 0, 1)
        value = value * (1 - strength * (wash * bloom + 0.45 * rim))
    lines = _lines(_luma(rgb), 1.3 * unit, 0.95, wobble=seed + 5, unit=unit)
    dry = 0.25 * _noise(height, width, seed + 6, 0.7 * unit)
    value = value * (1 - 0.94 * _smooth(lines * (1 + dry), 0.30, 0.62))
    tint, paper = np.array([0.06, 0.075, 0.11], np.float32), np.array([0.965, 0.955, 0.925], np.float32)
    paper = paper + 0.008 * _noise(height, width, seed + 7, 1.2 * unit)[..., None]
    return _clip(tint + np.clip(value, 0, 1)[..., None] * (paper - tint))


LOOKS: dict[str, Callable[[Picture, int], Picture]] = {
    "vlogger": vlogger,
    "cinema": cinema,
    "sketch": sketch,
    "watercolor": watercolor,
}
# No two sheets of these share their paper, grain or strokes: sets to learn from, see drawn_set.py.
SHEETS: dict[str, Callable[[Picture, int], Picture]] = {"charcoal": charcoal, "comic": comic, "ink": ink}


def _luma(rgb: Picture) -> Picture:
    return rgb @ _LUMA


def _blur(x: Picture, sigma: float) -> Picture:
    return cv2.GaussianBlur(x, (0, 0), sigma).astype(np.float32, copy=False)


def _smooth(x: Picture, low: float, high: float) -> Picture:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _clip(x: Picture) -> Picture:
    return np.clip(x, 0, 1).astype(np.float32)


def _curve(x: Picture, gamma: float, contrast: float) -> Picture:
    x = np.clip(x, 0, 1) ** np.float32(gamma)
    return x + contrast * (x * x * (3 - 2 * x) - x)


def _saturate(x: Picture, gain: float) -> Picture:
    gray = _luma(x)[..., None]
    return gray + (x - gray) * gain


def _tame_greens(x: Picture, change: tuple[float, float, float]) -> Picture:
    greenness = np.maximum(x[..., 1] - np.maximum(x[..., 0], x[..., 2]), 0)[..., None]
    return x + greenness * np.array(change, np.float32)


def _split_tone(
    x: Picture, shadows: tuple[float, float, float], highlights: tuple[float, float, float]
) -> Picture:
    gray = _luma(x)[..., None]
    dark, bright = 1 - _smooth(gray, 0.0, 0.5), _smooth(gray, 0.4, 1.0)
    return x + dark * np.array(shadows, np.float32) + bright * np.array(highlights, np.float32)


def _levels(x: Picture, black: tuple[float, float, float], white: tuple[float, float, float]) -> Picture:
    low, high = np.array(black, np.float32), np.array(white, np.float32)
    return low + np.maximum(x, 0) * (high - low)


def _skin(rgb: Picture) -> Picture:
    """How much a pixel has the hue of skin, 0 to 1 [H, W]."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = _smooth(red - green, 0.02, 0.10) * _smooth(green - blue, -0.02, 0.05)
    return hue * (1 - _smooth(red - blue, 0.45, 0.65)) * _smooth(red, 0.2, 0.4)


def _gradient(gray: Picture) -> Picture:
    return cv2.magnitude(cv2.Sobel(gray, -1, 1, 0), cv2.Sobel(gray, -1, 0, 1))


def _noise(height: int, width: int, seed: int, sigma: float) -> Picture:
    """Smooth noise [H, W] of deviation 1, the same for the same seed."""
    noise = np.random.default_rng(seed).standard_normal((height, width)).astype(np.float32)
    noise = _blur(noise, max(sigma, 0.3))
    return noise / max(float(noise.std()), 1e-6)


def _paper(height: int, width: int, seed: int, side: int) -> Picture:
    """Relief of the paper, deviation 0.02."""
    fine = _noise(height, width, seed + 101, side * 0.0022)
    coarse = _noise(height, width, seed + 102, side * 0.009)
    return np.asarray(0.016 * fine + 0.010 * coarse, np.float32)


def _stretched(tone: Picture) -> Picture:
    low, high = np.percentile(tone, (2, 98))
    low, high = low * 0.8, high + (1 - high) * 0.25
    return np.clip((tone - low) / max(high - low, 0.25), 0, 1).astype(np.float32)


def _stepped(tone: Picture, levels: int, seed: int) -> Picture:
    """Tones pulled to a few levels, whose places differ from sheet to sheet."""
    random = np.random.default_rng(seed + 50)
    borders = (np.arange(1, levels) + random.uniform(-0.22, 0.22, levels - 1)) / levels
    out = np.zeros_like(tone)
    for border in borders:
        out += _smooth(tone, border - 0.025, border + 0.025)
    return np.asarray(out / (levels - 1), np.float32)


def _flow(gray: Picture, sigma: float) -> Picture:
    """Direction of the structure around each pixel in radians [H, W], along edges."""
    across, down = cv2.Sobel(gray, -1, 1, 0), cv2.Sobel(gray, -1, 0, 1)
    xx, yy, xy = (_blur(x, sigma) for x in (across * across, down * down, across * down))
    return 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2


def _along(x: Picture, angle: Picture, length: float) -> Picture:
    """Mean along the flow: line integral convolution (Cabral and Leedom, 1993) in straight steps."""
    height, width = x.shape[:2]
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    right, below = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    total, steps = x.copy(), max(2, round(length / 2.5))
    for sign in (-1, 1):
        for step in range(1, steps + 1):
            away = sign * step * length / 2 / steps
            total += cv2.remap(
                x, across + right * away, down + below * away, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
    return total / (2 * steps + 1)


def _coherent(rgb: Picture, size: float, times: int) -> Picture:
    """Shapes with smooth outlines: means along the flow, then a shock across (Kyprianidis, Kang 2011)."""
    x = cv2.bilateralFilter(rgb, 0, 0.09, max(size * 0.7, 1))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    for _ in range(times):
        gray = _luma(x)
        angle = _flow(gray, size * 0.45)
        x = _along(x, angle, size * 1.6)
        gray = _blur(_luma(x), max(size * 0.2, 0.7))
        across, down = -np.sin(angle), np.cos(angle)
        xx, yy, xy = cv2.Sobel(gray, -1, 2, 0), cv2.Sobel(gray, -1, 0, 2), cv2.Sobel(gray, -1, 1, 1)
        curve = across * across * xx + 2 * across * down * xy + down * down * yy
        strength = np.clip(np.abs(curve) / 0.02, 0, 1)[..., None]
        shocked = np.where(curve[..., None] < 0, cv2.dilate(x, kernel), cv2.erode(x, kernel))
        x = x + (shocked - x) * 0.55 * strength
    return _clip(x)


def _lines(gray: Picture, sigma: float, sharp: float, wobble: int, unit: float) -> Picture:
    """Contours as a pen draws them, 0 to 1: difference of Gaussians along the flow (Kang et al., 2007)."""
    height, width = gray.shape
    gray = _moved(gray, 0.8 * unit, 6 * unit, wobble)
    gray = cv2.bilateralFilter(gray, 0, 0.08, 2.5 * unit)
    gray = (gray + 0.02) / (_blur(gray, 20 * unit) + 0.12)  # lines in the dark count as well
    angle = _flow(gray, 2.2 * unit)
    difference = _along(_blur(gray, sigma) - sharp * _blur(gray, 1.6 * sigma), angle, 9 * unit)
    level = _blur(gray, sigma) * (1 - sharp)  # what a flat area has
    pressed = 1 + 0.22 * _noise(height, width, wobble + 1, 10 * unit)
    return 1 - _smooth((difference - level) * np.clip(pressed, 0.4, 1.6), -0.045, -0.014)


def _hatching(height: int, width: int, degrees: float, length: float, thick: float, seed: int) -> Picture:
    """Overlapping straight strokes in nearly one direction, deviation 1."""
    noise = _noise(height, width, seed, thick)
    swing = np.radians(degrees + 5 * _noise(height, width, seed + 1, 40)).astype(np.float32)
    noise = _along(noise, -swing, length)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def _moved(x: Picture, amount: float, sigma: float, seed: int) -> Picture:
    """Outlines that wobble as a hand does."""
    height, width = x.shape[:2]
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    across += amount * _noise(height, width, seed, sigma)
    down += amount * _noise(height, width, seed + 1, sigma)
    return cv2.remap(x, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
