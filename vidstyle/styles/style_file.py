"""The style file: safetensors with JSON facts, read strictly so that it cannot run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.files import written_whole
from vidstyle.models.base import BaseGenerator, config_from
from vidstyle.models.registry import build_generator

FORMAT = "vidstyle-style-1"
# A style file holds the weights of a small network. A far larger file is something else, or an attack.
MAX_FILE_BYTES = 64 << 20


def read_style_file(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a style file and its metadata, as they are stored and not checked yet. StyleError."""
    with open_style_file(path) as file:
        metadata = parse_metadata(path, file.metadata())
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 - no mapping


def write_style_file(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> Path:
    """Write a style file, whole or not at all. OutputError."""
    # One entry only: safetensors writes several in random order, and equal styles must be equal files.
    entry = {"vidstyle": json.dumps(metadata, sort_keys=True)}
    with written_whole(path) as part:
        save_file(tensors, part, metadata=entry)
    return path


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_text(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def damaged(path: Path, why: str) -> StyleError:
    return StyleError(f"{path}: the style file is damaged: {why}. Get it again, or train it again.")


def open_style_file(path: Path) -> Any:
    """The safetensors file of a style, opened, not read yet; for a with block. StyleError."""
    if not path.is_file():
        raise StyleError(f"{path}: there is no such style file. Check the path, or see vidstyle styles.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise StyleError(f"{path}: too large for a style file. Use a file made by vidstyle train.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"it is not a safetensors file ({error})") from error


def parse_metadata(path: Path, stored: Mapping[str, str] | None) -> dict[str, Any]:
    """The JSON in the metadata of a safetensors file, of the right format. StyleError."""
    if not stored or "vidstyle" not in stored:
        raise StyleError(f"{path}: not a vidstyle style file. Use a file made by vidstyle train.")
    try:
        metadata = json.loads(stored["vidstyle"])
    except ValueError as error:
        raise damaged(path, "its facts cannot be read") from error
    if not isinstance(metadata, dict):
        raise damaged(path, "its facts cannot be read")
    if metadata.get("format") != FORMAT:
        kind, made = FORMAT.rpartition("-")[0], str(metadata.get("format"))
        if made.startswith(f"{kind}-"):
            raise StyleError(
                f"{path}: it was made by another version of vidstyle (format {made[:40]!r}, while this one "
                f"reads {FORMAT!r}). Update vidstyle, or train the style again."
            )
        raise damaged(path, f"its format is not {FORMAT}")
    return metadata


FAMILIES = ("photographic", "drawn", "painted", "colour")


@dataclass(frozen=True)
class StyleFacts:
    """What a style file says about itself. All of it is data; none of it is executed."""

    name: str
    family: str
    """One of FAMILIES."""
    summary: str = ""
    """One line about the look."""
    licence: str = ""
    provenance: str = ""
    """The pictures it was learned from."""
    recommended_strength: float = 1.0
    """0 to 1; what `--strength 1` stands for."""
    recommended_smooth: float = 1.0
    """0 to 1; what `--smooth auto` stands for."""
    looks: tuple[str, ...] = ()
    """Names of the looks in the file. Each has a stored style code."""
    training: dict[str, Any] = field(default_factory=dict)
    """Options and seed of the run that made it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_facts(path: Path) -> StyleFacts:
    """Only the facts, without the weights. StyleError."""
    with open_style_file(path) as file:
        return _facts(path, parse_metadata(path, file.metadata()))


def read_network(path: Path) -> tuple[BaseGenerator, dict[str, Tensor], StyleFacts]:
    """The generator of a style file, a code [1, K] for each look, and the facts. StyleError."""
    tensors, metadata = read_style_file(path)
    facts = _facts(path, metadata)
    try:
        with torch.random.fork_rng(devices=[]):  # random weights are drawn, and then replaced
            generator = build_generator(config_from(metadata["generator"]))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"the description of its network is wrong: {error}") from error
    codes = {look: tensors.pop(f"code.{look}", None) for look in facts.looks}
    weights = {name: tensor.to(torch.float32) for name, tensor in tensors.items()}
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise damaged(path, "its weights do not fit its network") from error
    size = generator.config.code_size
    if not codes or any(code is None or tuple(code.shape) != (1, size) for code in codes.values()):
        raise damaged(path, "a style code is missing or has the wrong size")
    kept = {look: code.to(torch.float32) for look, code in codes.items() if code is not None}
    if not all(torch.isfinite(t).all() for t in (*weights.values(), *kept.values())):
        raise damaged(path, "it holds numbers that are not finite")
    return generator, kept, facts


def save_style(
    path: Path,
    generator: BaseGenerator,
    codes: Mapping[str, Tensor],
    facts: StyleFacts,
    *,
    half: bool = True,
) -> Path:
    """Write a style file, whole or not at all. OutputError.

    codes: look -> [1, K]. half: store the weights as float16.
    """
    dtype = torch.float16 if half else torch.float32
    exact = {name for name, _ in generator.named_buffers()}  # frequencies, which float16 would change
    tensors = {
        name: t.detach().cpu().to(torch.float32 if name in exact else dtype).contiguous()
        for name, t in generator.state_dict().items()
    }
    tensors |= {f"code.{look}": code.detach().cpu().to(torch.float32) for look, code in codes.items()}
    metadata = {"format": FORMAT, "generator": generator.config.to_dict(), "facts": facts.to_dict()}
    return write_style_file(path, tensors, metadata)


def _facts(path: Path, metadata: dict[str, Any]) -> StyleFacts:
    stored = metadata.get("facts")
    known = {f.name for f in fields(StyleFacts)}
    try:
        if not isinstance(stored, dict):
            raise TypeError("no facts")
        facts = StyleFacts(**{key: value for key, value in stored.items() if key in known})
        numbers = (float(facts.recommended_strength), float(facts.recommended_smooth))
        if not all(0 <= number <= 1 for number in numbers):
            raise ValueError("a recommendation is not between 0 and 1")
        if facts.family not in FAMILIES or not all(isinstance(look, str) for look in facts.looks):
            raise ValueError("the family or the looks are unknown")
    except (TypeError, ValueError) as error:
        raise damaged(path, f"its facts are wrong: {error}") from error
    return replace(facts, looks=tuple(facts.looks))
