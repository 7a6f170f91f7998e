"""`vidstyle evaluate`: flicker, detail, color change and distance to a style of a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.analysis.plots import check_matplotlib
from vidstyle.cli.progress import Screen, State, open_screen
from vidstyle.cli.shared import Command, print_json, stopped
from vidstyle.cli.shared_options import PATH, json_option, overwrite_option, progress_option
from vidstyle.errors import InputError
from vidstyle.files import check_free
from vidstyle.media.inputs import is_still, picture_pairs, still_pictures

if TYPE_CHECKING:
    from torch import Tensor

    from vidstyle.analysis.picture_report import FrameSample


_SERIES = {
    "warping_error": "flicker (E_warp)",
    "warping_error_far": "same, 10 frames on",
    "change": "frame difference",
}
_FIGURES = {
    "strength": ("color change", "{:.2f} (CIELAB)"),
    "content_kept": ("content kept", "{:.3f}"),
    "detail_kept": ("detail kept", "{:.0%}"),
    "contrast_kept": ("contrast kept", "{:.0%}"),
}
_TRANSFERS = {"reinhard": "Reinhard", "mkl": "MKL"}


@click.command(
    cls=Command,
    epilog="""vidstyle evaluate in.mp4 in.vlogger.mp4 --plot flicker.png
    vidstyle evaluate in.mp4 in.airy.mp4 --pictures airy_stills/ --content photos/""",
)
@click.argument("source", type=PATH)
@click.argument("result", type=PATH)
@click.option("--frames", "span", metavar="START:STOP", help="Only these frames of the clips.")
@click.option(
    "--every",
    type=click.IntRange(1),
    metavar="N",
    help="Measure every Nth frame; 1 is all of them.  [default: by size, so that it takes no longer than "
    "the clip at 10 frames/s on two cores]",
)
@click.option(
    "--plot", "plot_file", metavar="FILE", type=PATH, help="Draw E_warp over time into a PNG; cuts are red."
)
@overwrite_option("Replace a plot that exists.")
@click.option(
    "--pictures", metavar="DIR", type=PATH, help="Pictures of the style, to measure how near the result is."
)
@click.option(
    "--content",
    metavar="DIR",
    type=PATH,
    help="Pictures that the color transfers are fitted on.  [default: the source]",
)
@click.option(
    "--raft", metavar="FILE", type=PATH, help="Weights of RAFT (small), to use it for motion instead of DIS."
)
@progress_option()
@json_option()
def evaluate(
    source: Path,
    result: Path,
    span: str | None,
    every: int | None,
    plot_file: Path | None,
    overwrite: bool,
    pictures: Path | None,
    content: Path | None,
    raft: Path | None,
    progress: str | None,
    as_json: bool,
) -> None:
    """Compare a restyled clip, picture or folder of pictures with its source.

    E_warp is the error that is left after the motion of the source is undone (Lai et al., ECCV 2018): the
    flicker of both clips, and its ratio. Style strength is a distance in CIELAB; content kept is a
    correlation of structure. With --pictures, three plain color transfers show what a style must beat.
    """
    start, stop = _span(span)
    stills = source.is_dir() or is_still(source)
    if stills and (span or every or plot_file or raft):
        raise click.UsageError(
            "--frames, --every, --plot and --raft: they apply only to clips. Leave them out."
        )
    if content and not pictures:
        raise click.UsageError("--content: it applies only together with --pictures. Give both.")
    if plot_file is not None:
        check_free(plot_file, overwrite)
        check_matplotlib(plot_file)
    for folder in (pictures, content):
        if folder is not None:
            still_pictures(folder)  # before the long part
    from vidstyle.analysis.picture_report import FrameSample

    sample = FrameSample() if pictures is not None else None
    screen = open_screen(progress, unit="pictures" if stills else "frames")
    screen.start(result.name)
    try:
        if stills:
            report = _pictures(source, result, sample, screen)
        else:
            report = _clip(source, result, (start, stop), every, plot_file, raft, sample, screen)
        if sample is not None and pictures is not None:
            report["style"] = _style(sample, pictures, content)
    except KeyboardInterrupt as stop_signal:
        screen.stop()
        raise stopped(stop_signal, "Nothing was written.") from None
    finally:
        screen.stop()
    if as_json:
        print_json(report)
    else:
        _print(report)


def _span(text: str | None) -> tuple[int, int | None]:
    start, colon, stop = (text or ":").partition(":")
    if not colon or not all(part.isdecimal() or not part for part in (start, stop)):
        raise click.UsageError(f"--frames {text!r}: not a range. Write it as START:STOP, such as 0:120.")
    if stop and int(stop) < int(start or 0) + 2:
        raise click.UsageError(f"--frames must contain at least two frames, not {text!r}.")
    return int(start or 0), int(stop) if stop else None


def _clip(
    source: Path,
    result: Path,
    span: tuple[int, int | None],
    every: int | None,
    plot_file: Path | None,
    raft: Path | None,
    sample: FrameSample | None,
    screen: Screen,
) -> dict[str, Any]:
    from vidstyle.analysis.clip_report import evaluate_clip, plot_report, sample_every
    from vidstyle.media.decode import Decoder
    from vidstyle.temporal.optical_flow import raft_flow

    start, stop = span
    with Decoder(source) as decoder:
        info = decoder.info
    frames = max((info.frames_announced if stop is None else stop) - start, 0)
    every = every or sample_every(info.width, info.height, frames)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        screen.update(State(done, frames))

    found = evaluate_clip(
        source,
        result,
        flow=raft_flow(raft) if raft else None,
        start=start,
        stop=stop,
        watch=None if sample is None else sample.add,
        every=every,
        on_frame=count,
    )
    if plot_file is not None:
        plot_report(plot_file, found)
    return found.to_dict() | {"kind": "clip", "plot": None if plot_file is None else str(plot_file)}


def _pictures(source: Path, result: Path, sample: FrameSample | None, screen: Screen) -> dict[str, Any]:
    from vidstyle.analysis.picture_report import evaluate_pictures

    if result.is_dir() != source.is_dir():
        raise InputError(f"{result}: not of the same kind as {source}. Pass two files or two folders.")
    pairs = picture_pairs(source, result)
    found = evaluate_pictures(pairs, watch=_watch(sample, screen, len(pairs)))
    return found.to_dict() | {"kind": "pictures"}


def _watch(sample: FrameSample | None, screen: Screen, total: int) -> Callable[[Tensor, Tensor], None]:
    """A function that counts compared frames for the screen and adds them to the sample."""
    done = 0

    def watch(before: Tensor, after: Tensor) -> None:
        nonlocal done
        done += 1
        if sample is not None:
            sample.add(before, after)
        screen.update(State(done, total))

    return watch


def _style(sample: FrameSample, pictures: Path, content: Path | None) -> dict[str, Any]:
    from vidstyle.analysis.picture_report import evaluate_style, read_pictures

    before, after = sample.pictures()
    fitted_on = None if content is None else read_pictures(content)
    return evaluate_style(before, after, read_pictures(pictures), fitted_on).to_dict()


def _print(report: dict[str, Any]) -> None:
    if report["kind"] == "clip":
        for name, words in _SERIES.items():
            series = report[name]
            ratio = (
                "none in the source" if series["ratio"] is None else f"{series['ratio']:.2f} times the source"
            )
            means = f"source {series['source_mean']:.6f}  result {series['result_mean']:.6f}"
            click.echo(f"{words:20} {means}  {ratio}")
    for name, (words, form) in _FIGURES.items():
        click.echo(f"{words:20} {form.format(report[name])}")
    if report["kind"] == "clip":
        cuts = ", ".join(str(cut) for cut in report["cuts"])
        line = f"{'frames':20} {report['frames']}" + (f", cuts before {cuts}" if cuts else ", no cuts")
        if report["every"] > 1:
            line += f"; one of {report['every']} was measured, --every 1 measures all"
        click.echo(line)
    else:
        click.echo(f"{'pictures':20} {report['pictures']}")
    if report.get("plot"):
        click.echo(f"{'plot':20} {report['plot']}")
    if "style" in report:
        _print_style(report["style"])
    if "in_words" in report:
        click.echo(f"\n{report['in_words']}")


def _print_style(style: dict[str, Any]) -> None:
    click.echo(f"\n{'distance to style':20} {'colour':>7} {'texture':>8} {'content kept':>13}")
    for name, row in style["rows"].items():
        figures = f"{row['colour']:7.2f} {row['texture']:8.2f} {row['content']:13.3f}"
        click.echo(f"{_TRANSFERS.get(name, name):20} {figures}")
