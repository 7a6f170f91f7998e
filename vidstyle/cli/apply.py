"""`vidstyle apply`: a style on clips and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.match import check_match, find_matches
from vidstyle.cli.outputs import CONTAINERS, pairs_of
from vidstyle.cli.progress import Screen, State, open_screen
from vidstyle.cli.shared import (
    PATH,
    Command,
    complain,
    complete_style,
    default_of,
    json_option,
    loading,
    progress_option,
    stopped,
)
from vidstyle.cli.stdio import PIPE, check_pipes, piped, pour
from vidstyle.errors import OutputError, StyleError, VidstyleError
from vidstyle.humanize import in_words, size_in_words
from vidstyle.media.image_sequence import parse_rate
from vidstyle.media.inputs import is_still
from vidstyle.options import CODECS, HDR_WAYS, QUALITIES, ApplyOptions, Tone
from vidstyle.styles.spec import parse_style, style_name

if TYPE_CHECKING:
    from vidstyle.analysis.match_clips import ClipMatches
    from vidstyle.pipeline.apply import Engine, Progress
    from vidstyle.styles.style import Style


_AT_LEAST_1 = click.IntRange(1)


def _default(name: str) -> Any:
    return default_of(ApplyOptions, name)


def _dial(name: str, words: str) -> Callable[..., Any]:
    """An option from 0 to 1, which ApplyOptions checks."""
    words = f"{words}  [default: {_default(name):g}]"
    return click.option(f"--{name}", type=float, metavar="0..1", default=_default(name), help=words)


def _short(names: Iterable[str]) -> str:
    """`prores[4444]` for prores and prores4444: one line has to hold all of them."""
    kept: list[str] = []
    for name in names:
        if kept and name.startswith(kept[-1]):
            kept[-1] += f"[{name.removeprefix(kept[-1])}]"
        else:
            kept.append(name)
    return ", ".join(kept)


@click.command(
    cls=Command,
    epilog="""vidstyle apply in.mp4 --style vlogger
    vidstyle apply in.mp4 --style vlogger:0.6,cinema:0.4 --variation 7
    vidstyle apply holiday/ "more/*.mov" --style vlogger --output-dir out""",
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-s",
    "--style",
    "wanted",
    metavar="NAME",
    required=True,
    shell_complete=complete_style,
    help="A style, its file, FILE#LOOK, or a blend of them.",
)
@click.option("-o", "--output", metavar="FILE", type=PATH, help="The result of a single input.")
@click.option(
    "-d", "--output-dir", metavar="DIR", type=PATH, help="Folder for the results, under the same names."
)
@_dial("strength", "How far to go from the source to the full look.")
@_dial("grade", "Share of the look's color.")
@_dial("light", "Share of its light: local brightness, glow.")
@_dial("texture", "Share of what drawn looks draw.")
@click.option(
    "--variation",
    type=int,
    metavar="SEED",
    default=_default("variation"),
    help="Another take of the look, the same over all of a clip.",
)
@_dial("sharpen", "Sharpen the result, without halos.")
@_dial("deblur", "Take back a little blur.")
@click.option(
    "--tone",
    metavar="TEXT",
    default=str(_default("tone")),
    help="exposure=0.3,contrast=1.1,warmth=0.2,saturation=1.1",
)
@click.option(
    "--codec",
    type=click.Choice(list(CODECS)),
    metavar="NAME",
    default=_default("codec"),
    help=f"{_short(CODECS)}.  [default: {_default('codec')}]",
)
@click.option(
    "--crf",
    type=int,
    metavar="N",
    default=_default("crf"),
    help="Quality of clips, lower is better.  [default: by codec]",
)
@click.option(
    "--quality",
    type=click.Choice(list(QUALITIES)),
    metavar="NAME",
    default=_default("quality"),
    help=f"Instead of a number: {', '.join(QUALITIES)}.  [default: {_default('quality')}]",
)
@click.option(
    "--encoder",
    metavar="NAME",
    default=_default("encoder"),
    help="Encode in hardware: h264_nvenc, hevc_qsv, ...  [default: no]",
)
@click.option(
    "--hwaccel",
    metavar="NAME",
    default=_default("hwaccel"),
    help="Decode in hardware: cuda (NVDEC), qsv, ...  [default: no]",
)
@click.option(
    "--encoder-option",
    "encoder_options",
    metavar="K=V",
    multiple=True,
    help="One of the encoder's own, such as tune=film; may be repeated.",
)
@click.option(
    "--container",
    type=click.Choice(CONTAINERS),
    metavar="NAME",
    help=f"{', '.join(CONTAINERS)}.  [default: as the input]",
)
@click.option("--fps", metavar="RATE", help="Take a folder or pattern of pictures as a clip of this rate.")
@click.option(
    "--start-number",
    type=int,
    metavar="N",
    default=_default("start_number"),
    help="First number of png and exr results.  [default: input's or 1]",
)
@click.option(
    "--smooth",
    metavar="HOW",
    default=_default("smooth"),
    show_default=True,
    help="Average along the motion: auto, off or 0..1.",
)
@click.option("--match", is_flag=True, help="First bring the light and color of several inputs together.")
@click.option("--deinterlace", is_flag=True, default=_default("deinterlace"), help="Deinterlace the source.")
@click.option(
    "--hdr",
    type=click.Choice(HDR_WAYS),
    metavar="HOW",
    default=_default("hdr"),
    show_default=True,
    help="Of HDR: refuse, tonemap, or keep with half of the look.",
)
@click.option("--overwrite", is_flag=True, default=_default("overwrite"), help="Replace results that exist.")
@click.option(
    "--device",
    metavar="NAME",
    default=_default("device"),
    show_default=True,
    help="auto, cpu, cuda or cuda:1.",
)
@click.option("--devices", metavar="LIST", help="Several: cuda:0,cuda:1 or all.  [default: all GPUs]")
@click.option("--workers", type=_AT_LEAST_1, metavar="N", help="Processes for the work.  [default: 1]")
@click.option("--ray", "cluster", metavar="ADDRESS", help="Use a Ray cluster: auto, or its address.")
@click.option("--batch-size", metavar="N", default="auto", show_default=True, help="Frames in one step.")
@progress_option()
@click.option("--dry-run", is_flag=True, help="Print what would be done and do nothing.")
@json_option()
def apply(
    inputs: tuple[str, ...],
    wanted: str,
    output: Path | None,
    output_dir: Path | None,
    container: str | None,
    devices: str | None,
    workers: int | None,
    cluster: str | None,
    batch_size: str,
    match: bool,
    progress: str | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Restyle clips and pictures: files, folders or quoted patterns.

    All but the look stays. in.mp4 gives in.<style>.mp4 beside it; -o and -d name others.
    """
    options = apply_options(batch_size, values)
    check_pipes(inputs, output, container, as_json or progress in ("openjd", "farm"))
    pairs = pairs_of(inputs, _style_name(wanted), output, output_dir, container, options)
    if match:
        check_match(len(pairs), options)

    with loading():
        import vidstyle.pipeline.apply  # noqa: F401 - needed soon, and then it is there
        from vidstyle.styles.load import load_style

    options, engine = _engine(options, devices, workers, cluster)
    with piped(pairs, container, options) as (files, made):
        style = load_style(wanted).with_options(made)
        makes_folder = output_dir is not None
        if output_dir is not None and not dry_run:
            _make_folder(output_dir)
        screen = open_screen(progress, len(pairs) * (2 if match else 1))
        matched = None
        if match:
            matched = find_matches([source for source, _ in files], style, made, screen, as_json)

        def ready(source: Path) -> Style:
            return style if matched is None else matched.style_for(source, style)

        def look(source: Path, target: Path) -> dict[str, Any]:
            return _plan(source, ready(source), target, made, makes_folder)

        def restyle(source: Path, target: Path) -> dict[str, Any]:
            return _restyle(source, ready(source), target, made, screen, engine)

        if dry_run:
            return _each(files, look, _print_plan, as_json, matched)
        if output != PIPE:
            return _each(files, restyle, _print_report, as_json, matched, screen)
        code = _each(files, restyle, lambda report: _print_report(report, err=True), as_json, None, screen)
        if code == 0:
            pour(files[0][1], files[0][0], container)
        return code


def _engine(
    options: ApplyOptions, devices: str | None, workers: int | None, cluster: str | None
) -> tuple[ApplyOptions, Engine | None]:
    """Who makes the segments, None for this process, and the options with one of the devices."""
    if cluster is not None:
        if devices or workers:
            raise click.UsageError("--ray chooses workers and devices itself: leave the others out.")
        from vidstyle.pipeline.farm.ray_cluster import Cluster

        return replace(options, device="cpu"), Cluster(cluster, options.device)
    from vidstyle.pipeline.farm.pool import Pool, choose_devices

    names = choose_devices(devices or options.device, workers)
    return replace(options, device=names[0]), Pool(names) if len(names) > 1 else None


def apply_options(batch_size: str, values: dict[str, Any]) -> ApplyOptions:
    if batch_size != "auto" and not batch_size.isdecimal():
        raise click.UsageError(f"--batch-size must be a number or auto, not {batch_size!r}.")
    with suppress(ValueError):  # a word; ApplyOptions knows which
        values["smooth"] = float(values["smooth"])
    try:
        values["fps"] = None if values["fps"] is None else parse_rate(values["fps"])
        values["encoder_options"] = _encoder_options(values["encoder_options"])
        values["tone"] = Tone.from_text(values["tone"])
        return ApplyOptions(batch_size=None if batch_size == "auto" else int(batch_size), **values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _encoder_options(texts: Iterable[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ValueError(f"encoder-option must be written as NAME=VALUE, not {text!r}")
        found[name] = value
    return found


def _style_name(wanted: str) -> str:
    """What results are called by; wrong weights are wrong usage."""
    try:
        return style_name(parse_style(wanted))
    except StyleError as error:
        raise click.UsageError(str(error)) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}). Choose another folder.") from error


def _each(
    pairs: list[tuple[Path, Path]],
    work: Callable[[Path, Path], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
    as_json: bool,
    matched: ClipMatches | None = None,
    screen: Screen | None = None,
) -> int:
    """Work through the inputs; one that fails is reported and the others go on. The first failure's code."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for source, target in pairs:
        try:
            report = work(source, target)
        except VidstyleError as error:
            if screen is not None:
                screen.fail(str(error))
            complain(str(error))
            failed.append({"source": str(source), "exit_code": error.exit_code, "error": str(error)})
            continue
        if matched is not None:
            report["match"] = matched.matches[source].to_dict()
        done.append(report)
        for warning in report["warnings"]:
            click.echo(f"Warning: {source}: {warning}", err=True)
        if not as_json:
            show(report)
    if as_json:
        document = {"results": done, "failures": failed}
        group = {} if matched is None else {"match": matched.to_dict()}
        click.echo(json.dumps(document | group, default=str))
    return failed[0]["exit_code"] if failed else 0


def _restyle(
    source: Path,
    style: Style,
    target: Path,
    options: ApplyOptions,
    screen: Screen,
    engine: Engine | None,
) -> dict[str, Any]:
    screen.start(source.name)
    try:
        if is_still(source):
            from vidstyle.pipeline.still import restyle_still

            return restyle_still(source, style, target, options).to_dict()
        from vidstyle.pipeline.apply import apply as apply_to_clip

        def show(progress: Progress) -> None:
            note = "joining" if progress.stage == "join" else ""
            screen.update(State(progress.frames, progress.total, progress.resumed, note=note))

        return apply_to_clip(source, style, target, options, show, engine).to_dict() | {"kind": "clip"}
    except KeyboardInterrupt as stop:
        screen.stop()
        kept = _kept(target, options)
        if screen.inputs > 1:
            kept += (
                f" {screen.number - 1} of {screen.inputs} inputs were done before; it will leave those alone."
            )
        raise stopped(stop, kept) from None
    finally:
        screen.stop()


def _kept(target: Path, options: ApplyOptions) -> str:
    """What a stopped run leaves behind and how to go on."""
    from vidstyle.media.segments import WorkFolder

    folder = WorkFolder(target, "", options).root
    if folder.is_dir():
        return f"Finished segments are kept in {folder}; the same command goes on from there."
    return f"Nothing of {target} was kept; the same command starts again."


def _plan(
    source: Path, style: Style, target: Path, options: ApplyOptions, makes_folder: bool
) -> dict[str, Any]:
    if is_still(source):
        return {"source": str(source), "target": str(target), "kind": "still", "warnings": ()}
    from vidstyle.pipeline.plan import plan

    if target.parent.exists() or not makes_folder:
        return plan(source, style, target, options).to_dict() | {"kind": "clip"}
    with TemporaryDirectory() as stand_in:  # the run would make the folder; a plan makes nothing
        made = plan(source, style, Path(stand_in) / target.name, options)
    return made.to_dict() | {"kind": "clip", "target": str(target)}


def _print_plan(plan: dict[str, Any]) -> None:
    line = f"{plan['source']} -> {plan['target']}"
    if plan["kind"] == "clip":
        info = plan["info"]
        line += f": {info['width']}x{info['height']}, about {plan['frames_announced']} frames in"
        line += (
            f" {plan['segments_announced']} segments, batches of {plan['batch_size']}, {plan['pixel_format']}"
        )
    click.echo(line)


def _print_report(report: dict[str, Any], err: bool = False) -> None:
    line = f"{report['target']}: "
    if report["kind"] == "still":
        line += f"{report['width']}x{report['height']} in {in_words(report['seconds'])}"
    else:
        line += f"{report['frames']} frames in {in_words(report['seconds'])}, {report['fps']:.1f} frames/s"
        if report["segments_resumed"]:
            line += (
                f", {report['segments_resumed']} of {report['segments_total']} segments from an earlier run"
            )
        kept = [f"{count} {kind}" for kind, count in report["streams_copied"].items() if count]
        line += f", kept: {', '.join(kept)}" if kept else ""
    with suppress(OSError):  # numbered pictures are many files, and a pipe is none
        line += f", {size_in_words(Path(report['target']).stat().st_size)}"
    click.echo(line, err=err)
