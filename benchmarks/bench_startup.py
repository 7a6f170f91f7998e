"""How long `vidstyle --help` takes, and that it loads nothing heavy.

python benchmarks/bench_startup.py
"""

from __future__ import annotations

import sys

from common import report, run, table, vidstyle

HEAVY = ("torch", "numpy", "av", "cv2", "tqdm", "safetensors")


def main() -> None:
    seconds = [run(vidstyle("--help")).seconds for _ in range(7)]
    bare = [run([sys.executable, "-c", "pass"]).seconds for _ in range(7)]
    traced = run([sys.executable, "-X", "importtime", "-m", "vidstyle", "--help"]).output
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in traced.splitlines()}
    heavy = sorted(loaded & set(HEAVY))
    rows = [["vidstyle --help", f"{min(seconds):.3f}"], ["python -c pass", f"{min(bare):.3f}"]]
    table(["command", "seconds"], rows)
    print(f"heavy libraries loaded: {', '.join(heavy) or 'none'}")
    report("startup", seconds=min(seconds), python_seconds=min(bare), heavy=heavy)


if __name__ == "__main__":
    main()
