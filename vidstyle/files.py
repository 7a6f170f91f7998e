"""Files written whole or not at all, digests of files, and errors of the file system in words."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from pathlib import Path
from typing import NoReturn

from vidstyle.errors import OutputError


def map_write_error(path: Path, error: BaseException) -> NoReturn:
    """Raise the OutputError that says what the operating system or the muxer refused."""
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC:
        raise OutputError(f"{path}: the disk is full. Free some space and run again.") from error
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        raise OutputError(f"{path}: may not be written. Choose a folder that you can write to.") from error
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise OutputError(f"{path}: cannot be written ({reason}). Check the folder and the options.") from error


SAMPLE_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.blake2b(digest_size=20)
        while block := file.read(SAMPLE_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_durably(path: Path, text: str) -> None:
    """Whole or not at all, also when the power fails."""
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.part")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
