"""The start of several clips of one size as one clip, for bench_apply: what cameras saw, with their sound.

    python benchmarks/real_clip.py coffee.mp4 cups.mp4 dog_park.mp4 juggle.mp4 -o real.mp4 --frames 150

H.264 at 30000/1001 frames a second and AAC. A clip with less sound, or none, is followed by the next one's.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler

RATE, SOUND_RATE = Fraction(30000, 1001), 48000


def main() -> None:
    parser = argparse.ArgumentParser(description="The start of several clips as one.")
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=150, help="of each clip")
    arguments = parser.parse_args()
    seconds = arguments.frames / RATE
    count = heard = 0
    with av.open(str(arguments.out), "w") as out:
        options = {"preset": "medium", "crf": "20"}
        video: Any = out.add_stream("libx264", rate=RATE, options=options)
        sound: Any = out.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for path in arguments.clips:
            with av.open(str(path)) as clip:
                if not count:
                    video.width, video.height = clip.streams.video[0].width, clip.streams.video[0].height
                    video.pix_fmt = "yuv420p"
                for frame, _ in zip(clip.decode(video=0), range(arguments.frames), strict=False):
                    frame.pts, frame.time_base = count, 1 / RATE
                    frame.pict_type = av.video.frame.PictureType.NONE
                    out.mux(video.encode(frame))
                    count += 1
            with av.open(str(path)) as clip:
                resampler = AudioResampler("s16", "stereo", SOUND_RATE)
                for frame in clip.decode(audio=0) if clip.streams.audio else ():
                    if frame.time >= seconds:
                        break
                    for part in resampler.resample(frame):
                        part.pts, part.time_base = heard, Fraction(1, SOUND_RATE)
                        heard += part.samples
                        out.mux(sound.encode(part))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    print(f"{arguments.out}: {count} frames, {heard / SOUND_RATE:.1f} s of sound")


if __name__ == "__main__":
    main()
