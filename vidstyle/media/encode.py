"""Encodes FrameBatches into the file of one segment."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, cast

import av
import av.error
import numpy as np
import torch
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidstyle.errors import DeviceError, OutputError
from vidstyle.files import map_write_error
from vidstyle.frames import FrameBatch, PlaneFormat, VideoInfo
from vidstyle.media.image_frames import picture_frame
from vidstyle.media.pixel_formats import ACCURATE, choose_pixel_format, layout_name, narrows_range
from vidstyle.options import ApplyOptions
from vidstyle.threads import same_scheduling

# x264 gives a frame fewer bits the fewer frames refer to it, as far as it looks ahead. Where it sees no more
# frames it takes the end of a segment for the end of the clip: there PSNR fell by 1 to 3 dB, and rose again
# at the next segment, which was seen as a pop every 240 frames. So after the last frame of a segment it is
# shown the last frames once more, backwards and forwards. They move as the next ones would, and what it
# makes of them is dropped (benchmarks/LOG.md has what else was tried).
_ECHO = 8
_MOST_ECHOES = 512  # more than x264 can look ahead (250 frames) and hold in its threads


def encoder_settings(options: ApplyOptions) -> dict[str, str]:
    """Every option handed to the encoder, by FFmpeg's names."""
    preset, threads = options.preset, options.encoder_threads
    settings = dict(preset.options)
    crf = preset.crf if options.crf is None else options.crf
    if crf is not None:
        settings[preset.crf_option] = str(crf)
    speed = options.speed or preset.speed
    params: list[str] = []
    if speed is not None:
        settings["preset"] = speed
    if preset.encoder == "libx264" and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"):
        # With AVX-512, x264 gives other bits from run to run at some sizes. With AVX2 the bits were those of
        # AVX in 221 combinations of 21 sizes, presets and tunes, and it takes 5 % less time.
        params.append("asm=AVX2")
    if preset.encoder == "libx264":
        settings["forced-idr"] = "1"  # the first echoed frame must be one: no kept frame may refer to it
    own = options.speed is None and not {"preset", "tune", "trellis"} & set(options.encoder_options)
    if preset.encoder == "libx264" and own:
        # Dead zones, a little narrower than usual, in place of trellis quantisation: at equal quality files
        # of real clips are 1 % smaller, and noise takes a fifth less time (benchmarks/LOG.md).
        params.append("trellis=0:deadzone-inter=17:deadzone-intra=9")
    if params:
        settings["x264-params"] = ":".join(params)
    if preset.encoder == "libx265":  # the size of its thread pool changes the bits, so it is fixed too
        settings["x265-params"] += f":pools={threads}:frame-threads={min(threads, 2)}"
    if preset.encoder == "libsvtav1":
        settings["svtav1-params"] = f"lp={threads}"
    for name, value in options.encoder_options.items():
        # Added to the lists of the encoder's own parameters: these make its bits repeatable.
        joins = name.endswith("-params") and name in settings
        settings[name] = f"{settings[name]}:{value}" if joins else value
    return settings


def check_encoder(info: VideoInfo, options: ApplyOptions) -> None:
    """Raise before any work when the encoder is missing or refuses the options asked for."""
    if options.encoder is not None or options.encoder_options:
        with TemporaryDirectory() as folder:
            Encoder(Path(folder) / "try", info, options).abort()


@contextmanager
def stream_of_encoder(info: VideoInfo, options: ApplyOptions) -> Iterator[VideoStream]:
    """A stream with the headers that the encoder gives, and no frames. Raises what `Encoder` raises."""
    if (
        options.preset.encoder == "libsvtav1"
    ):  # it takes 0.9 s to open for 3840x2160; the size changes nothing
        info = replace(info, width=64, height=64)
    with TemporaryDirectory() as folder:
        encoder = Encoder(Path(folder) / "empty", info, options)
        try:
            yield encoder.begin()
        finally:
            encoder.abort()


def _with_hdr10(settings: dict[str, str], info: VideoInfo, encoder: str) -> dict[str, str]:
    """Add the HDR10 metadata to the settings of encoders that write it into the stream."""
    name = {"libx265": "x265-params", "libsvtav1": "svtav1-params"}.get(encoder)
    if name is None or not info.is_hdr:
        return settings
    extra = []
    if info.mastering is not None:
        screen = info.mastering
        places = zip("GBR", (screen.green, screen.blue, screen.red), strict=True)
        units, nits = (50_000, 10_000) if encoder == "libx265" else (1, 1)

        def number(value: float, scale: int) -> str:
            return str(round(value * scale)) if scale > 1 else f"{value:.6g}"

        words = "".join(f"{k}({number(x, units)},{number(y, units)})" for k, (x, y) in places)
        words += f"WP({number(screen.white[0], units)},{number(screen.white[1], units)})"
        words += f"L({number(screen.peak_nits, nits)},{number(screen.darkest_nits, nits)})"
        extra.append(f"{'master-display' if encoder == 'libx265' else 'mastering-display'}={words}")
    if info.content_light is not None:
        levels = ",".join(str(level) for level in info.content_light)
        extra.append(f"{'max-cll' if encoder == 'libx265' else 'content-light'}={levels}")
    if info.format.chroma_location == "topleft" and info.format.chroma_shift == (1, 1):
        extra.append("chromaloc=2" if encoder == "libx265" else "chroma-sample-position=topleft")
    return settings | {name: ":".join([settings[name], *extra])}


class Encoder:
    """Encodes consecutive batches into one file. A context manager: left by an error, it removes the file.

    After `close`, `packet_pts` holds the timestamp of every packet in the order of the file.
    """

    def __init__(
        self, path: Path, info: VideoInfo, options: ApplyOptions, *, target: Path | None = None
    ) -> None:
        self.path = path
        self._target = target or path  # named in messages
        self.frames = 0
        self.packet_pts: list[int] = []
        self._info = info
        self._pixel_format, _ = choose_pixel_format(info, options)
        self._pictures = options.preset.pictures
        # Not of RGB, which is converted to limited range in any case.
        self._narrows = narrows_range(info, options.preset) and info.format.matrix != "rgb"
        self._looks_ahead = options.preset.encoder == "libx264"
        self._reformatter = VideoReformatter()
        self._closed = False
        self._tail: deque[tuple[FrameBatch, int]] = deque(maxlen=_ECHO + 1)
        preset = options.preset
        try:
            self._file = path.open("wb")
        except OSError as error:
            map_write_error(self._target, error)
        try:
            self._container = av.open(
                self._file, "w", format=preset.container, options=_muxer_options(preset.container)
            )
            self._stream = cast(
                VideoStream, self._container.add_stream(preset.encoder, rate=info.average_fps)
            )
            self._configure(options)
        except BaseException as error:
            self._file.close()
            path.unlink(missing_ok=True)
            if isinstance(error, (av.error.FFmpegError, ValueError, OSError)):
                reason = getattr(error, "strerror", None) or error
                if options.encoder is not None:
                    raise DeviceError(
                        f"{options.encoder}: this encoder cannot be used here ({reason}). "
                        "Leave --encoder out, or check its hardware and driver."
                    ) from error
                raise OutputError(
                    f"{options.codec}: the encoder refuses these settings ({reason}). Check its options."
                ) from error
            raise

    def _configure(self, options: ApplyOptions) -> None:
        info, context = self._info, self._stream.codec_context
        converted = (info.format.matrix == "rgb") != self._pixel_format.startswith("gbr")
        self._stream.time_base = info.time_base
        context.time_base = info.time_base
        context.width, context.height = info.width, info.height
        context.pix_fmt = self._pixel_format
        context.thread_type = "AUTO"  # frame threads: slices would cost 7 % of the size
        context.thread_count = options.encoder_threads
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.colorspace = 1 if converted else 0 if info.format.matrix == "rgb" else info.matrix_code
        context.color_range = 1 if converted or self._narrows else info.range_code
        context.color_primaries = info.primaries
        context.color_trc = info.transfer
        if self._pictures:  # RGB
            context.colorspace, context.color_range = 0, 2
        if options.preset.tag is not None:
            context.codec_tag = options.preset.tag
        context.options = _with_hdr10(encoder_settings(options), info, options.preset.encoder)
        with same_scheduling():
            context.open()
        unused = sorted(context.options)
        if unused:
            raise OutputError(
                f"{unused[0]}: {options.preset.encoder} knows no such option. Check its spelling."
            )

    def __enter__(self) -> Encoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.abort()
        else:
            self.close()

    def write(self, batch: FrameBatch) -> None:
        """Encode a batch; its timestamps must follow those before."""
        for number, pts in enumerate(batch.pts):
            frame = self._frame(batch, number)
            frame.pts, frame.time_base = pts, batch.time_base
            frame.pict_type = PictureType.NONE  # the encoder decides
            self._encode(frame)
            self.frames += 1
            if self._looks_ahead:
                self._tail.append((batch, number))

    def close(self, *, goes_on: bool = False) -> None:
        """Flush the encoder and bring the file to the disk; where that fails, remove it.

        goes_on: the clip does not end with this file, and its quality must not fade out as at an end.
        """
        if self._closed:
            return
        try:
            if goes_on and self._looks_ahead and self.frames:
                self._echo()
            else:
                self._encode(None)
            self._container.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except BaseException as error:
            self.abort()
            if isinstance(error, (av.error.FFmpegError, OSError)):
                map_write_error(self._target, error)
            raise
        self._closed = True

    def begin(self) -> VideoStream:
        """Write the header, and return the stream with what the encoder has put there."""
        try:
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            map_write_error(self._target, error)
        return self._stream

    def abort(self) -> None:
        """Stop and remove the file."""
        self._closed = True
        # The file is removed in any case, and the error that stopped the work is already being raised.
        with suppress(av.error.FFmpegError, OSError, ValueError):
            self._container.close()
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _echo(self) -> None:
        """Show the encoder the last frames, backwards and forwards, until it has given out all real ones."""
        reach = len(self._tail) - 1
        times = [batch.pts[number] for batch, number in self._tail]
        step = max(times[-1] - times[-2], 1) if reach else 1
        end = times[-1] + step
        for count in range(_MOST_ECHOES):
            if len(self.packet_pts) == self.frames:
                return
            place = (count + 1) % (2 * reach) if reach else 0
            frame = self._frame(*self._tail[-1 - min(place, 2 * reach - place)])
            frame.pts, frame.time_base = end + count * step, self._info.time_base
            frame.pict_type = PictureType.NONE if count else PictureType.I
            self._encode(frame, before=end)
        self._encode(None, before=end)

    def _encode(self, frame: VideoFrame | None, before: int | None = None) -> None:
        """Encode a frame, or the rest. before: packets from this time on are dropped."""
        try:
            for packet in self._stream.encode(frame):
                if before is not None and cast(int, packet.pts) >= before:
                    continue
                if frame is None and self.frames <= 2:
                    # x265 computes the decoding times of one or two frames from uninitialized memory. So few
                    # frames are never reordered.
                    packet.dts = packet.pts
                self.packet_pts.append(cast(int, packet.pts))
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            map_write_error(self._target, error)

    def _frame(self, batch: FrameBatch, number: int) -> VideoFrame:
        if self._pictures:
            return picture_frame(batch, number, self._pixel_format, self._info)
        planes, fmt = [plane[number] for plane in batch.planes], batch.format
        keeps_alpha = batch.alpha is not None and "a" in self._pixel_format[3:4]
        if keeps_alpha and batch.alpha is not None:
            planes.append(batch.alpha[number])
        if self._narrows:
            planes, fmt = _narrowed(planes, fmt)
        name = layout_name(fmt, keeps_alpha)
        frame = VideoFrame(batch.width, batch.height, name)
        for index, plane in enumerate(planes):
            _fill(frame, index, plane)
        if name != self._pixel_format:
            frame = self._convert(frame, fmt)
        frame.colorspace = self._stream.codec_context.colorspace
        frame.color_range = self._stream.codec_context.color_range
        # The ProRes encoder takes these from the frames, others from the settings.
        frame.color_primaries, frame.color_trc = self._info.primaries, self._info.transfer
        return frame

    def _convert(self, frame: VideoFrame, fmt: PlaneFormat) -> VideoFrame:
        """To more chroma samples, more depth, or from RGB to YUV; apart from the last the matrix stays."""
        matrix = {"bt601": 5, "bt2020": 9}.get(fmt.matrix, 1)
        source_range = 2 if fmt.full_range else 1
        converted = (fmt.matrix == "rgb") != self._pixel_format.startswith("gbr")
        return self._reformatter.reformat(
            frame,
            format=self._pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=source_range,
            dst_color_range=1 if converted else source_range,
            interpolation=ACCURATE,
        )


def _narrowed(planes: list[torch.Tensor], fmt: PlaneFormat) -> tuple[list[torch.Tensor], PlaneFormat]:
    """YUV planes of full range in limited range, with 10 bit or more. Opacity (a fourth) stays full."""
    narrow = replace(fmt, full_range=False, bit_depth=max(fmt.bit_depth, 10))
    step, white = 1 << (narrow.bit_depth - 8), (1 << fmt.bit_depth) - 1
    full = (1 << narrow.bit_depth) - 1
    # Black, and what lies between it and the other end, in the new code: luma, two of chroma, opacity.
    scales = ((16 * step, 219 * step), (128 * step, 224 * step), (128 * step, 224 * step), (0, full))
    middle = 1 << (fmt.bit_depth - 1)
    done = []
    for number, (plane, (zero, span)) in enumerate(zip(planes, scales, strict=False)):
        values = plane.to(torch.float32) - (middle if number in (1, 2) else 0)
        done.append((values * (span / white) + zero).round().clamp(0, full).to(torch.uint16))
    return done, narrow


def _fill(frame: VideoFrame, index: int, samples: torch.Tensor) -> None:
    plane = frame.planes[index]
    array: np.ndarray[Any, Any] = samples.numpy()
    rows = np.frombuffer(memoryview(plane), array.dtype).reshape(
        plane.height, plane.line_size // array.dtype.itemsize
    )
    rows[:, : plane.width] = array


def _muxer_options(container: str) -> dict[str, str]:
    return {"movie_timescale": "90000"} if container in ("mp4", "mov") else {}
