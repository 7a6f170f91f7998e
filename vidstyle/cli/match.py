"""`apply --match` and `--match-to`: the first pass over all inputs, and its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidstyle.cli.progress import Screen, State
from vidstyle.cli.shared import stopped
from vidstyle.options import ApplyOptions

if TYPE_CHECKING:
    from vidstyle.analysis.match_clips import ClipMatches
    from vidstyle.styles.style import Style


def check_match(inputs: int, options: ApplyOptions, reference: Path | None) -> None:
    """UsageError if --match or --match-to does not fit the other arguments."""
    if inputs < 2 and reference is None:
        raise click.UsageError(
            "--match: it brings several inputs together, but there is only one. "
            "Name the others too, or leave it out."
        )
    if options.input_space is not None:
        raise click.UsageError("--match: it works on clips as they are shown. Leave out --input-space.")
    if options.hdr == "keep":
        raise click.UsageError(
            "--match: it works only on SDR. Use --hdr tonemap instead of keep, or leave it out."
        )


def find_matches(
    sources: Sequence[Path],
    style: Style,
    options: ApplyOptions,
    screen: Screen,
    quiet: bool,
    on_begin: Callable[[Path], None],
    reference: Path | None = None,
) -> ClipMatches:
    """Measure all sources; print what was found unless quiet.

    on_begin: called with each before its turn. reference: what they are brought to.
    """
    from vidstyle.analysis.match_clips import match_clips
    from vidstyle.train.personal.likeness import Likeness

    begun: list[Path] = []

    def on_seen(source: Path, frames: int, total: int) -> None:
        if begun[-1:] != [source]:
            screen.stop()
            begun.append(source)
            on_begin(source)
            screen.start(source.name)
        screen.update(State(frames, total, note="measuring"))

    try:
        compare = Likeness() if reference is None else None
        matched = match_clips(sources, style, options, on_seen, compare=compare, reference=reference)
    except KeyboardInterrupt as stop:
        screen.stop()
        raise stopped(stop, "No clip was begun yet; the same command starts again.") from None
    finally:
        screen.stop()
    if len(matched.matches) == 1 and reference is None:
        click.echo("Warning: only one input can be used, so there is nothing to match it with.", err=True)
    elif not quiet:
        for line in _words(matched, reference):
            click.echo(line)
    return matched


def _words(matched: ClipMatches, reference: Path | None) -> list[str]:
    if not matched.matches:
        return []
    before, after = matched.spreads
    to = "" if reference is None else f" to {reference}"
    apart = f" in {matched.groups} groups that show different things" if matched.groups > 1 else ""
    return [
        f"Matching {len(matched.matches)} inputs{to}{apart}; standard deviations between them (CIELAB): "
        f"lightness {before.lightness:.1f} -> {after.lightness:.1f}, "
        f"white balance {before.balance:.1f} -> {after.balance:.1f}, "
        f"colorfulness {before.chroma:.1f} -> {after.chroma:.1f}",
        *(f"  {source}: {match}" for source, match in matched.matches.items()),
    ]
