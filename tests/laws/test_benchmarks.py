"""Each benchmark still runs, on next to nothing, and ends with a line for machines; the table is theirs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.helpers.styles import tiny_style
from vidstyle.models.base import parameter_count

HOME = Path(__file__).parents[2] / "benchmarks"
# With next to nothing to do. Those of `whole` start programs and take seconds each.
QUICK = {
    "bench_generator": ["--repeats", "1", "--threads", "1", "--sizes", "64x36", "128x72"],
    "bench_peers": ["--size", "32", "32", "--turns", "1", "--threads", "1"],
    "bench_stages": ["--sizes", "64x48", "--frames", "8", "--device", "cpu", "--threads", "1"],
    "on_gpu": ["--sizes", "64x48,96x64", "--frames", "8", "--device", "cpu", "--repeats", "1", "--workers"],
}
WHOLE = {
    "bench_startup": ["--runs", "1"],
    "bench_apply": ["--frames", "6", "--size", "64", "48", "--repeats", "1", "--threads", "1"],
    "bench_frames": ["--frames", "4", "--size", "64", "48", "--repeats", "1", "--lengths", "3"],
    "bench_memory": ["--frames", "4", "8", "--size", "64", "48"],
    "bench_farm": ["--frames", "4", "--width", "64", "--height", "48", "--many", "1"],
    "bench_scale": [
        *("--lengths", "4", "8", "12", "--size", "64", "48", "--sizes", "--batches", "2", "--workers"),
        *("--frames", "4", "--threads", "1"),
    ],
}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A benchmark as a module. They are scripts beside each other, not a package."""
    monkeypatch.syspath_prepend(str(HOME))
    threads, before = torch.get_num_threads(), set(sys.modules)
    yield import_module
    torch.set_num_threads(threads)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(HOME)):
            del sys.modules[name]


def last_line(script: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    script.main(arguments)
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs(name: str, load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark runs."""
    style = str(tiny_style(tmp_path))
    option = "--style" if name == "bench_generator" else "--styles"
    line = last_line(load(name), [option, style, *QUICK[name]], capsys)
    assert line["benchmark"] == name.removeprefix("bench_")
    assert line["date"] and line["machine"]["cpus"]


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_a_benchmark_of_programs_runs(
    name: str, load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark of programs runs."""
    style = [] if name == "bench_startup" else ["--style", str(tiny_style(tmp_path))]
    line = last_line(load(name), [*style, *WHOLE[name]], capsys)
    assert line["benchmark"] == name.removeprefix("bench_")


def test_the_peers_are_as_large_as_published(load: Any) -> None:
    """AnimeGANv2 2.1 million parameters, that of Johnson et al. 1,679,235; pictures keep their size."""
    peers = load("peer_networks").PEERS
    assert parameter_count(peers["AnimeGANv2"]()) == 2_141_760
    assert parameter_count(peers["Johnson"]()) == 1_679_235
    for build in peers.values():
        with torch.no_grad():
            assert build()(torch.rand(1, 3, 32, 48)).shape == (1, 3, 32, 48)


def test_a_line_is_fitted(load: Any) -> None:
    """A straight one exactly; one that bends is told."""
    fit = load("bench_scale").line_fit
    assert fit([1, 2, 4], [3, 5, 9]) == pytest.approx((1, 2, 1))
    assert fit([1, 2, 3, 4], [1, 4, 9, 16])[2] < 0.98


def test_the_table_is_made_of_the_results(load: Any) -> None:
    """What stands in the README is what record.py would write."""
    record = load("record")
    assert record.BEGIN + record.table() + record.END in record.README.read_text()


def test_what_a_command_takes_is_its_own(load: Any) -> None:
    """Not the memory of the benchmark that starts it, which holds torch; and a failure is said."""
    common = load("common")
    held = bytearray(1) * (256 << 20)
    done = common.run([sys.executable, "-c", "print('first'); print('last')"])
    assert done.output == "first\nlast\n"
    assert 1e6 < done.peak_bytes < 64e6 < len(held)
    assert 0 < done.cpu_seconds < done.seconds + 1
    with pytest.raises(SystemExit, match="exit code 3"):
        common.run([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(SystemExit, match="No such file"):
        common.run(["no-such-program"])
