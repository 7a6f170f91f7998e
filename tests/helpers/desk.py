"""A folder with every file that the commands of the READMEs start from, small and made by code."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from tests.helpers.clips import ClipSpec, make_clip
from tests.helpers.styles import clip_of, panned, picture_folder

FIRST, COUNT, WIDTH, HEIGHT = 1001, 6, 96, 64


def rgba(number: int) -> np.ndarray[Any, Any]:
    """Ramps, and opacity in stripes that move from frame to frame: [H, W, 4] uint8."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    opacity = ((across * 8 + number) % 8 >= 3) * 1.0
    return (np.stack((across, down, (across + down) / 2, opacity), axis=-1) * 255).astype(np.uint8)


def write_clip(path: Path, codec: str, pixel_format: str, options: dict[str, str]) -> None:
    """BT.709 in limited range at 24 frames/s, from timecode ten hours on."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=24, options=options)
        context = video.codec_context
        context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, pixel_format
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        if path.suffix == ".mov":
            video.metadata["timecode"] = "10:00:00:00"
        for number in range(COUNT):
            picture = av.VideoFrame.from_ndarray(rgba(number), format="rgba")
            frame = picture.reformat(format=pixel_format, dst_colorspace=1, dst_color_range=1)
            frame.colorspace = frame.color_range = 1
            frame.color_primaries = frame.color_trc = 1
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def editing_desk(folder: Path) -> Path:
    """`in.mov` with transparency, `in.mp4` without, numbered pictures in `plates/`, and `art.png`."""
    write_clip(folder / "in.mov", "prores_ks", "yuva444p10le", {"profile": "4444"})
    write_clip(folder / "in.mp4", "libx264", "yuv420p", {"preset": "ultrafast", "crf": "12"})
    (folder / "plates").mkdir()
    for number in range(FIRST, FIRST + COUNT):
        picture = cv2.cvtColor(rgba(number), cv2.COLOR_RGBA2BGRA)
        assert cv2.imwrite(str(folder / "plates" / f"plate.{number}.png"), picture)
    assert cv2.imwrite(str(folder / "art.png"), cv2.cvtColor(rgba(0), cv2.COLOR_RGBA2BGRA))
    return folder


def readme_desk(folder: Path) -> Path:
    """Everything that a command of a README starts from."""
    editing_desk(folder)
    spec = ClipSpec(frames=12, audio=("eng",), color=(1, 1, 1, 1))
    make_clip(folder / "in.mp4", spec)
    for name in ("holiday", "more", "samples", "clips"):
        (folder / name).mkdir()
    for name in ("holiday/a.mp4", "more/b.mov", "samples/bunny.mp4", "day1.mp4", "phone.mov"):
        make_clip(folder / name, ClipSpec(frames=6, color=(1, 1, 1, 1)))
    make_clip(folder / "old_film.mp4", ClipSpec(frames=6, pixel_format="gray"))
    for number in range(4):
        scenes = [panned(3 * number + scene, 8, step=3, height=96, width=128) for scene in range(3)]
        clip_of(folder / "clips" / f"{number}.mkv", torch.cat(scenes))
    picture_folder(folder / "photos", 0.0)
    assert cv2.imwrite(str(folder / "still.jpg"), cv2.cvtColor(rgba(0), cv2.COLOR_RGBA2BGR))
    picture_folder(folder / "raw", 0.0)
    picture_folder(folder / "graded", 0.1)
    picture_folder(folder / "airy_stills", 0.15, seed=1)
    return folder
