"""Numbered pictures are decoded all and whole, or the one that is not is named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.helpers.styles import Identity
from vidstyle.errors import InputError
from vidstyle.media.decode import Decoder
from vidstyle.media.probe import probe
from vidstyle.media.whole_picture import what_is_wrong
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply

SUFFIXES = (".png", ".jpg", ".tif", ".bmp", ".webp", ".dpx")
FPS = Fraction(25)


def make(folder: Path, suffix: str, count: int = 4) -> list[Path]:
    """Noisy pictures: what is missing of them cannot be guessed."""
    random = np.random.default_rng(2)
    files = [folder / f"f_{number:03d}{suffix}" for number in range(1, count + 1)]
    for file in files:
        pixels = random.integers(0, 256, (48, 64, 3), np.uint8)
        if suffix == ".dpx":
            with av.open(str(file), "w", format="image2", options={"update": "1"}) as out:
                stream = out.add_stream("dpx", rate=25)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
                out.mux(stream.encode(None))
        else:
            assert cv2.imwrite(str(file), pixels)
    return files


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_or_cut_off_picture_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    """Wherever the file ends, and whichever picture it is; whole ones are taken, bytes behind the end too."""
    files = make(tmp_path, suffix)
    assert all(what_is_wrong(file) is None for file in files)
    whole = files[2].read_bytes()
    for length in (0, 20, len(whole) // 3, len(whole) * 9 // 10, len(whole) - 1):
        files[2].write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"f_003\{suffix}: this picture is (empty|cut off)"):
            Decoder(tmp_path / f"f_%03d{suffix}", fps=FPS)
    files[2].write_bytes(whole + b"\0" * 40)
    with Decoder(tmp_path / f"f_%03d{suffix}", fps=FPS) as decoder:
        assert sum(len(batch) for batch in decoder.batches(2)) == 4


def test_a_picture_that_cannot_be_decoded_is_refused_by_name(tmp_path: Path) -> None:
    """Damage in the middle is an error, not the picture before it; nothing is written."""
    files = make(tmp_path, ".png", count=12)
    data = bytearray(files[7].read_bytes())
    data[60 : len(data) - 60] = bytes(len(data) - 120)
    files[7].write_bytes(data)
    with pytest.raises(InputError, match=r"f_008\.png: this picture cannot be decoded"):
        apply(
            tmp_path / "f_%03d.png",
            Identity(),
            tmp_path / "out.mkv",
            ApplyOptions(codec="ffv1", fps=FPS, segment_frames=4, batch_size=2),
        )
    assert not (tmp_path / "out.mkv").exists()


def test_a_picture_that_vanishes_after_the_count_is_refused(tmp_path: Path) -> None:
    """As many pictures are decoded as were counted, or the run ends with the name of the first that lacks."""
    last = make(tmp_path, ".png", count=12)[-1]
    source = probe(tmp_path / "f_%03d.png", fps=FPS)
    last.unlink()
    with Decoder(source) as decoder, pytest.raises(InputError, match=r"f_012\.png: this picture cannot be"):
        list(decoder.batches(1))


@pytest.mark.parametrize("step", [5_000_000_000, 40_000_000, 1])
def test_names_that_are_times_are_explained(tmp_path: Path, step: int) -> None:
    """Nanoseconds as names are an error in words, at once and without memory for the gaps."""
    (first,) = make(tmp_path, ".png", count=1)
    for number in range(3):
        (tmp_path / f"{1403636579763555584 + number * step}.png").write_bytes(first.read_bytes())
    with pytest.raises(InputError, match="look like times"):
        Decoder(tmp_path / "%d.png", fps=FPS)
