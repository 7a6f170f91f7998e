"""Digests tell clips and frames apart."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from vidstyle.media import digests
from vidstyle.media.digests import fingerprint
from vidstyle.media.image_sequence import ImageSequence


def test_a_small_file_counts_whole(tmp_path: Path) -> None:
    """One changed byte anywhere is another file."""
    path = tmp_path / "a"
    seen = set()
    for at in range(5):
        path.write_bytes(bytes(number == at for number in range(5)))
        seen.add(fingerprint(path))
    assert len(seen) == 5


def test_a_large_file_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ends of a large file always count; the length does too."""
    monkeypatch.setattr(digests, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(digests, "SAMPLE_BYTES", 16)
    path = tmp_path / "a"
    seen = set()
    for at, size in ((None, 5000), (0, 5000), (4999, 5000), (None, 5001)):
        data = bytearray(size)
        if at is not None:
            data[at] = 1
        path.write_bytes(data)
        seen.add(fingerprint(path))
    assert len(seen) == 4


def test_every_picture_of_a_sequence_counts(tmp_path: Path) -> None:
    """The bytes of each picture and their numbers are part of the fingerprint."""
    for number in (3, 4, 5):
        (tmp_path / f"{number}.png").write_bytes(b"picture %d" % number)
    pattern = tmp_path / "%d.png"

    def seen(first: int, count: int) -> str:
        return fingerprint(pattern, sequence=ImageSequence(first=first, count=count, fps=Fraction(24)))

    whole = seen(3, 3)
    assert len({whole, seen(3, 2), seen(4, 2)}) == 3
    (tmp_path / "4.png").write_bytes(b"another 4")
    assert seen(3, 3) != whole
