"""Segments on a Ray cluster: the bytes of one process, whatever dies, and no endless waiting."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.clips import Clip
from tests.helpers.styles import Brighter
from vidstyle.errors import DeviceError
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
from vidstyle.pipeline.farm import ray_cluster


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra to install."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(ray_cluster, "import_module", missing)
    with pytest.raises(DeviceError, match=r"pip install 'vidstyle\[ray\]'"):
        ray_cluster.Cluster("auto")


class PlayedRay:
    """Says what resources a cluster has; nothing can be run on it."""

    def __init__(self, **resources: float) -> None:
        self.resources = resources

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return self.resources


def test_resources_are_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs where there are some, else cores; what is not there is an error at once."""
    monkeypatch.setattr(ray_cluster, "import_module", lambda name: PlayedRay(CPU=8.0, GPU=2.0))
    both = ray_cluster.Cluster("auto")
    assert (both.device, both.actors) == ("cuda", 2)
    assert ray_cluster.Cluster("auto", "cpu").actors == 8
    monkeypatch.setattr(ray_cluster, "import_module", lambda name: PlayedRay(CPU=4.0))
    assert ray_cluster.Cluster("auto").device == "cpu"
    with pytest.raises(DeviceError, match="0 GPUs and 4 CPUs"):
        ray_cluster.Cluster("auto", "cuda")


RUN = """
import os, sys
from pathlib import Path
source, target, mark = sys.argv[1:]
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
from tests.helpers.styles import DiesOnce
from vidstyle.pipeline.farm.ray_cluster import Cluster
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.apply import apply
seen = []
options = ApplyOptions(segment_frames=12, device="cpu", smooth=1.0)
report = apply(source, DiesOnce(Path(mark), 30), target, options, seen.append, Cluster("auto"))
print("counted", [report.frames, report.segments_total, seen[-1].frames])
ray.shutdown()
"""


@pytest.mark.slow
def test_a_cluster_of_two(tmp_path: Path, clip: Clip) -> None:
    """Two workers, one killed within a segment: it is started again, the bytes are those of one process."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra ray is not installed")
    source, mark = clip("sound.mp4", frames=60), tmp_path / "mark"
    options = ApplyOptions(segment_frames=12, device="cpu", smooth=1.0)
    apply(source, Brighter(), tmp_path / "one.mp4", options)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(source), str(tmp_path / "two.mp4"), str(mark)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "counted [60, 5, 60]" in done.stdout
    assert mark.exists()
    digests = {hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in ("one.mp4", "two.mp4")}
    assert len(digests) == 1
