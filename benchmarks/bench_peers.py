"""The generators of vidstyle beside two published ones on the same frame, one after the other, in turns.

    python benchmarks/bench_peers.py [--size 1280 720] [--threads 2 | --threads 1 --cpu-time]

The peers are re-built from their layer tables (peer_networks.py) with random weights: only speed counts.
All run in float32, without compiler or quantization. For whole programs see bench_apply.py --peer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from common import report, style_file, table
from peer_networks import PEERS
from torch.utils.flop_counter import FlopCounterMode

from vidstyle.styles.load import load_style


def macs(work: Callable[[], object]) -> float:
    """Multiply-accumulates of convolutions and products of matrices, in thousand millions."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 2e9


def in_turns(
    works: dict[str, Callable[[], object]], turns: int, clock: Callable[[], float]
) -> dict[str, float]:
    """The shortest run of each; what disturbs the machine for a while disturbs them all."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(turns):
        for name, work in works.items():
            began = clock()
            work()
            best[name] = min(best[name], clock() - began)
    return best


@torch.inference_mode()
def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Time of generators side by side.")
    parser.add_argument("--size", type=int, nargs=2, default=[1280, 720], metavar=("W", "H"))
    parser.add_argument("--styles", nargs="+", default=["vlogger", "sketch"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine; use one thread")
    arguments = parser.parse_args(given)
    torch.set_num_threads(arguments.threads)
    width, height = arguments.size
    device = torch.device(arguments.device)
    rgb = torch.rand(1, 3, height, width, device=device)
    works: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.styles:
            style = load_style(style_file(name, Path(folder))).to(device)
            works[name] = lambda style=style: style(rgb)
    for name, build in PEERS.items():
        network = build().to(device).eval()
        works[name] = lambda network=network: network(rgb)
    if device.type == "cuda":
        works = {name: lambda work=work: (work(), torch.cuda.synchronize()) for name, work in works.items()}
    counted = {name: macs(work) for name, work in works.items()}  # and warm
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    seconds = in_turns(works, arguments.turns, clock)
    ratios = {name: {peer: seconds[peer] / seconds[name] for peer in PEERS} for name in arguments.styles}
    rows = []
    for name in works:
        beside = [f"{seconds[peer] / seconds[name]:.1f}" for peer in PEERS]
        rows.append([name, f"{seconds[name] * 1000:.0f}", f"{counted[name]:.2f}", *beside])
    table(["generator", "ms", "GMAC", *(f"{peer} / it" for peer in PEERS)], rows)
    report(
        "peers",
        width=width,
        height=height,
        threads=arguments.threads,
        clock="cpu" if arguments.cpu_time else "wall",
        seconds=seconds,
        gmacs=counted,
        ratios=ratios,
    )


if __name__ == "__main__":
    main()
