"""A table of colors of another program as a style: the table itself, not an approximation of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from vidstyle.imaging.lut_file import LutFile, read_lut_file
from vidstyle.models.table import TableGenerator, table_generator
from vidstyle.styles.bundle import card_path
from vidstyle.styles.header import StyleFacts, lut_facts
from vidstyle.styles.spec import is_lut
from vidstyle.styles.style_file import save_style

CARD = """# {name}

{summary}

A table of colors, imported from `{file}` and held exactly: {nodes} nodes a side{curves}, from {low}
to {high}, looked up tetrahedrally. It changes color only: no light, no drawing.
{warning}
{comments}"""
LOG_WARNING = (
    "it seems to be made for camera log, by what it does with black and middle gray; on footage that is "
    "shown as it is it gives far too much contrast"
)


def read_lut_network(path: Path) -> tuple[TableGenerator, dict[str, Tensor], StyleFacts]:
    """As `read_network`, of a `.cube` or a HaldCLUT picture. StyleError."""
    file = read_lut_file(path)
    facts = lut_facts(path)
    if file.title and file.title != path.stem:
        facts = replace(facts, summary=f"{file.title} ({facts.summary.rstrip('.')}).")
    if file.seems_made_for_log:
        facts = replace(facts, training=facts.training | {"made_for": "log"})
    generator = table_generator(file.colors, file.domain, file.curves)
    return generator, {path.stem: torch.zeros(1, 1)}, facts


@contextmanager
def as_style_file(path: Path) -> Iterator[Path]:
    """The style file to copy: `path` itself, or for a table of colors one that is made of it. StyleError."""
    if not is_lut(path):
        yield path
        return
    generator, codes, facts = read_lut_network(path)
    with TemporaryDirectory() as folder:
        made = save_style(Path(folder) / f"{path.stem}.safetensors", generator, codes, facts)
        card_path(made).write_text(_card(path, read_lut_file(path), facts), encoding="utf-8")
        yield made


def log_warning(facts: StyleFacts) -> str | None:
    """What to say of a style whose table seems to be made for camera log; None for all others."""
    return LOG_WARNING if facts.training.get("made_for") == "log" else None


def _card(path: Path, file: LutFile, facts: StyleFacts) -> str:
    low, high = (" ".join(f"{number:g}" for number in end.tolist()) for end in file.domain)
    warning = log_warning(facts)
    return CARD.format(
        name=facts.name,
        summary=facts.summary,
        file=path.name,
        nodes=file.nodes,
        curves=f" behind curves of {file.curves.shape[1]} nodes" if file.curves is not None else "",
        low=low,
        high=high,
        warning=f"\nCareful: {warning}. Convert log first.\n" if warning else "",
        comments="\n## Comments in the file\n\n" + "\n".join(f"    {c}" for c in file.comments) + "\n"
        if file.comments
        else "",
    )
