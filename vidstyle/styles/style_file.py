"""The style file: safetensors with JSON facts, read strictly so that it cannot run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vidstyle.files import written_whole
from vidstyle.models.base import BaseGenerator, config_from
from vidstyle.models.registry import build_generator
from vidstyle.styles.header import (
    FAMILIES,
    FORMAT,
    StyleFacts,
    check_size,
    damaged,
    facts_of,
    parse_metadata,
    read_facts,
)

__all__ = [
    "FAMILIES",
    "FORMAT",
    "StyleFacts",
    "damaged",
    "hash_file",
    "hash_text",
    "open_style_file",
    "read_facts",
    "read_network",
    "read_style_file",
    "save_style",
    "write_style_file",
]


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
        # Not by `save_file`, whose files only their owner may read: a style is shared with a farm.
        part.write_bytes(save(tensors, metadata=entry))
    return path


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_text(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def open_style_file(path: Path) -> Any:
    """The safetensors file of a style, opened, not read yet; for a with block. StyleError."""
    check_size(path)
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"it is not a safetensors file ({error})") from error


def read_network(path: Path) -> tuple[BaseGenerator, dict[str, Tensor], StyleFacts]:
    """The generator of a style file, a code [1, K] for each look, and the facts. StyleError."""
    tensors, metadata = read_style_file(path)
    facts = facts_of(path, metadata)
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
