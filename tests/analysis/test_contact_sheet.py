"""The contact sheet and pictures as bytes."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from vidstyle.analysis.preview.contact_sheet import contact_sheet, jpeg, plain_letters


def flat(level: int, height: int = 90, width: int = 160) -> torch.Tensor:
    picture = torch.full((3, height, width), level, dtype=torch.uint8)
    picture[2] = 0  # no gray, which words are
    return picture


def test_pictures_stand_in_their_rows_and_columns() -> None:
    """Each picture once, in order, none covered by another or by words."""
    levels = [[10, 60], [110, 160]]
    rows = [(f"0:0{i}.0", [flat(level) for level in row]) for i, row in enumerate(levels)]
    sheet = contact_sheet("clip.mp4", "note", ["source", "vlogger"], rows)
    places = {}
    for level in (10, 60, 110, 160):
        ys, xs = np.nonzero((sheet == [level, level, 0]).all(axis=2))
        inside = [(y, x) for y, x in zip(ys, xs, strict=True)]
        assert len(inside) >= 90 * 160
        places[level] = (np.median(ys), np.median(xs))
    assert places[10][0] == places[60][0] < places[110][0] == places[160][0]
    assert places[10][1] == places[110][1] < places[60][1] == places[160][1]


def test_words_are_written_and_cut_short() -> None:
    """A long title leaves ink, but stays on the sheet and as small as the sheet of a short one."""
    rows = [("0:00.0", [flat(128)])]
    empty = contact_sheet("", "", [""], [("", [flat(128)])])
    short, long = (contact_sheet(text, text, [text], rows) for text in ("a", "long words " * 60))
    assert short.shape == long.shape == empty.shape
    ink = [int((sheet != empty).any(axis=2).sum()) for sheet in (short, long)]
    assert 20 < ink[0] < ink[1]


def test_portraits_and_slivers_have_room_for_their_names() -> None:
    """Columns are never narrower than a word."""
    for size in ((320, 40), (40, 320)):
        sheet = contact_sheet("t", "n", ["source", "watercolor"], [("0:00.0", [flat(99, *size)] * 2)])
        assert sheet.shape[1] >= 2 * 140


def test_letters_beyond_ascii() -> None:
    """Accents go, and what has no plain letter is a question mark."""
    assert plain_letters("Café ß漢\n") == "Cafe ???"


def test_a_jpeg_is_as_small_as_it_must_be() -> None:
    """The best quality that fits; below the lowest there is none."""
    noise = torch.randint(0, 256, (3, 90, 160), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    large = jpeg(noise, 1 << 20)
    half = jpeg(noise, len(large) // 2)
    assert len(half) <= len(large) // 2
    assert len(jpeg(noise, 1)) < len(half)
    back = cv2.imdecode(np.frombuffer(large, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(back.transpose(2, 0, 1).astype(int) - noise.numpy()).mean() < 20
