"""What hangs on frames and streams is taken in: turned pictures, transparency of VP8 and VP9, wrong tags."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.helpers.clips import Clip, ClipSpec, display_matrix, make_clip
from tests.helpers.styles import Identity
from vidstyle.media.decode import Decoder
from vidstyle.media.probe import probe
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

FPS = Fraction(25)


def save_turned(path: Path, orientation: int) -> None:
    """A JPEG that EXIF turns."""
    exif = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, orientation, 0)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    kinds, blocks = [cv2.IMAGE_METADATA_EXIF], [np.frombuffer(exif, np.uint8)]
    done, data = cv2.imencodeWithMetadata(".jpg", pixels, kinds, blocks)
    assert done
    path.write_bytes(data.tobytes())


@pytest.mark.parametrize(
    ("orientation", "turns"), [(1, None), (2, (-1, 0, 0, 1)), (6, (0, 1, -1, 0)), (8, (0, -1, 1, 0))]
)
def test_pictures_that_exif_turns_are_turned_as_a_clip(
    tmp_path: Path, orientation: int, turns: tuple[int, ...] | None
) -> None:
    """The clip is shown as the pictures are: turned, mirrored, or as it is stored."""
    for number in range(1, 4):
        save_turned(tmp_path / f"{number}.jpg", orientation)
    apply(tmp_path / "%d.jpg", Identity(), tmp_path / "out.mp4", ApplyOptions(fps=FPS))
    matrix = display_matrix(tmp_path / "out.mp4")
    found = None if matrix is None else tuple(matrix[i] // 65536 for i in (0, 1, 3, 4))
    assert found == turns


def test_pictures_that_are_turned_in_several_ways_are_counted(tmp_path: Path) -> None:
    """A clip has one turn: that of the first picture. How many ask for another one is said."""
    for number, orientation in enumerate((6, 6, 1, 8, 6), 1):
        save_turned(tmp_path / f"{number}.jpg", orientation)
    report = apply(tmp_path / "%d.jpg", Identity(), tmp_path / "out.mp4", ApplyOptions(fps=FPS))
    assert [w for w in report.warnings if w.startswith("2 frames are to be turned in another way")]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparency_of_vp8_and_vp9(tmp_path: Path, codec: str) -> None:
    """It is kept where the target can hold it, else named; the tag that says so does not stay."""
    source = tmp_path / "in.webm"
    with av.open(str(source), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"auto-alt-ref": "0", "deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for number in range(4):
            pixels = np.full((48, 64, 4), 128, np.uint8)
            pixels[:, :32, 3] = 0
            pixels[:, 32:, 3] = 255
            frame = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="yuva420p")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with Decoder(source) as decoder:
        (batch,) = decoder.batches(8)
    assert batch.alpha is not None and len(batch) == 4
    assert batch.alpha[:, :, :24].max() < 32 and batch.alpha[:, :, 40:].min() > 220
    apply(source, Identity(), tmp_path / "keeps.mov", ApplyOptions(codec="prores4444"))
    assert probe(tmp_path / "keeps.mov").info.has_alpha
    report = apply(source, Identity(), tmp_path / "loses.webm", ApplyOptions(codec="av1"))
    assert "av1 keeps no transparency" in " ".join(report.warnings)
    with av.open(str(tmp_path / "loses.webm")) as file:
        assert "alpha_mode" not in {key.lower() for key in file.streams.video[0].metadata}


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_gray_pictures_are_not_called_rgb(tmp_path: Path, codec: str) -> None:
    """YUV that is made of gray, or that says it is RGB, names no matrix."""
    for number in range(1, 4):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((48, 64), 60 * number, np.uint8))
    apply(tmp_path / "%d.png", Identity(), tmp_path / "out.mp4", ApplyOptions(codec=codec, fps=FPS))
    assert probe(tmp_path / "out.mp4").info.matrix_code == 2


def test_yuv_that_says_it_is_rgb(tmp_path: Path, clip: Clip) -> None:
    """It is taken as YUV without a matrix, and the result says so."""
    source = make_clip(tmp_path / "keep.mp4", ClipSpec(color=(2, 2, 2, 0), frames=4))
    info = probe(source).info
    assert (info.matrix_code, info.matrix_was_guessed) == (2, True)
