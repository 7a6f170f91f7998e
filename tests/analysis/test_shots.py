"""Scenes, keyframes and excerpts of a clip."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidstyle.analysis import shots
from vidstyle.analysis.shots import Scene, detect_scenes, read_frames, select_excerpts, select_keyframes
from vidstyle.media.decode import Decoder


def write(path: Path, frames: list[np.ndarray], rate: int = 10) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "8", "preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        for array in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def scene(seed: int, frames: int, blur: int = 0) -> list[np.ndarray]:
    """A picture of colored squares, one kind for each seed; blurred: all but the frame in the middle."""
    random = np.random.default_rng(seed)
    squares = random.integers(30, 226, (6, 8, 3)).astype(np.uint8)
    sharp = squares.repeat(16, 0).repeat(16, 1)
    soft = sharp.astype(np.float32)
    for _ in range(blur):
        soft = (soft + np.roll(soft, 1, 0) + np.roll(soft, 1, 1) + np.roll(soft, -1, 0)) / 4
    return [sharp if not blur or i == frames // 2 else soft.astype(np.uint8) for i in range(frames)]


@pytest.fixture(scope="module")
def cut_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes of 20, 12 and 28 frames."""
    folder = tmp_path_factory.mktemp("cuts")
    return write(folder / "cuts.mp4", scene(1, 20) + scene(2, 12) + scene(3, 28))


def test_scenes_end_at_the_cuts(cut_clip: Path) -> None:
    """Three scenes, each of them once, and all frames in one."""
    found = detect_scenes(cut_clip)
    assert found.scenes == (Scene(0, 0, 20), Scene(0, 20, 32), Scene(0, 32, 60))
    assert found.complete


def test_every_scene_has_a_keyframe_before_any_has_two(cut_clip: Path) -> None:
    """Three keyframes, three scenes; still scenes have no second keyframe."""
    found = detect_scenes(cut_clip)
    assert {c.scene for c in select_keyframes(found.candidates, 3)} == {0, 1, 2}
    assert len(select_keyframes(found.candidates, 10)) == 3


def test_the_sharp_frame_is_taken(tmp_path: Path) -> None:
    """Of a scene where all frames but one are blurred, the sharp one is the keyframe."""
    found = detect_scenes(write(tmp_path / "soft.mp4", scene(4, 23, blur=20)))
    best, *others = sorted(found.candidates, key=lambda c: -c.quality)
    assert select_keyframes(found.candidates, 1) == [best]
    assert best.index == 11
    assert best.quality > 1.2 * others[0].quality


def test_short_clips_are_shown_whole_and_long_ones_in_excerpts(cut_clip: Path) -> None:
    """The excerpts last at most as long as asked, stay within their scenes and do not overlap."""
    found = detect_scenes(cut_clip)
    chosen = select_keyframes(found.candidates, 6)
    assert select_excerpts(found, chosen, 6.0) == list(found.scenes)
    assert select_excerpts(found, chosen, 0.0) == []
    parts = select_excerpts(found, chosen, 3.6)
    assert 20 < sum(part.stop - part.start for part in parts) <= 36
    ends = [0] + [part.stop for part in parts]
    for before, part in zip(ends, parts, strict=False):
        assert before <= part.start
        assert any(s.start <= part.start and part.stop <= s.stop for s in found.scenes)


def test_a_clip_of_one_frame(clip: Callable[..., Path]) -> None:
    """That frame is the keyframe, and there are no excerpts."""
    found = detect_scenes(clip("plain.mp4", frames=1))
    chosen = select_keyframes(found.candidates, 6)
    assert [(c.window, c.index) for c in chosen] == [(0, 0)]
    assert select_excerpts(found, chosen, 12.0) == []


def test_long_clips_are_read_in_windows(cut_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the windows are decoded, and a second pass finds the same frames again."""
    monkeypatch.setattr(shots, "LONGEST_SECONDS", 3.0)
    monkeypatch.setattr(shots, "_WINDOWS", 3)
    monkeypatch.setattr(shots, "_WINDOW_SECONDS", 0.9)
    found = detect_scenes(cut_clip)
    assert not found.complete
    assert len(found.windows) == 3
    assert sum(s.stop - s.start for s in found.scenes) == 27
    last = found.candidates[-1]
    assert 4 < last.seconds < 5
    wanted = [Scene(last.window, last.index, last.index + 1)]
    [(window, index, batch)] = read_frames(cut_clip, found, wanted)
    assert (window, index) == (last.window, last.index)
    assert found.seconds(batch) == last.seconds


def test_leap_lands_at_or_before_the_time(cut_clip: Path) -> None:
    """On a frame where decoding can begin, not more than a group of pictures before."""
    with Decoder(cut_clip) as decoder:
        assert decoder.leap(3.05)
        batch = next(decoder.batches(1))
        assert 2.0 <= batch.pts[0] * batch.time_base <= 3.05


def test_leap_stays_where_times_are_not_to_be_trusted(clip: Callable[..., Path]) -> None:
    """An AVI with B-frames is read from its beginning, all of it."""
    with Decoder(clip("bframes.avi")) as decoder:
        assert not decoder.leap(1.0)
        assert sum(len(batch) for batch in decoder.batches(8)) == 40


def test_progress_counts_every_frame(cut_clip: Path) -> None:
    """The last call has all frames done."""
    told: list[tuple[int, int]] = []
    detect_scenes(cut_clip, on_frames=lambda done, total: told.append((done, total)))
    assert told[-1] == (60, 60)
    assert len(told) == 60


def test_rates_of_pictures_reach_the_decoder(tmp_path: Path) -> None:
    """A sequence at five frames a second lasts a second for five of them."""
    for number, array in enumerate(scene(5, 5)):
        frame = av.VideoFrame.from_ndarray(array, format="rgb24")
        with av.open(str(tmp_path / f"f_{number:03d}.png"), "w", format="image2") as out:
            stream = out.add_stream("png", rate=5)
            stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "rgb24"
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    found = detect_scenes(tmp_path / "f_%03d.png", Fraction(5))
    assert found.info.average_fps == 5
    assert found.scenes == (Scene(0, 0, 5),)
