"""A style file as a document: safetensors with JSON facts, strictly read. Knows no networks and no looks."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidstyle.errors import OutputError, StyleError

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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        try:
            save_file(tensors, temporary, metadata=metadata)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write the style: {error.strerror}. Choose another place."
        ) from error
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
