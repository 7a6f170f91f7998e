"""A style on a handful of pictures, as one small sheet for people to look at.

    python benchmarks/style_strip.py --style sketch --output samples/sheet_sketch.jpg PICTURE...

Every picture is cut to 4 : 3 around its middle, restyled at 480 lines and shown at 180. Without --style the
pictures are shown as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from common import report
from torch import Tensor

from vidstyle.styles.load import load_style

COLUMNS = 4
RESTYLED_LINES, SHOWN_LINES = 480, 180


def picture(path: Path) -> Tensor:
    """RGB [1, 3, 480, 640] in [0, 1]."""
    codes = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if codes is None:
        raise SystemExit(f"{path}: is no picture. Name another one.")
    height, width = codes.shape[:2]
    across, down = min(width, height * 4 // 3), min(height, width * 3 // 4)
    left, top = (width - across) // 2, (height - down) // 2
    cut = torch.from_numpy(codes[top : top + down, left : left + across].copy())
    return resized(cut.permute(2, 0, 1)[None].float() / 255, RESTYLED_LINES)


def resized(rgb: Tensor, lines: int) -> Tensor:
    return F.interpolate(rgb, size=(lines, lines * 4 // 3), mode="bilinear", antialias=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A style on a handful of pictures.")
    parser.add_argument("--style")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("pictures", type=Path, nargs="+")
    arguments = parser.parse_args()
    found = [picture(path) for path in arguments.pictures]
    if arguments.style:
        style = load_style(arguments.style)
        found = [style(rgb) for rgb in found]
    small = [F.pad(resized(rgb, SHOWN_LINES), (2, 2, 2, 2), value=1.0) for rgb in found]
    rows = [torch.cat(small[i : i + COLUMNS], dim=3) for i in range(0, len(small), COLUMNS)]
    sheet = (torch.cat(rows, dim=2)[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    cv2.imwrite(str(arguments.output), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    report("style_strip", style=arguments.style, pictures=len(found), output=str(arguments.output))


if __name__ == "__main__":
    main()
