"""The video of a preview: frames as a player shows them, exact times, flicker, files for the page."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from tests.helpers.clips import TURNED_90, TURNED_AND_FLIPPED, Clip, frame_times
from vidstyle.analysis.preview.reel import DisplayFrames, Flicker, Reel, encode_h264, measure_flicker
from vidstyle.media.decode import Decoder


def make_reel(source: Path, path: Path, size: int = 48, begins: tuple[int, ...] = (0,)) -> Reel:
    with Decoder(source) as decoder:
        reel = Reel(path, decoder.info, DisplayFrames(decoder.info, size))
        for index, batch in enumerate(decoder.batches(1)):
            if index in begins:
                reel.begin(batch.pts[0], str(index))
            reel.write(batch)
    reel.close()
    return reel


@pytest.mark.parametrize(
    "matrix", [TURNED_90, TURNED_AND_FLIPPED, (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)]
)
def test_frames_are_turned_and_flipped_as_their_matrix_says(clip: Clip, matrix: tuple[int, ...]) -> None:
    """A display matrix takes the pixel at (x, y) to (ax + cy, bx + dy)."""
    with Decoder(clip("plain.mp4", rotation=matrix)) as turned, Decoder(clip("plain.mp4")) as plain:
        upright, stored = DisplayFrames(turned.info, 48), DisplayFrames(plain.info, 48)
        found = upright(next(turned.batches(1)))[0]
        source = stored(next(plain.batches(1)))[0]
    a, b, c, d = (value // 65536 for value in (matrix[0], matrix[1], matrix[3], matrix[4]))
    height, width = source.shape[1:]
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    across, down = a * xs + c * ys, b * xs + d * ys
    expected = torch.empty_like(found)
    expected[:, down - down.min(), across - across.min()] = source
    assert upright.size == tuple(found.shape[1:])
    assert (found - expected).abs().max() < 1 / 255


def test_pixels_become_square_and_sizes_even(clip: Clip) -> None:
    """4 : 3 pixels make a wider picture; nothing is enlarged."""
    with Decoder(clip("anamorphic.mp4")) as decoder:
        assert DisplayFrames(decoder.info, 1000).size == (48, 86)
        assert DisplayFrames(decoder.info, 24).size == (24, 42)
    with Decoder(clip("odd.mkv")) as decoder:
        assert DisplayFrames(decoder.info, 1000).size == (48, 64) or DisplayFrames(
            decoder.info, 1000
        ).size == (46, 62)


def test_hdr_is_shown_as_sdr(clip: Clip) -> None:
    """Tone mapped, not as it is coded."""
    with Decoder(clip("pq.mp4")) as decoder:
        from vidstyle.imaging.yuv import to_rgb

        batch = next(decoder.batches(1))
        shown = DisplayFrames(decoder.info, 48)(batch)
        assert (shown - to_rgb(batch.planes, batch.format)).abs().mean() > 0.02


def test_a_reel_keeps_times_and_closes_its_gaps(clip: Clip, tmp_path: Path) -> None:
    """Uneven steps stay within an excerpt, and the next one follows a step later."""
    source = clip("vfr.mp4")
    reel = make_reel(source, tmp_path / "reel.mkv")
    wanted = frame_times(source)
    for found, want in zip(frame_times(reel.path), wanted, strict=True):
        assert abs(found - (want - wanted[0])) <= Fraction(1, 1000)
    joined = make_reel(clip("plain.mp4"), tmp_path / "joined.mkv", begins=(0, 10))
    assert joined.cuts == [0, 10]
    assert joined.starts == [(0.0, "0"), (pytest.approx(1 / 3, abs=1e-3), "10")]
    assert joined.seconds == pytest.approx(1.0, abs=1e-3)


def test_what_is_the_source_flickers_like_the_source(clip: Clip, tmp_path: Path) -> None:
    """A ratio of 1, no figure across a cut, and one for each other pair of frames."""
    reel = make_reel(clip("plain.mp4", frames=8), tmp_path / "reel.mkv")
    done: list[int] = []
    found = measure_flicker(reel.path, [reel.path], [0, 5], lambda: done.append(1))
    assert len(done) == 8
    assert len(found.seconds) == len(found.source) == 7
    assert found.styled == (found.source,)
    assert [place for place, value in enumerate(found.source) if value is None] == [4]
    assert found.ratio(0) == 1


def test_a_still_source_has_no_ratio() -> None:
    """Nothing can be divided by what does not move."""
    assert Flicker((0.0,), (0.0,), ((0.1,),)).ratio(0) is None
    assert Flicker((0.0, 1.0), (0.1, None), ((0.2, None),)).ratio(0) == 2


def test_clips_for_the_page(clip: Clip, tmp_path: Path) -> None:
    """H.264 in 4:2:0 with the frames and times of the reel, smaller where it must be."""
    reel = make_reel(clip("plain.mp4"), tmp_path / "reel.mkv")
    large = encode_h264(reel.path, tmp_path, 1 << 20)
    (tmp_path / "large.mp4").write_bytes(large)
    with av.open(str(tmp_path / "large.mp4")) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert not file.streams.audio
    pairs = zip(frame_times(tmp_path / "large.mp4"), frame_times(reel.path), strict=True)
    assert all(abs(a - b) <= Fraction(1, 1000) for a, b in pairs)
    assert len(encode_h264(reel.path, tmp_path, 1)) < len(large)
