"""Pictures beside their sources and sets beside a style: the right order, kept small, refused in words."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.styles import codes, folder_of, picture
from vidstyle.analysis.picture_report import (
    FrameSample,
    Pictures,
    evaluate_pictures,
    evaluate_style,
    read_pictures,
    small_codes,
    transfers,
)
from vidstyle.errors import InputError
from vidstyle.media.image_file import write_png


def set_of(warm: float, count: int = 8, first: int = 0) -> Pictures:
    return Pictures(tuple(codes(picture(first + seed, warm))[0] for seed in range(count)))


def test_a_perfect_result_is_nearest_and_transfers_lie_between() -> None:
    """On unpaired sets: the untouched source is far, plain transfers are nearer, the true look is at 0."""
    source, truth, style = set_of(0.0), set_of(0.2), set_of(0.2, first=50)
    report = evaluate_style(source, truth, style)
    color = {name: row["colour"] for name, row in report.rows.items()}
    assert list(color) == ["source", "reinhard", "mkl", "histogram", "result"]
    assert color["result"] < 0.5 * color["source"]
    for name in ("reinhard", "mkl", "histogram"):
        assert color[name] < 0.6 * color["source"]
    assert report.rows["source"]["content"] == pytest.approx(1, abs=1e-3)
    assert all(0.5 < row["content"] <= 1.001 for row in report.rows.values())
    assert (report.frames, report.content_pictures, report.style_pictures) == (8, 8, 8)
    assert evaluate_style(source, source, source).rows["result"]["colour"] == 0


def test_texture_sees_what_transfers_cannot_do() -> None:
    """Hatching brings a result near a hatched style; no transfer does."""

    def hatched(pictures: Pictures) -> Pictures:
        lined = [picture.clone() for picture in pictures.codes]
        for lines in lined:
            lines[:, ::3] //= 2
        return Pictures(tuple(lined))

    rows = evaluate_style(set_of(0.0), hatched(set_of(0.0)), hatched(set_of(0.0, first=50))).rows
    assert rows["result"]["texture"] < 0.3 * min(rows[name]["texture"] for name in rows if name != "result")


def test_the_content_set_is_what_transfers_are_fitted_on() -> None:
    """Another content set gives other transfers; the result and the source keep their figures."""
    source, result, style = set_of(0.1), set_of(0.2), set_of(0.3, first=50)
    own, other = evaluate_style(source, result, style), evaluate_style(source, result, style, set_of(-0.2))
    assert own.rows["mkl"] != other.rows["mkl"]
    assert own.rows["result"] == other.rows["result"] and own.rows["source"] == other.rows["source"]
    assert set(transfers(source, style)) == {"reinhard", "mkl", "histogram"}


def test_one_picture_is_no_style() -> None:
    """It has no spread."""
    with pytest.raises(InputError, match="only one picture"):
        evaluate_style(set_of(0), set_of(0), set_of(0, count=1))


def test_a_set_is_kept_as_codes() -> None:
    """Given out as numbers in [0, 1], through a look where there is one, painted on demand."""
    pictures = set_of(0.0, count=3)
    assert all(code.dtype == torch.uint8 for code in pictures.codes)
    assert torch.equal(pictures[1], pictures.codes[1].float() / 255)
    assert [len(pictures), len(pictures[:2]), len(list(pictures))] == [3, 2, 3]
    inverted = pictures.transformed(lambda rgb: 1 - rgb)
    assert torch.equal(inverted[2], 1 - pictures[2]) and torch.equal(inverted[:2][0], 1 - pictures[0])


def test_a_sample_is_even_and_bounded() -> None:
    """However long the clip: between half of `most` and all of it, first frame included, pairs together."""
    for frames in (5, 8, 9, 40, 1000):
        sample = FrameSample(most=8, side=2)
        for number in range(frames):
            frame = torch.full((1, 3, 4, 4), number % 256, dtype=torch.uint8)
            sample.add(frame, 255 - frame)
        source, result = sample.pictures()
        shown = [int(code[0, 0, 0]) for code in source.codes]
        assert min(frames, 4) <= len(shown) <= 8
        if frames <= 256:
            steps = {b - a for a, b in pairwise(shown)}
            assert shown[0] == 0 and len(steps) <= 1
        assert all(torch.equal(b, 255 - a) for a, b in zip(source.codes, result.codes, strict=True))
    assert small_codes(codes(picture(0)), side=20).shape == (3, 20, 28)


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    """Spread over the folder, at one size; no pictures is an error."""
    folder = folder_of(tmp_path / "p", 0.0, [f"{n}.png" for n in range(7)])
    (folder / "notes.txt").write_text("no")
    assert len(read_pictures(folder, side=20)) == 7
    some = read_pictures(folder, count=3, side=20)
    every = read_pictures(folder, side=20)
    assert [c.shape for c in some.codes] == [(3, 20, 28)] * 3
    assert [torch.equal(a, every.codes[n]) for a, n in zip(some.codes, (0, 2, 4), strict=True)] == [True] * 3
    (tmp_path / "bare").mkdir()
    for wrong in ("bare", "gone"):
        with pytest.raises(InputError, match=wrong):
            read_pictures(tmp_path / wrong)


def test_pairs_of_pictures(tmp_path: Path) -> None:
    """Means over all; a picture beside itself is unchanged; another size is refused."""
    names = ["a.png", "b.png"]
    source, result = folder_of(tmp_path / "s", 0.0, names), folder_of(tmp_path / "r", 0.2, names)
    pairs = [(source / name, result / name) for name in names]
    seen: list[int] = []
    report = evaluate_pictures(pairs, watch=lambda a, b: seen.append(len(a)))
    assert (report.pictures, report.source, report.result, len(seen)) == (2, source, result, 2)
    assert report.strength > 5 and report.detail_kept > 1.1 and report.contrast_kept > 1.1
    assert 0.8 < report.content_kept < 1
    same = evaluate_pictures([(source / "a.png", source / "a.png")])
    assert same.strength == pytest.approx(0, abs=1e-3)
    assert (same.detail_kept, same.contrast_kept) == (1, 1)
    assert same.source == source / "a.png"
    write_png(tmp_path / "small.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="another size"):
        evaluate_pictures([(source / "a.png", tmp_path / "small.png")])
