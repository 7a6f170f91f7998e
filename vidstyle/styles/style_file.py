"""The style file: safetensors with JSON facts, read strictly so that it cannot run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping as MappingType
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidstyle.files import written_whole
from vidstyle.models.colorizer import generator_for
from vidstyle.models.generator import Generator, config_from
from vidstyle.styles.header import (
    FORMAT,
    StyleFacts,
    check_size,
    damaged,
    document_of,
    facts_of,
    read_facts,
)

__all__ = [
    "FORMAT",
    "StyleFacts",
    "damaged",
    "hash_file",
    "hash_text",
    "opened",
    "read_document",
    "read_facts",
    "read_network",
    "save_style",
    "write_document",
]


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


def opened(path: Path) -> Any:
    check_size(path)
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"it is not a safetensors file ({error})") from error


def read_network(path: Path) -> tuple[Generator, dict[str, Tensor], StyleFacts]:
    """What a style file holds: the generator, a code [1, K] for each look, and the facts. StyleError."""
    tensors, document = read_document(path)
    facts = facts_of(path, document)
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
