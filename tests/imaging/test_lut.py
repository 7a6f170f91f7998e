"""A grade looked up by FFmpeg: near the grade itself, for frames of any size, on many threads."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from tests.helpers.styles import tiny_generator
from vidstyle.imaging import lut
from vidstyle.imaging.lut import HALD_SIZE, Entry, Lut3D, apply_tetrahedral
from vidstyle.styles.load import load_style

CODE = torch.full((1, 16), 0.3)


def tiny_table() -> Lut3D:
    with torch.no_grad():
        return Lut3D(tiny_generator().lut(CODE, HALD_SIZE))


def identity(size: int = HALD_SIZE) -> Tensor:
    axis = torch.linspace(0, 1, size)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).flip(0)


@pytest.mark.parametrize("name", ["vlogger", "cinema"])
def test_it_is_the_grade(name: str) -> None:
    """Within 0.3 of a level of 255 of the grade itself, for shipped looks and any color."""
    generator, code = load_style(name).network
    rgb = torch.rand(1, 3, 300, 300, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = generator.graded(rgb, code), Lut3D(generator.lut(code, HALD_SIZE))(rgb)
    assert (found - wanted).abs().max() < 0.3 / 255


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (47, 63), (75, 1024), (76, 1024), (300, 401)])
def test_frames_of_any_size_come_back_whole(size: tuple[int, int]) -> None:
    """A table that changes nothing gives back every pixel of every frame in its place."""
    rgb = torch.rand(2, 3, *size)
    assert (Lut3D(identity())(rgb) - rgb).abs().max() < 1e-5


def test_the_edge_holds() -> None:
    """Outside of [0, 1] colors are those of the edge, and what is no number is black."""
    rgb = torch.tensor([-1.0, 2.0, float("inf"), -float("inf"), float("nan"), 1e30])
    found = Lut3D(identity())(rgb.view(1, 1, 1, -1).expand(1, 3, 1, -1))
    assert found[0, 0, 0].tolist() == pytest.approx([0, 1, 1, 0, 0, 1], abs=1e-6)


def test_what_was_there_before_leaves_no_trace() -> None:
    """A frame is looked up the same after others, larger and smaller, and in a batch."""
    grade, rgb = tiny_table(), torch.rand(3, 3, 50, 70)
    first = grade(rgb)
    grade(torch.rand(1, 3, 200, 800))
    assert torch.equal(grade(rgb), first)
    assert torch.equal(torch.cat([grade(frame[None]) for frame in rgb]), first)


def test_many_threads_may_use_one_table() -> None:
    """Each call has a filter of its own; there are as many as there were calls at a time."""
    grade = tiny_table()
    frames = [torch.rand(1, 3, 64, 96) for _ in range(40)]
    wanted = [grade(frame) for frame in frames]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(grade, frames))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert 1 <= len(grade._idle) <= 4


def test_copies_and_pickles_begin_without_filters() -> None:
    """A style goes to other processes with its lut, not with what FFmpeg holds."""
    grade, rgb = tiny_table(), torch.rand(1, 3, 20, 30)
    wanted = grade(rgb)
    for other in (copy.deepcopy(grade), pickle.loads(pickle.dumps(grade))):
        assert not other._idle
        assert torch.equal(other(rgb), wanted)


def test_it_serves_inside_and_outside_of_inference_mode() -> None:
    """The same filter serves both, in any order."""
    grade, rgb = tiny_table(), torch.rand(1, 3, 20, 30)
    with torch.inference_mode():
        inside = grade(rgb)
    assert torch.equal(grade(rgb), inside)
    with torch.inference_mode():
        assert torch.equal(grade(rgb), inside)


def test_without_the_filter_the_plain_look_up_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where FFmpeg was built without it: nearly the same colors."""
    rgb = torch.rand(1, 3, 40, 50)
    wanted = tiny_table()(rgb)
    monkeypatch.setattr(lut, "_HAS_HALDCLUT", False)
    assert (tiny_table()(rgb) - wanted).abs().max() < 0.3 / 255


@pytest.mark.parametrize("size", [2, 3, 9, 17, 33, 65])
def test_no_node_of_a_table_is_moved(size: int) -> None:
    """Of any number of nodes: FFmpeg and torch look up the same, and the nodes themselves come back."""
    table = torch.rand(3, size, size, size, generator=torch.Generator().manual_seed(size))
    rgb = torch.rand(2, 3, 40, 50) * 1.2 - 0.1
    assert (Lut3D(table)(rgb) - apply_tetrahedral(rgb, table)).abs().max() < 1e-5
    nodes = identity(size).reshape(1, 3, size, -1)
    assert (Lut3D(table)(nodes) - table.reshape(1, 3, size, -1)).abs().max() < 1e-4


def test_a_table_may_begin_and_end_elsewhere_and_have_curves() -> None:
    """Colors are stretched to its domain, then bent, then looked up; outside the ends hold."""
    entry = Entry(torch.full((3,), 0.2), torch.full((3,), 0.6), torch.tensor([[0.0, 0.5, 0.6]] * 3))
    rgb = (
        torch.tensor([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, float("nan")]).view(1, 1, 1, -1).expand(1, 3, 1, -1)
    )
    found = Lut3D(identity(5), entry)(rgb)[0, 1, 0].tolist()
    assert found == pytest.approx([0, 0, 0.25, 0.5, 0.55, 0.6, 0.6, 0], abs=1e-5)
    assert pickle.loads(pickle.dumps(Lut3D(identity(5), entry)))(rgb)[0, 1, 0].tolist() == found
