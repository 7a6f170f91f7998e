"""apply and plan: progress, reports, memory, and refusals before any work."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.clips import frame_times, left_over, luma
from tests.helpers.styles import Brighter, Identity
from vidstyle.errors import DeviceError, OutputError
from vidstyle.frames import FrameBatch
from vidstyle.media.decode import Decoder
from vidstyle.media.digests import luma_digest
from vidstyle.options import ApplyOptions
from vidstyle.pipeline import apply as apply_module
from vidstyle.pipeline import render
from vidstyle.pipeline.apply import Progress, apply
from vidstyle.pipeline.plan import plan

QUICK = ApplyOptions(segment_frames=12, speed="ultrafast", batch_size=4)


def test_the_style_is_what_changes(tmp_path: Path, clip: Callable[..., Path]):
    """What a style does to frames is what the result shows."""
    apply(clip("plain.mp4"), Brighter(), tmp_path / "out.mp4", replace(QUICK, crf=1))
    difference = luma(tmp_path / "out.mp4").astype(int) - luma(clip("plain.mp4"))
    assert abs(difference.mean() - 20) < 0.5


def test_progress_ends_with_all_frames(tmp_path: Path, clip: Callable[..., Path]):
    """Progress rises from 0 to all frames and ends with the join."""
    seen: list[Progress] = []
    apply(clip("plain.mp4"), Identity(), tmp_path / "out.mp4", QUICK, seen.append)
    assert [p.frames for p in seen] == sorted(p.frames for p in seen)
    assert (seen[0].frames, seen[-1].frames, seen[-1].total, seen[-1].stage) == (0, 30, 30, "join")


def test_the_report_is_plain_json(tmp_path: Path, clip: Callable[..., Path]):
    """A report turns into JSON without help and counts what was copied."""
    report = apply(clip("two_tracks.mp4"), Identity(), str(tmp_path / "out.mp4"), QUICK)
    facts = json.loads(json.dumps(report.to_dict()))
    assert (facts["frames"], facts["segments_total"], facts["segments_resumed"]) == (30, 3, 0)
    assert facts["streams_copied"] == {"audio": 2}
    assert facts["target"] == str(tmp_path / "out.mp4")


def test_a_plan_writes_nothing(tmp_path: Path, clip: Callable[..., Path]):
    """A plan knows segments and pixel format and leaves no file behind."""
    made = plan(clip("sound.mp4"), Identity(), tmp_path / "out.mp4", QUICK)
    assert (made.frames_announced, made.segments_announced, made.pixel_format) == (30, 3, "yuv420p")
    json.dumps(made.to_dict())
    assert left_over(tmp_path) == []


def test_the_source_is_decoded_once(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """A run decodes every frame of the source once."""
    count = 0

    class Counting(render.Decoder):
        def close(self) -> None:
            nonlocal count
            count += self.decoded
            super().close()

    monkeypatch.setattr(render, "Decoder", Counting)
    apply(clip("bframes.mp4"), Identity(), tmp_path / "out.mp4", QUICK)
    assert count == 40


class Cramped(Identity):
    """A device whose memory holds so many frames."""

    def __init__(self, room: int) -> None:
        self.room = room

    def restyle(self, batch: FrameBatch) -> FrameBatch:
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch


def test_out_of_memory_halves_the_batch_and_says_so(tmp_path: Path, clip: Callable[..., Path]):
    """Where memory is too small for a batch it is halved, with a warning, and no frame is lost."""
    report = apply(clip("plain.mp4"), Cramped(2), tmp_path / "out.mp4", replace(QUICK, batch_size=8))
    assert "down to 2 frames" in " ".join(report.warnings)
    assert len(frame_times(tmp_path / "out.mp4")) == 30


def test_not_one_frame_in_memory_is_a_device_error(tmp_path: Path, clip: Callable[..., Path]):
    """Where not even one frame fits, the run ends in words and leaves nothing behind."""
    with pytest.raises(DeviceError, match="a single frame does not fit"):
        apply(clip("plain.mp4"), Cramped(0), tmp_path / "out.mp4", QUICK)
    assert left_over(tmp_path) == []


def refused(source: Path, target: Path, words: str, options: ApplyOptions = QUICK) -> None:
    with pytest.raises(OutputError, match=words) as caught:
        apply(source, Identity(), target, options)
    assert str(caught.value).startswith(f"{target}: ") or str(caught.value).startswith(f"{target.parent}: ")
    assert str(caught.value).endswith(".")


def test_the_source_itself_is_no_target(tmp_path: Path, clip: Callable[..., Path]):
    """The source cannot be the target, under whatever name, and stays untouched."""
    source = tmp_path / "keep.mp4"
    source.write_bytes(clip("plain.mp4").read_bytes())
    link = tmp_path / "keep_link.mp4"
    link.symlink_to(source)
    for target in (source, link, tmp_path / "." / "keep.mp4"):
        refused(source, target, "same file", replace(QUICK, overwrite=True))
    assert source.read_bytes() == clip("plain.mp4").read_bytes()
    assert left_over(tmp_path) == []


def test_targets_that_cannot_be(tmp_path: Path, clip: Callable[..., Path]):
    """A folder, a missing folder, an unknown container or one that cannot hold the codec is refused."""
    source = clip("plain.mp4")
    (tmp_path / "keep_folder.mp4").mkdir()
    (tmp_path / "keep_file").touch()
    refused(source, tmp_path / "keep_folder.mp4", "a folder")
    refused(source, tmp_path / "none" / "out.mp4", "there is no folder")
    refused(source, tmp_path / "keep_file" / "out.mp4", "there is no folder")
    refused(source, tmp_path / "out.xyz", "no video container")
    refused(source, tmp_path / "out.webm", "cannot hold h264", replace(QUICK, codec="h264"))
    assert left_over(tmp_path) == []


def test_a_folder_without_permission(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """A folder that may not be written is named in the error."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    source = clip("plain.mp4")
    monkeypatch.setattr(Path, "mkdir", refuse)
    refused(source, tmp_path / "out.mp4", "may not be written")
    assert left_over(tmp_path) == []


def test_a_disk_that_fills_while_joining(
    tmp_path: Path, clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """The segments stay, so that the next run only joins."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    original = apply_module.join

    def on_a_full_disk(*arguments, **options):
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
        try:
            return original(*arguments, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    target = tmp_path / "out.mp4"
    with monkeypatch.context() as patch:
        patch.setattr(apply_module, "join", on_a_full_disk)
        refused(clip("sound.mp4"), target, "cannot be written")
    assert left_over(tmp_path) == [".out.mp4.vidstyle"]
    style = Brighter()
    style.content_hash = Identity.content_hash
    report = apply(clip("sound.mp4"), style, target, QUICK)
    assert (style.frames, report.segments_resumed, report.segments_total) == (0, 3, 3)
    assert left_over(tmp_path) == ["out.mp4"]


def test_a_frame_lost_by_the_style_is_an_error(tmp_path: Path, clip: Callable[..., Path]):
    """A style that gives back fewer frames ends the run; there is no shorter file."""

    class Loses(Identity):
        def restyle(self, batch: FrameBatch) -> FrameBatch:
            return batch.part(0, len(batch) - 1)

    with pytest.raises(OutputError):
        apply(clip("plain.mp4"), Loses(), tmp_path / "out.mp4", QUICK)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_a_committed_segment_knows_the_source_frame_at_its_border(
    tmp_path: Path, clip: Callable[..., Path], smooth: float
):
    """Through batching, padding, styles and smoothing, the digest and the last duration stay right."""
    source = clip("bframes.mp4")
    with Decoder(source) as decoder:
        digests = {index + 1: luma_digest(timed.frame) for index, timed in decoder.frames()}
        frames = max(digests)

    def stop(progress: Progress) -> None:
        if progress.stage == "join":
            raise RuntimeError("stopped before the join")

    options = replace(QUICK, smooth=smooth, batch_size=5)
    with pytest.raises(RuntimeError, match="before the join"):
        apply(source, Brighter(), tmp_path / "out.mp4", options, stop)
    sidecars = sorted(tmp_path.glob(".out.mp4.vidstyle/*/*.json"))
    found = [json.loads(sidecar.read_text()) for sidecar in sidecars]
    assert [f["stop"] for f in found] == [12, 24, 36, frames]
    assert [f["source_digest"] for f in found] == [*(digests[n] for n in (12, 24, 36)), ""]
    assert [f["last_duration"] > 0 for f in found] == [False, False, False, True]
