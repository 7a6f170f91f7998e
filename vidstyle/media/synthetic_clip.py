"""Makes a synthetic test clip: drifting soft shapes, grain and a tone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from vidstyle.errors import InputError
from vidstyle.files import file_url
from vidstyle.media.container import open_input, picture_stream
from vidstyle.media.decode import Decoder

_DRIFT = 240  # pixels to the right and back to the start


def make_clip(path: Path, width: int, height: int, frames: int, sound: bool = True, rate: int = 30) -> Path:
    """Write an H.264 clip, with a tone in AAC if sound: always the same bytes. path ends in .mp4 or .mkv."""
    random = np.random.default_rng(0)
    coarse = random.random((height // 30 + 2, width // 30 + 8, 3)).astype(np.float32)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(coarse).permute(2, 0, 1)[None], size=(height, width + _DRIFT), mode="bicubic"
    )[0]
    scene = (large.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).numpy()
    grain = random.integers(0, 8, (height, width, 1), dtype=np.uint8)
    with av.open(file_url(path), "w") as out:
        video = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: Any = out.add_stream("aac", rate=48000, layout="mono") if sound else None
        for number in range(frames):
            shift = 2 * number % _DRIFT
            codes = np.minimum(scene[:, shift : shift + width], 247) + grain
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            _tone(out, audio, frames / rate)
    return path


def copy_start(source: Path, target: Path, frames: int) -> int:
    """Copy the first packets of a clip's picture stream, and return how many frames they give.

    About `frames`: packets are not in the order of presentation. InputError when they cannot be decoded.
    """
    with open_input(source) as container, av.open(file_url(target), "w", format="matroska") as out:
        stream = picture_stream(container, source)
        copy = out.add_stream_from_template(stream)
        count = 0
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if count == frames:
                break
            packet.stream = copy
            out.mux(packet)
            count += 1
    try:
        with Decoder(target) as decoder:
            return sum(len(batch) for batch in decoder.batches(16))
    except InputError as error:
        raise InputError(
            f"{source}: its first {frames} frames cannot be decoded by themselves. Try another clip."
        ) from error


def _tone(out: Any, audio: Any, seconds: float) -> None:
    samples = np.sin(np.arange(int(seconds * 48000)) * (2 * np.pi * 440 / 48000)).astype(np.float32) * 0.2
    for start in range(0, len(samples), 1024):
        block = np.ascontiguousarray(samples[None, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(audio.encode(frame))
    out.mux(audio.encode(None))
