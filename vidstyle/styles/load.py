"""load_style and read_style: a style by name, by path, one look of a file, or a blend."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vidstyle.errors import StyleError
from vidstyle.styles.blend import Blend
from vidstyle.styles.device import choose_device
from vidstyle.styles.library import result_name, style_path
from vidstyle.styles.lut_style import read_lut_network
from vidstyle.styles.network_style import NetworkStyle
from vidstyle.styles.spec import is_lut, parse_style
from vidstyle.styles.style import Style
from vidstyle.styles.style_file import StyleFacts, hash_file, hash_text, read_network


def load_style(name_or_path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Style:
    """A style by name (see `list_styles`), by the path of its file, or a blend: `vlogger:0.6,cinema:0.4`.

    FILE#LOOK or NAME#LOOK is one of several looks of a file; without #LOOK it is the first one. Weights are
    normalized to a sum of 1; without one it is 1, and 0 leaves a style out. Looks of one file are mixed by
    their codes, styles of different files by their results; both change continuously with the weights.
    device: auto, cpu, cuda, cuda:1, mps or xpu. Raises StyleError for unknown or damaged styles and for
    invalid weights, and DeviceError.

    >>> import vidstyle
    >>> look = vidstyle.load_style("vlogger:0.7,cinema:0.3")
    >>> look.name, look.family
    ('vlogger+cinema', 'photographic')
    """
    style = _load(name_or_path)
    place = choose_device(str(device))
    return style if place == style.device else style.to(place)


def _load(name_or_path: str | os.PathLike[str]) -> Style:
    wanted = os.fspath(name_or_path)
    parts = parse_style(wanted)
    files: dict[Path, dict[str, float]] = {}
    for part in parts:
        if part.share:
            looks = files.setdefault(style_path(part.style), {})
            looks[part.look] = looks.get(part.look, 0.0) + part.share
    styles = [(read_style(path, looks), sum(looks.values())) for path, looks in files.items()]
    if len(styles) == 1:
        style = styles[0][0]
        if len(parts) > 1 or parts[0].look:
            style.facts = replace(style.facts, name=result_name(wanted))
        return style
    return Blend(styles, _blended_facts(result_name(wanted), styles))


def _blended_facts(name: str, parts: Sequence[tuple[NetworkStyle, float]]) -> StyleFacts:
    facts = [(style.facts, share) for style, share in parts]

    def told(words: list[str]) -> str:
        return " / ".join(dict.fromkeys(word for word in words if word))

    return StyleFacts(
        name=name,
        family=max((f.family for f, _ in facts), key=lambda family: family != "photographic"),
        summary=", ".join(f"{share:.0%} {f.name}" for f, share in facts),
        licence=told([f.licence for f, _ in facts]),
        provenance=told([f.provenance for f, _ in facts]),
        recommended_strength=sum(f.recommended_strength * share for f, share in facts),
        recommended_smooth=sum(f.recommended_smooth * share for f, share in facts),
        looks=tuple(look for f, _ in facts for look in f.looks),
    )


def read_style(path: Path, looks: Mapping[str, float] | None = None) -> NetworkStyle:
    """The style in a file. looks: weights of its looks, by default 1 for the first one, whose name may be "".

    Looks of one file are mixed by their codes, so the network paints one look that lies between them.
    Raises StyleError when the file is missing, damaged or malicious, or has no such look.
    """
    generator, codes, facts = read_lut_network(path) if is_lut(path) else read_network(path)
    shares = _shares(path, facts, looks or {"": 1.0})
    code = torch.stack([codes[look] * share for look, share in shares]).sum(0)
    content_hash = hash_file(path)
    if shares != [(facts.looks[0], 1.0)]:
        content_hash = hash_text(content_hash, *(f"{look}:{share!r}" for look, share in shares))
    return NetworkStyle(generator, code, facts, content_hash)


def _shares(path: Path, facts: StyleFacts, looks: Mapping[str, float]) -> list[tuple[str, float]]:
    """(look, share) in the file's order, shares summing to 1."""
    total = sum(looks.values())
    shares: dict[str, float] = {}
    for look, share in looks.items():
        name = look or facts.looks[0]
        if name not in facts.looks:
            raise StyleError(f"{path}: it has no look {look}. Choose one of: {', '.join(facts.looks)}.")
        shares[name] = shares.get(name, 0.0) + share / total
    return [(look, shares[look]) for look in facts.looks if shares.get(look)]
