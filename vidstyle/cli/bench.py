"""`vidstyle bench`: speed of a style on this machine, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.analysis.plots import check_matplotlib
from vidstyle.cli.shared import Command, print_json, stopped
from vidstyle.cli.shared_options import (
    PATH,
    default_of,
    device_option,
    field_option,
    json_option,
    overwrite_option,
    style_option,
)
from vidstyle.files import check_free
from vidstyle.options import BenchOptions
from vidstyle.pipeline.process_settings import keep_freed_memory

if TYPE_CHECKING:
    from vidstyle.analysis.bench import BenchReport, ClipMeasurement


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    found = []
    for part in text.split(","):
        width, cross, height = part.strip().partition("x")
        if not cross or not width.isdecimal() or not height.isdecimal():
            raise click.UsageError(f"--size must be like 1280x720,1920x1080, not {text!r}.")
        found.append((int(width), int(height)))
    return tuple(found)


def _written(sizes: tuple[tuple[int, int], ...]) -> str:
    return ",".join(f"{width}x{height}" for width, height in sizes)


@click.command(
    cls=Command,
    epilog="""vidstyle bench
    vidstyle bench --size 1280x720,1920x1080,3840x2160 --device cuda --plot stages.png
    vidstyle bench in.mp4 --style sketch --price-per-hour 2.50""",
)
@click.argument("clip", type=PATH, required=False)
@style_option("A style.", default="vlogger", show_default=True)
@click.option(
    "--size",
    metavar="LIST",
    help=f"Sizes of the generated clips.  [default: {_written(default_of(BenchOptions, 'sizes'))}]",
)
@field_option(BenchOptions, "frames", "Length of each clip.", type=int, metavar="N")
@device_option(BenchOptions)
@click.option("--price-per-hour", type=float, metavar="N", help="Price of this machine, in any currency.")
@click.option("--plot", "plot_file", type=PATH, metavar="FILE", help="Draw the stages as bars into a PNG.")
@overwrite_option("Replace a plot that exists.")
@json_option("Print the JSON document only.")
def bench(
    clip: Path | None,
    wanted: str,
    size: str | None,
    plot_file: Path | None,
    overwrite: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """Measure a style on generated clips, or on the start of CLIP.

    Each stage is measured alone, then all together, as apply runs them. Prints a table, then one JSON
    document on the last line.
    """
    if clip is not None and size is not None:
        raise click.UsageError("--size: it applies only to generated clips. Omit --size or CLIP.")
    try:
        if size is not None:
            values["sizes"] = _sizes(size)
        options = BenchOptions(**values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if plot_file is not None:
        check_free(plot_file, overwrite)
        check_matplotlib(plot_file)

    keep_freed_memory()
    from vidstyle.analysis.bench import bench as measure
    from vidstyle.styles.load import load_style

    try:
        report = measure(load_style(wanted), options, clip, lambda words: click.echo(words, err=True))
    except KeyboardInterrupt as stop:
        raise stopped(stop, "Nothing was written.") from None
    document = report.to_dict()
    if plot_file is not None:
        _plot(plot_file, report)
    if not as_json:
        for measured, found in zip(report.clips, document["clips"], strict=True):
            _print(measured, found)
    if document["machine"]["load"] and document["machine"]["load"] > 1.5 * document["machine"]["cores"]:
        click.echo("Note: other programs use this machine, so the figures are too low.", err=True)
    print_json(document)


def _print(clip: ClipMeasurement, found: dict[str, Any]) -> None:
    click.echo(
        f"{clip.width}x{clip.height}, {clip.frames} frames in batches of {clip.batch_size}: {clip.source}"
    )
    click.echo(f"  {'stage alone':12} {'ms/frame':>9} {'median':>9} {'p95':>9} {'CPU ms':>9} {'frames/s':>9}")
    for stage in clip.stages:
        if not stage.wall:
            continue
        line = f"  {stage.name:12} {stage.wall:9.2f} {stage.median:9.2f} {stage.p95:9.2f} {stage.cpu:9.2f}"
        click.echo(f"{line} {1000 / stage.wall:9.1f}" + ("" if stage.used else "  (not used by apply)"))
    whole, cpu = 1000 / clip.fps, clip.cpu_seconds_a_frame * 1000
    click.echo(f"  {'all together':12} {whole:9.2f} {'':9} {'':9} {cpu:9.2f} {clip.fps:9.1f}")
    click.echo(
        f"  the stages one after the other take {clip.sum_of_stages:.1f} ms, "
        f"{clip.sum_of_stages / whole:.2f} times as long; CPU cores {clip.busy:.0%} busy; "
        f"first frame after {clip.first_frame_seconds:.2f} s"
    )
    click.echo(
        f"  limited by {_limit(clip)}: at most {clip.ceiling_fps:.1f} frames/s, "
        f"{found['distance']['ceiling']:.0%} of that is reached"
    )
    shares = [f"{share:.1%} of the {name}" for name, share in found["distance"].items() if name != "ceiling"]
    click.echo(f"  alone, the generator and transfers reach {', '.join(shares)}")
    peaks = [("host", clip.peak_host_bytes), ("device", clip.peak_device_bytes)]
    memory = ", ".join(f"{name} {peak / 1e9:.2f} GB" for name, peak in peaks if peak is not None)
    click.echo(f"  highest memory use: {memory}")
    _print_cost(found["cost"])


def _print_cost(cost: dict[str, float | None]) -> None:
    """Figures for the cost of a farm."""
    per_gpu = cost["fps_per_gpu"]
    line = f"  {cost['fps_per_core']:.1f} frames/s per CPU core"
    line += "" if per_gpu is None else f", {per_gpu:.1f} frames/s per GPU"
    line += f"; an hour of 1080p30 takes {cost['machine_hours']:.2f} h, {cost['core_hours']:.2f} core hours"
    line += "" if per_gpu is None else f", {cost['gpu_hours']:.2f} GPU hours"
    click.echo(line + ("" if cost["price"] is None else f", price {cost['price']:.2f}"))


def _plot(path: Path, report: BenchReport) -> None:
    from vidstyle.analysis.plots import plot_bars

    groups = {}
    for clip in report.clips:
        bars = [(stage.name, stage.wall) for stage in clip.stages if stage.used and stage.wall]
        size = f"{clip.width}x{clip.height}"
        name = f"{size}: {clip.fps:.1f} frames/s, limited by {_limit(clip)}"
        groups[name] = [*bars, ("all together", 1000 / clip.fps)]
    title = f"Style {report.style} on {report.device}: time of each stage alone, and of apply"
    plot_bars(path, title, groups, x_label="milliseconds per frame", highlighted=("all together",))


def _limit(clip: ClipMeasurement) -> str:
    return "the CPU cores" if clip.bound == "cores" else clip.bound
