"""The style file: safetensors with JSON facts, read strictly so that it cannot run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Mapping as MappingType
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidstyle.errors import StyleError
from vidstyle.files import written_whole
from vidstyle.models.colorizer import generator_for
from vidstyle.models.generator import Generator, config_from

FORMAT = "vidstyle-style-1"
# A style file holds weights of a small network. What is far larger is something else, or an attack.
MOST_BYTES = 64 << 20


def read_document(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What stands in a style file, as it stands there, not yet understood. StyleError."""
    with opened(path) as file:
        document = document_of(path, file.metadata())
        return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118 - no mapping


def write_document(path: Path, tensors: dict[str, Tensor], document: dict[str, Any]) -> Path:
    """Write a style file (atomically). OutputError."""
    # One entry only: safetensors writes several in no particular order, and equal styles are equal files.
    metadata = {"vidstyle": json.dumps(document, sort_keys=True)}
    with written_whole(path) as part:
        save_file(tensors, part, metadata=metadata)
    return path


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_text(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def damaged(path: Path, why: str) -> StyleError:
    return StyleError(f"{path}: the style file is damaged: {why}. Get it again, or train it again.")


def opened(path: Path) -> Any:
    if not path.is_file():
        raise StyleError(f"{path}: there is no such style file. Check the path, or see vidstyle styles.")
    if path.stat().st_size > MOST_BYTES:
        raise StyleError(f"{path}: far too large for a style file. Use a file made by vidstyle train.")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"it is not a safetensors file ({error})") from error


def document_of(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or "vidstyle" not in metadata:
        raise StyleError(f"{path}: this is no style of vidstyle. Use a file made by vidstyle train.")
    try:
        document = json.loads(metadata["vidstyle"])
    except ValueError as error:
        raise damaged(path, "its facts cannot be read") from error
    if not isinstance(document, dict):
        raise damaged(path, "its facts cannot be read")
    if document.get("format") != FORMAT:
        kind, made = FORMAT.rpartition("-")[0], str(document.get("format"))
        if made.startswith(f"{kind}-"):
            raise StyleError(
                f"{path}: it was made by another version of vidstyle (format {made[:40]!r}, while this one "
                f"reads {FORMAT!r}). Update vidstyle, or train the style again."
            )
        raise damaged(path, f"its format is not {FORMAT}")
    return document


FAMILIES = ("photographic", "drawn", "painted", "colour")


@dataclass(frozen=True)
class StyleFacts:
    """What a style file says of itself. All of it is data; none of it is executed.

    looks: names of the looks within; each has a stored style code. provenance: pictures it was learned from.
    training: options and seed of the run that made it.
    """

    name: str
    family: str
    summary: str = ""
    licence: str = ""
    provenance: str = ""
    recommended_strength: float = 1.0
    recommended_smooth: float = 1.0
    looks: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_facts(path: Path) -> StyleFacts:
    """Only the facts, without the weights."""
    with opened(path) as file:
        return _facts(path, document_of(path, file.metadata()))


def read_network(path: Path) -> tuple[Generator, dict[str, Tensor], StyleFacts]:
    """What a style file holds: the generator, a code [1, K] for each look, and the facts. StyleError."""
    tensors, document = read_document(path)
    facts = _facts(path, document)
    try:
        with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and then replaced
            generator = generator_for(config_from(document["generator"]))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"its network is described wrongly: {error}") from error
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
    path: Path, generator: Generator, codes: MappingType[str, Tensor], facts: StyleFacts, *, half: bool = True
) -> Path:
    """Write a style file (atomically). codes: look -> [1, K]. Weights are stored as float16 if `half`."""
    dtype = torch.float16 if half else torch.float32
    exact = {name for name, _ in generator.named_buffers()}  # frequencies, which halves would bend
    tensors = {
        name: t.detach().cpu().to(torch.float32 if name in exact else dtype).contiguous()
        for name, t in generator.state_dict().items()
    }
    tensors |= {f"code.{look}": code.detach().cpu().to(torch.float32) for look, code in codes.items()}
    document = {"format": FORMAT, "generator": generator.config.to_dict(), "facts": facts.to_dict()}
    return write_document(path, tensors, document)


def _facts(path: Path, document: dict[str, Any]) -> StyleFacts:
    stored = document.get("facts")
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
