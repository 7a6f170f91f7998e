"""Whole frames from fields."""

from __future__ import annotations

import numpy as np

from tests.helpers.clips import Clip
from vidstyle.media.decode import Decoder


def test_each_frame_stays_at_its_time_and_is_no_longer_interlaced(clip: Clip) -> None:
    """As many frames as before, at the same times; stop gives the first frames of the whole."""
    path = clip("interlaced.mp4")

    def frames(stop: int | None = None, deinterlace: bool = True) -> list[tuple[int, np.ndarray]]:
        with Decoder(path, stop=stop, deinterlace=deinterlace) as decoder:
            return [(b.pts[0], b.planes[0][0].numpy()) for b in decoder.batches(1)]

    before, after, part = frames(deinterlace=False), frames(), frames(stop=9)
    assert [pts for pts, _ in after] == [pts for pts, _ in before]
    assert len(part) == 9
    assert all(np.array_equal(x, y) for (_, x), (_, y) in zip(part, after, strict=False))
    assert any(not np.array_equal(x, y) for (_, x), (_, y) in zip(before, after, strict=True))
