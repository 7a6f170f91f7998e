"""The packets of a clip's picture stream, and what is done about damage and seeking."""

from __future__ import annotations

import av
import pytest

from tests.helpers.clips import Clip
from vidstyle.errors import InputError, OutOfMemoryError
from vidstyle.media.container import open_input
from vidstyle.media.demux import Demuxer


def test_all_packets_of_the_picture_and_no_others_come(clip: Clip) -> None:
    """Sound and subtitles are left out; packets come in the order of the file."""
    path = clip("two_tracks.mkv")
    with av.open(str(path)) as file:
        wanted = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    with open_input(path) as container:
        assert [bytes(packet) for packet in Demuxer(path, container).packets()] == wanted


def test_a_seek_leads_to_a_keyframe_at_or_before(clip: Clip) -> None:
    """Packets go on with a keyframe that is not after the time asked for."""
    path = clip("plain.mp4")
    with open_input(path) as container:
        demuxer = Demuxer(path, container)
        all_pts = sorted(packet.pts for packet in demuxer.packets() if packet.pts is not None)
        wanted = all_pts[17]
        assert demuxer.seek(wanted)
        first = next(demuxer.packets())
        assert first.is_keyframe and first.pts is not None
        assert all_pts[0] < first.pts <= wanted


def test_damage_is_counted_by_its_place(clip: Clip) -> None:
    """A damaged packet is noted in seconds; far too many of them are an error."""
    path = clip("plain.mp4")
    with open_input(path) as container:
        demuxer = Demuxer(path, container)
        packets = list(demuxer.packets())
        error = av.error.InvalidDataError(1, "broken")
        demuxer.add_damage(packets[15], error)
        assert demuxer.damage.count == 1
        assert "near 0.5 s" in demuxer.damage.describe()
        for _ in range(199):
            demuxer.add_damage(None, error)
        with pytest.raises(InputError, match="too much of the picture is damaged"):
            demuxer.add_damage(None, error)


def test_memory_that_runs_out_is_no_damage(clip: Clip) -> None:
    """ENOMEM is told as what it is."""
    path = clip("plain.mp4")
    with open_input(path) as container, pytest.raises(OutOfMemoryError, match="do not fit into memory"):
        Demuxer(path, container).add_damage(None, av.error.MemoryError(12, "Cannot allocate memory"))


def test_a_whole_file_has_all_its_frames(clip: Clip) -> None:
    """No warning where the container's index ends inside the file; what is cut off is in test_decode."""
    path = clip("plain.mp4")
    with open_input(path) as container:
        assert Demuxer(path, container).check_length() == []
