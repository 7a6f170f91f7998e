"""A face for tests: the astronaut of samples/sheet_source.jpg (Eileen Collins, NASA, public domain)."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import torch
from torch import Tensor

SHEET = Path(__file__).parents[2] / "samples" / "sheet_source.jpg"
TILE = 240, 180  # width and height of a picture of the sheet
FACE = 102, 27  # the middle of the face in the first one, across and down


def tile(number: int) -> Tensor:
    """A picture of the sheet, RGB uint8 [3, 180, 240]; the first one has the only face."""
    top, left = 2 + number // 4 * 184, 2 + number % 4 * 244
    pixels = cv2.imread(str(SHEET), cv2.IMREAD_COLOR_RGB)
    return torch.from_numpy(pixels[top : top + TILE[1], left : left + TILE[0]]).permute(2, 0, 1).contiguous()


def walk(frames: int, step: int = 1, size: tuple[int, int] = (192, 192)) -> Tensor:
    """Frames [N, 3, height, width] uint8 in which the astronaut goes to the right on gray."""
    width, height = size
    scene = torch.full((frames, 3, height, width), 96, dtype=torch.uint8)
    picture = tile(0)[:, :120, 40:164]
    for number in range(frames):
        left = 4 + number * step
        scene[number, :, 40:160, left : left + 124] = picture[:, :, : width - left]
    return scene


def face_in_walk(number: int, step: int = 1) -> tuple[int, int]:
    """The middle of the face in a frame of `walk`, across and down."""
    return 4 + number * step + FACE[0] - 40, 40 + FACE[1]


def write_yuv(path: Path, frames: Tensor, rotation: tuple[int, ...] | None = None) -> Path:
    """Frames [N, 3, H, W] uint8 as a clip without loss, in 4:2:0; rotation: its display matrix."""
    codec = "libx264" if rotation else "ffv1"
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25)
        context = video.codec_context
        context.width, context.height, context.pix_fmt = frames.shape[3], frames.shape[2], "yuv420p"
        if rotation:
            context.options = {"qp": "0"}
            video.set_display_matrix(rotation)
        for pixels in frames:
            rgb = av.VideoFrame.from_ndarray(pixels.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            out.mux(video.encode(rgb.reformat(format="yuv420p")))
        out.mux(video.encode(None))
    return path
