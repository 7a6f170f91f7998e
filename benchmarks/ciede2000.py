"""How different two colors look: CIEDE2000, and how colorful a picture is."""

from __future__ import annotations

import torch
from torch import Tensor


def ciede2000(a: Tensor, b: Tensor) -> Tensor:
    """CIELAB [N, 3, H, W] twice -> differences [N, H, W].

    CIE 142-2001, as Sharma, Wu and Dalal state it (Color Research and Application, 2005).
    """
    (light_a, red_a, blue_a), (light_b, red_b, blue_b) = a.double().unbind(1), b.double().unbind(1)
    mean = (torch.hypot(red_a, blue_a) + torch.hypot(red_b, blue_b)) / 2
    stretch = 1 + 0.5 * (1 - (mean**7 / (mean**7 + 25**7)).sqrt())
    red_a, red_b = red_a * stretch, red_b * stretch
    chroma_a, chroma_b = torch.hypot(red_a, blue_a), torch.hypot(red_b, blue_b)
    hue_a = torch.rad2deg(torch.atan2(blue_a, red_a)) % 360
    hue_b = torch.rad2deg(torch.atan2(blue_b, red_b)) % 360
    gray = chroma_a * chroma_b == 0
    turn = (hue_b - hue_a + 180) % 360 - 180
    turn = torch.where((turn == -180) & (hue_b > hue_a), -turn, turn).masked_fill(gray, 0.0)
    light, chroma = (light_a + light_b) / 2, (chroma_a + chroma_b) / 2
    hue = (hue_a + hue_b) / 2
    far = (hue_a - hue_b).abs() > 180
    hue = torch.where(far, torch.where(hue < 180, hue + 180, hue - 180), hue)
    hue = torch.where(gray, hue_a + hue_b, hue)

    def wave(times: int, offset: float) -> Tensor:
        return torch.cos(torch.deg2rad(times * hue + offset))

    shape = 1 - 0.17 * wave(1, -30) + 0.24 * wave(2, 0) + 0.32 * wave(3, 6) - 0.20 * wave(4, -63)
    by_light = (light_b - light_a) / (1 + 0.015 * (light - 50) ** 2 / (20 + (light - 50) ** 2).sqrt())
    by_chroma = (chroma_b - chroma_a) / (1 + 0.045 * chroma)
    by_hue = 2 * (chroma_a * chroma_b).sqrt() * torch.sin(torch.deg2rad(turn) / 2)
    by_hue = by_hue / (1 + 0.015 * chroma * shape)
    bend = 60 * torch.exp(-(((hue - 275) / 25) ** 2))
    rotation = -torch.sin(torch.deg2rad(bend)) * 2 * (chroma**7 / (chroma**7 + 25**7)).sqrt()
    total = by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue
    return total.clamp(min=0).sqrt()


def colorfulness(rgb: Tensor) -> float:
    """Of a picture [3, H, W] in [0, 1], by Hasler and Suesstrunk (SPIE 2003), in their units of 255."""
    red, green, blue = (rgb.double() * 255).unbind(0)
    across, along = red - green, (red + green) / 2 - blue
    spread = (across.var() + along.var()).sqrt()
    return float(spread + 0.3 * torch.hypot(across.mean(), along.mean()))
