"""Demultiplexing: an open file to the packets of its picture stream, with seeking and counted damage."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

import av
import av.error
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidstyle.errors import InputError, OutOfMemoryError
from vidstyle.files import file_url
from vidstyle.media.container import picture_stream
from vidstyle.media.damage import Damage
from vidstyle.media.image_sequence import ImageSequence, file_of
from vidstyle.media.nal import has_second_layer
from vidstyle.media.timestamps import Timestamps

_MOST_READ_ERRORS = 16


class Demuxer:
    """The packets of a clip's picture stream. A damaged packet costs itself, not the rest of the file.

    `timestamps` gives the exact timestamps, `damage` counts what was lost.
    """

    def __init__(
        self, path: Path, container: InputContainer, *, sequence: ImageSequence | None = None
    ) -> None:
        """path: for messages. sequence: of numbered pictures, none of which may be damaged.

        InputError when the file has no picture stream.
        """
        self.path = path
        self.sequence = sequence
        self.container = container
        self.stream = picture_stream(container, path)
        self.decoder = _decoder_of(self.stream)
        self.timestamps = Timestamps(path, container, self.stream)
        self.damage = Damage()
        self.has_second_layer = False
        """Whether the first packet of HEVC shows a second view; known when it has been read."""

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """Every packet from the present place on. InputError when too much of the file is damaged."""
        failures = 0
        while True:
            try:
                for packet in self.container.demux(self.stream):
                    if packet.size:  # an empty one asks for a flush; a packet without dts is a real packet
                        if not self.damage.packets_seen and self.decoder.name == "hevc":
                            self.has_second_layer = has_second_layer(
                                bytes(packet), self.decoder.extradata or b""
                            )
                        self.damage.packets_seen += 1
                        self.timestamps.add_packet(packet)
                        yield packet
                return
            except IndexError:  # a packet of a stream that was not there when the file was opened
                continue
            except av.error.FFmpegError as error:
                failures += 1
                self.add_damage(None, error)
                if failures > _MOST_READ_ERRORS:  # no way past this place
                    return

    def seek(self, pts: int) -> bool:
        """Go to the last keyframe at or before pts (in units of the stream's time base).

        False where FFmpeg refuses.
        """
        try:
            self.container.seek(pts, stream=self.stream, backward=True)
        except av.error.FFmpegError:
            return False
        return True

    def add_damage(self, packet: av.Packet[VideoStream] | None, error: BaseException) -> None:
        """Count a packet that could not be read or decoded; raise when there are too many of them."""
        if getattr(error, "errno", None) == errno.ENOMEM:
            raise OutOfMemoryError(
                f"{self.path}: its pictures do not fit into memory. Close other programs, or scale it down."
            ) from error
        if self.sequence is not None:
            self.refuse_picture(error)
        if packet is not None:
            self.timestamps.drop_packet(packet)
        pts = None if packet is None else packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            pts = self.timestamps.last
        self.damage.add(float((pts or 0) * self.timestamps.time_base))
        if self.damage.count > 200 and self.damage.count * 2 > self.damage.packets_seen:
            self.refuse_damage(error)

    def refuse_damage(self, error: BaseException | None = None) -> NoReturn:
        """Raise the InputError that says how much is damaged."""
        raise InputError(
            f"{self.path}: too much of the picture is damaged ({self.damage.describe()}). "
            "Get a whole copy, or repair it first."
        ) from error

    def refuse_picture(self, error: BaseException | None = None) -> NoReturn:
        """Raise the InputError that names the first of the numbered pictures that cannot be decoded."""
        assert self.sequence is not None
        files = (file_of(self.path, number) for number in self.sequence.numbers)
        broken = next((file for file in files if not _decodes(file)), self.path)
        raise InputError(
            f"{broken}: this picture cannot be decoded. Make it again, or take it out and number the others "
            "without a gap."
        ) from error

    def check_length(self) -> list[str]:
        """Compare the container's index with the length of the file, to find a file that was cut off.

        Returns warnings. InputError when over a tenth of the frames lies beyond the end of the file.
        """
        entries = self.stream.index_entries
        size = os.path.getsize(self.path)
        beyond = 0
        for number in range(len(entries) - 1, -1, -1):
            if entries[number].pos + entries[number].size <= size:
                break
            beyond += 1
        if beyond * 10 > len(entries):
            raise InputError(
                f"{self.path}: the file is cut off: {beyond} of {len(entries)} frames are missing. "
                "Get a whole copy of it."
            )
        if beyond:
            return [f"the file is cut off: {beyond} of {len(entries)} frames are missing at its end"]
        return []


def _decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The decoder of a stream. FFmpeg's own of VP8 and VP9 skip transparency, which libvpx decodes."""
    own = stream.codec_context
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return own
    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(own.name)
    if library is None or library not in av.codecs_available:
        return own
    decoder = cast(VideoCodecContext, av.CodecContext.create(library, "r"))
    decoder.extradata = own.extradata
    decoder.width, decoder.height = own.width, own.height
    return decoder


def _decodes(picture: Path) -> bool:
    """Whether FFmpeg makes a picture of this file. It decodes several at once, so an error names none."""
    try:
        with av.open(file_url(picture), options={"protocol_whitelist": "file"}) as file:
            return next((not frame.is_corrupt for frame in file.decode(video=0)), False)
    except (av.error.FFmpegError, IndexError, OSError):
        return False
