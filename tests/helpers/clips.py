"""Clips made by code, each with one thing that goes wrong elsewhere, and what is found in results."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

from vidstyle.frames import FrameBatch, PlaneFormat
from vidstyle.media.decode import Decoder
from vidstyle.when import Range

# The fixture clip: clip(name, **changes) is the path of a made clip.
Clip = Callable[..., Path]

TURNED_90 = (0, -65536, 0, 65536, 0, 0, 0, 0, 1073741824)
TURNED_AND_FLIPPED = (0, 65536, 0, 65536, 0, 0, 0, 0, 1073741824)


@dataclass(frozen=True)
class ClipSpec:
    """What a made clip is like. pts in units of time_base; color is matrix, range, primaries, transfer."""

    frames: int = 30
    width: int = 64
    height: int = 48
    rate: Fraction = Fraction(30)
    time_base: Fraction | None = None
    pts: tuple[int, ...] | None = None
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "10"})
    b_frames: int = 0
    gop: int = 12
    rotation: tuple[int, ...] | None = None
    aspect: Fraction | None = None
    color: tuple[int, int, int, int] | None = None
    audio: tuple[str, ...] = ()
    subtitles: tuple[str, ...] = ()
    chapters: int = 0
    title: str | None = None
    attachment: bytes | None = None
    interlaced: bool = False


def picture(number: int, width: int, height: int, planes: int = 3) -> list[np.ndarray[Any, Any]]:
    """8-bit planes at full size: a gradient, a moving bar, and the frame's number in its brightness."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    luma = 60 + 80 * x + 40 * y + 30 * ((x * 8 + number / 5) % 1 < 0.2) + number % 7
    blue = 100 + 60 * y + 0 * x
    red = 110 + 50 * x + 0 * y
    return [np.clip(p, 16, 235).astype(np.uint8) for p in (luma, blue, red)][:planes]


def make_frame(number: int, spec: ClipSpec) -> av.VideoFrame:
    frame = av.VideoFrame(spec.width, spec.height, "yuv444p")
    for plane, samples in zip(frame.planes, picture(number, spec.width, spec.height), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = samples
    return frame if spec.pixel_format == "yuv444p" else frame.reformat(format=spec.pixel_format)


def make_clip(path: Path, spec: ClipSpec) -> Path:
    """Write a clip; the container is told by the suffix."""
    time_base = spec.time_base or 1 / spec.rate
    pts = spec.pts or tuple(round(i / spec.rate / time_base) for i in range(spec.frames))
    options = {"movie_timescale": "90000"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options) as out:
        if spec.title is not None:
            out.metadata["title"] = spec.title
        if spec.chapters:
            seconds = spec.frames / spec.rate
            step = int(1000 * seconds / spec.chapters)
            out.set_chapters(
                [
                    {
                        "id": i,
                        "start": i * step,
                        "end": (i + 1) * step,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"Part {i}"},
                    }
                    for i in range(spec.chapters)
                ]
            )
        video = out.add_stream(spec.codec, rate=spec.rate)
        context = video.codec_context
        video.time_base = context.time_base = time_base
        context.width, context.height, context.pix_fmt = spec.width, spec.height, spec.pixel_format
        context.gop_size, context.max_b_frames = spec.gop, spec.b_frames
        context.options = dict(spec.options)
        context.thread_count = 1
        if spec.interlaced:
            context.options = {**spec.options, "x264-params": "tff=1"}
        if spec.aspect is not None:
            context.sample_aspect_ratio = spec.aspect
        if spec.color is not None:
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = spec.color
        if spec.rotation is not None:
            video.set_display_matrix(spec.rotation)
        tracks = [_add_audio(out, language, path.suffix) for language in spec.audio]
        texts = [_add_subtitles(out, language) for language in spec.subtitles]
        if spec.attachment is not None:
            out.add_attachment("font.ttf", "font/ttf", spec.attachment)
        packets = []
        for number, time in enumerate(pts):
            frame = make_frame(number, spec)
            frame.pts, frame.time_base = time, time_base
            packets += video.encode(frame)
        packets += video.encode(None)
        seconds = float((pts[-1] - pts[0]) * time_base) if pts else 0.0
        for number, track in enumerate(tracks):
            packets += _sound(track, seconds + 0.1, 300 * (number + 1))
        for track, language in zip(texts, spec.subtitles, strict=True):
            packets += _lines(track, language)
        for packet in sorted(
            packets, key=lambda p: float((p.dts if p.dts is not None else p.pts) * p.time_base)
        ):
            out.mux(packet)
        if not packets:
            out.start_encoding()
    return path


def _add_audio(out: Any, language: str, suffix: str) -> Any:
    track = out.add_stream("libopus" if suffix == ".webm" else "aac", rate=48000)
    track.codec_context.layout = "mono"
    track.metadata["language"] = "ger" if (language, suffix) == ("deu", ".mov") else language
    track.metadata["title"] = f"Sound in {language}"
    roles = av.stream.Disposition
    track.disposition = roles.default if language == "eng" else roles.comment
    return track


def _sound(track: Any, seconds: float, frequency: int) -> list[Any]:
    size = track.codec_context.frame_size or 1024
    packets = []
    for start in range(0, max(size, int(seconds * 48000)), size):
        wave = np.sin((np.arange(size) + start) * frequency * 2 * np.pi / 48000).astype(np.float32) * 0.3
        kind = track.codec_context.format.name
        frame = av.AudioFrame.from_ndarray(
            (wave if kind.startswith("flt") else wave * 32000).astype(
                np.float32 if "flt" in kind else np.int16
            )[None],
            format=kind,
            layout="mono",
        )
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        packets += track.encode(frame)
    return packets + track.encode(None)


def _add_subtitles(out: Any, language: str) -> Any:
    track = out.add_mux_stream("subrip")
    track.time_base = Fraction(1, 1000)
    track.metadata["language"] = language
    return track


def _lines(track: Any, language: str) -> list[Any]:
    packets = []
    for start, text in ((100, f"Hello in {language}"), (500, f"Goodbye in {language}")):
        packet = av.Packet(text.encode())
        packet.pts = packet.dts = start
        packet.duration, packet.time_base, packet.stream = 300, Fraction(1, 1000), track
        packets.append(packet)
    return packets


def jittered(frames: int, seed: int = 3) -> tuple[int, ...]:
    """Timestamps of a clip with a variable frame rate, in units of 1/90000 s."""
    steps = np.random.default_rng(seed).integers(1500, 6000, frames)
    return tuple(int(t) for t in np.cumsum(steps) - steps[0])


_HEVC = {"preset": "ultrafast", "x265-params": "log-level=none"}
MASTERED = (
    "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50):max-cll=900,400"
)
_B_FRAMES = {"preset": "medium", "crf": "20"}

SPECS: dict[str, ClipSpec] = {
    "plain.mp4": ClipSpec(),
    "sound.mp4": ClipSpec(audio=("eng",), b_frames=2),
    "two_tracks.mp4": ClipSpec(audio=("eng", "deu"), chapters=2, title="A Title — ö", b_frames=2),
    "two_tracks.mkv": ClipSpec(
        audio=("eng", "deu"), chapters=2, title="A Title", subtitles=("eng", "fra"), attachment=b"font" * 50
    ),
    "two_tracks.mov": ClipSpec(audio=("eng", "deu"), title="A Title"),
    "vfr.mp4": ClipSpec(pts=jittered(30), time_base=Fraction(1, 90000), b_frames=2, audio=("eng",)),
    "vfr.mkv": ClipSpec(pts=tuple(t // 90 for t in jittered(30)), time_base=Fraction(1, 1000)),
    "bframes.mp4": ClipSpec(b_frames=3, gop=30, options=_B_FRAMES, frames=40),
    "bframes.mkv": ClipSpec(b_frames=3, gop=30, options=_B_FRAMES, frames=40),
    "bframes.avi": ClipSpec(b_frames=3, gop=30, options=_B_FRAMES, frames=40),
    "bframes.ts": ClipSpec(b_frames=3, options=_B_FRAMES, audio=("eng",)),
    "raw.h264": ClipSpec(b_frames=2, rate=Fraction(25)),
    "turned.mp4": ClipSpec(rotation=TURNED_90, audio=("eng",)),
    "flipped.mp4": ClipSpec(rotation=TURNED_AND_FLIPPED),
    "late.mp4": ClipSpec(
        pts=tuple(90_000 + 3003 * i for i in range(30)), time_base=Fraction(1, 90000), audio=("eng",)
    ),
    "odd.mkv": ClipSpec(width=63, height=47, codec="ffv1", options={}),
    "ten_bit.mp4": ClipSpec(codec="libx265", pixel_format="yuv420p10le", options=_HEVC),
    "twelve_bit.mov": ClipSpec(
        codec="prores_ks", pixel_format="yuv444p10le", options={"profile": "4444"}
    ),  # which is decoded as 12
    "chroma_422.mp4": ClipSpec(pixel_format="yuv422p"),
    "chroma_444.mp4": ClipSpec(pixel_format="yuv444p"),
    "anamorphic.mp4": ClipSpec(aspect=Fraction(4, 3)),
    "grey.mkv": ClipSpec(codec="ffv1", pixel_format="gray", options={}),
    "rgb.mkv": ClipSpec(codec="ffv1", pixel_format="bgr0", options={}),
    "vp9.webm": ClipSpec(
        codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}, audio=("eng",)
    ),
    "interlaced.mp4": ClipSpec(interlaced=True),
    "ntsc.mp4": ClipSpec(rate=Fraction(30000, 1001), time_base=Fraction(1001, 30000)),
    "pq.mp4": ClipSpec(
        codec="libx265",
        pixel_format="yuv420p10le",
        options=_HEVC,
        color=(9, 1, 9, 16),
    ),
    "hdr10.mp4": ClipSpec(
        codec="libx265",
        pixel_format="yuv420p10le",
        options={"preset": "ultrafast", "x265-params": f"log-level=none:crf=4:{MASTERED}"},
        color=(9, 1, 9, 16),
        frames=12,
        audio=("eng",),
    ),
    "hlg.mp4": ClipSpec(
        codec="libx265", pixel_format="yuv420p10le", options=_HEVC, color=(9, 1, 9, 18), frames=12
    ),
}


def times(path: Path, stream: str = "video") -> list[Fraction]:
    """The presentation times of all packets of the first stream of a kind, in order, in seconds."""
    with av.open(str(path)) as file:
        found = getattr(file.streams, stream)[0]
        return sorted(p.pts * p.time_base for p in file.demux(found) if p.size and p.pts is not None)


def frame_times(path: Path) -> list[Fraction]:
    """The presentation times of all decoded frames, in seconds."""
    with av.open(str(path)) as file:
        return [f.pts * f.time_base for f in file.decode(video=0)]


def payloads(path: Path, index: int) -> list[bytes]:
    """The bytes of every packet of a stream, in order."""
    with av.open(str(path)) as file:
        return [bytes(p) for p in file.demux(file.streams[index]) if p.size]


def display_matrix(path: Path) -> tuple[int, ...] | None:
    with av.open(str(path)) as file:
        data = next(file.decode(video=0)).side_data.get("DISPLAYMATRIX")
        return None if data is None else struct.unpack("<9i", bytes(data)[:36])


def luma(path: Path) -> np.ndarray[Any, Any]:
    """The luma planes of all frames, [N, H, W]."""
    with av.open(str(path)) as file:
        return np.stack(
            [
                f.to_ndarray(format="gray") if f.format.name.startswith("gray") else _plane(f)
                for f in file.decode(video=0)
            ]
        )


def _plane(frame: av.VideoFrame) -> np.ndarray[Any, Any]:
    plane = frame.planes[0]
    kind = np.uint16 if "10" in frame.format.name or "12" in frame.format.name else np.uint8
    rows = np.frombuffer(memoryview(plane), kind).reshape(
        plane.height, plane.line_size // np.dtype(kind).itemsize
    )
    return rows[:, : plane.width].copy()


def left_over(folder: Path) -> list[str]:
    """Everything in a folder but the files that a test put there by purpose (they start with keep)."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("keep"))


def pieces(values: Sequence[int], size: int) -> list[Sequence[int]]:
    return [values[i : i + size] for i in range(0, len(values), size)]


def linked(path: Path, folder: Path, name: str | None = None) -> Path:
    """The made clip under a name in a folder of the test's own."""
    target = folder / (name or path.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    return target


def save_picture(path: Path) -> Path:
    ramp = np.linspace(0, 200, 40 * 30 * 3).astype(np.uint8).reshape(30, 40, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), ramp)
    return path


def random_frames(count: int = 3, height: int = 48, width: int = 64) -> FrameBatch:
    random = torch.Generator().manual_seed(1)
    luma = torch.randint(16, 236, (count, height, width), generator=random).to(torch.uint8)
    chroma = torch.randint(90, 160, (2, count, height // 2, width // 2), generator=random).to(torch.uint8)
    return FrameBatch((luma, chroma[0], chroma[1]), tuple(range(count)), Fraction(1, 25), PlaneFormat())


def with_boxes(source: Path, target: Path, boxes: bytes) -> Path:
    """An mp4 of H.264 with more boxes in the sample entry of its picture; its index stands at the end."""
    data = bytearray(source.read_bytes())
    start, end, sizes = 0, len(data), []
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        while data[start + 4 : start + 8] != name:
            start += int.from_bytes(data[start : start + 4], "big")
            assert start < end, name
        sizes.append(start)
        end = start + int.from_bytes(data[start : start + 4], "big")
        start += 16 if name == b"stsd" else 8
    for place in sizes:
        size = int.from_bytes(data[place : place + 4], "big") + len(boxes)
        data[place : place + 4] = size.to_bytes(4, "big")
    data[end:end] = boxes
    target.write_bytes(data)
    return target


def with_units(source: Path, target: Path, unit: Callable[[int], bytes], *, before: bool = True) -> Path:
    """A clip in mp4 with a NAL unit more in each of its packets, in front of the picture or behind it."""
    with av.open(str(source)) as original, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(original.streams.video[0])
        for number, packet in enumerate(p for p in original.demux(video=0) if p.size):
            more = unit(number)
            more = len(more).to_bytes(4, "big") + more
            data = more + bytes(packet) if before else bytes(packet) + more
            changed = av.Packet(data)
            changed.pts, changed.dts, changed.duration = packet.pts, packet.dts, packet.duration
            changed.time_base, changed.is_keyframe = packet.time_base, packet.is_keyframe
            changed.stream = stream
            out.mux(changed)
    return target


def matte_of(path: Path, mattes: torch.Tensor, rate: int = 30) -> Path:
    """Mattes [N, H, W] uint8 as a lossless gray clip of full range."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=rate)
        context = stream.codec_context
        context.height, context.width, context.pix_fmt = *mattes.shape[1:], "gray"
        for number, matte in enumerate(mattes):
            frame = av.VideoFrame.from_ndarray(matte.numpy(), format="gray")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def planes_of(path: Path) -> list[torch.Tensor]:
    """Each plane of all frames of a clip, int32 [N, h, w]."""
    with Decoder(path) as decoder:
        parts = zip(*(batch.planes for batch in decoder.batches(4)), strict=True)
        return [torch.cat([plane.int() for plane in part]) for part in parts]


def parts(*texts: str) -> tuple[Range, ...]:
    """Ranges as they are typed."""
    return tuple(Range.from_text(text) for text in texts)
