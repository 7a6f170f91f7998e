"""`vidstyle apply` after its arguments are read: all that it takes to make the results, in one object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidstyle.cli.apply_run import each, grab, plan, print_plan, print_report, restyle
from vidstyle.cli.journal import Journal
from vidstyle.cli.match import find_matches
from vidstyle.cli.progress import Screen, open_screen
from vidstyle.cli.startup import loading
from vidstyle.cli.stdio import PIPE, piped, pour
from vidstyle.cli.where_in_words import where_facts
from vidstyle.errors import OutputError
from vidstyle.media.image_sequence import is_sequence
from vidstyle.options import ApplyOptions
from vidstyle.pipeline.process_settings import keep_freed_memory
from vidstyle.pipeline.references import with_references

if TYPE_CHECKING:
    from vidstyle.analysis.match_clips import ClipMatches
    from vidstyle.pipeline.engine import Engine
    from vidstyle.styles.style import Style


@dataclass(frozen=True)
class Places:
    """Where results go, as it was asked for."""

    output: Path | None
    output_dir: Path | None
    container: str | None


@dataclass(frozen=True)
class Machines:
    """What works, as it was asked for."""

    devices: str | None
    workers: int | None
    cluster: str | None

    def engine(self, options: ApplyOptions) -> tuple[ApplyOptions, Engine | None]:
        """The options with one of the devices, and the engine that renders segments; None is this process."""
        if self.cluster is not None:
            if self.devices or self.workers:
                raise click.UsageError(
                    "--ray: it chooses workers and devices itself. Leave out --devices and --workers."
                )
            from vidstyle.pipeline.farm.ray_cluster import Cluster

            return replace(options, device="cpu"), Cluster(self.cluster, options.device)
        from vidstyle.pipeline.devices import choose_devices

        names = choose_devices(self.devices or options.device, self.workers)
        if len(names) == 1:
            return replace(options, device=names[0]), None
        from vidstyle.pipeline.farm.pool import Pool

        return replace(options, device=names[0]), Pool(names)


@dataclass(frozen=True, kw_only=True)
class Job:
    """The inputs of a run, and how to restyle them. Can be pickled and sent to another process."""

    pairs: tuple[tuple[Path, Path], ...]
    """Every source with its target."""
    style_of: dict[Path, str]
    """Target -> the style as it was named."""
    wanted: tuple[str, ...]
    """All styles."""
    references: tuple[str, ...]
    """Stills in color, as typed, that give their colors to a style that makes color."""
    places: Places
    options: ApplyOptions
    machines: Machines
    match: bool
    reference: Path | None
    """What the inputs are brought to; None matches them with each other."""
    progress: str | None
    as_json: bool
    dry_run: bool
    skipped: tuple[Path, ...]
    """Targets that exist and are left alone."""
    at: str | None = None
    """The place in the clip of which one frame is written; None is the whole clip."""

    def run(self, journal: Journal) -> int:
        """Restyle every source into its target, or print what would be done. Returns the exit code.

        journal: what became of the inputs; those that have ended are left alone.
        """
        keep_freed_memory()
        with loading():
            import vidstyle.pipeline.apply  # noqa: F401 - needed soon, and then it is there

        options, engine = self.machines.engine(self.options)
        pairs = [pair for pair in self.pairs if str(pair[1]) not in journal.ended]
        if not journal.ended:
            for target in self.skipped:
                click.echo(f"{target}: skipped, it exists", err=self.as_json)
        return self._work(pairs, options, engine, journal)

    def _work(
        self, pairs: list[tuple[Path, Path]], options: ApplyOptions, engine: Engine | None, journal: Journal
    ) -> int:
        from vidstyle.styles.load import load_style

        with piped(pairs, self.places.container, options) as (files, made):
            loaded = {name: load_style(name).with_options(made) for name in self.wanted}
            styles = {name: with_references(style, self.references) for name, style in loaded.items()}
            output, output_dir = self.places.output, self.places.output_dir
            home = output_dir or (output.parent if output not in (None, PIPE) else None)
            screen = open_screen(
                self.progress, len(self.pairs) * (2 if self.match else 1) + (self.reference is not None)
            )
            screen.number = len(journal.ended)
            matched = self._matched([source for source, _ in files], styles, made, screen, journal)

            def ready(source: Path, target: Path) -> Style:
                style = styles[self.style_of.get(target, self.wanted[0])]
                return style if matched is None else matched.style_for(source, style)

            def look(source: Path, target: Path) -> dict[str, Any]:
                if self.at is not None:
                    facts = {"source": str(source), "target": str(target), "kind": "still"}
                    return {**facts, **where_facts(made), "warnings": ()}
                return plan(source, ready(source, target), target, made, home is not None)

            def work(source: Path, target: Path) -> dict[str, Any]:
                if output_dir is not None and output_dir in target.parents and not is_sequence(target):
                    _make_folder(target.parent)  # of a folder in a folder
                style = ready(source, target)
                if self.at is not None:
                    return grab(source, style, target, made, self.at)
                return restyle(source, style, target, made, screen, engine)

            if self.dry_run:
                return each(files, look, print_plan, self.as_json, journal, matched, skipped=self.skipped)
            with _made_folder(home):
                if output != PIPE:
                    return each(
                        files, work, print_report, self.as_json, journal, matched, screen, self.skipped
                    )
                code = each(
                    files,
                    work,
                    lambda report: print_report(report, err=True),
                    self.as_json,
                    journal,
                    None,
                    screen,
                )
            if code == 0:
                pour(files[0][1], files[0][0], self.places.container)
            return code

    def _matched(
        self,
        sources: list[Path],
        styles: dict[str, Style],
        options: ApplyOptions,
        screen: Screen,
        journal: Journal,
    ) -> ClipMatches | None:
        """The corrections of all sources; None where they are not matched."""
        if not self.match:
            return None
        style = styles[self.wanted[0]]
        return find_matches(sources, style, options, screen, self.as_json, journal.begin, self.reference)


@contextmanager
def _made_folder(folder: Path | None) -> Iterator[None]:
    """Make the folder of the results, and remove it again where nothing came into it."""
    if folder is None or folder.is_dir():
        yield
        return
    _make_folder(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder cannot be made ({error.strerror}). Choose another one."
        ) from error
