"""Files written whole or not at all, digests of files, and errors of the file system in words."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from vidstyle.errors import InputError, OutputError

_SCHEMES = "https?|s?ftps?|rtsps?|rtmps?|mmsh?|udp|rtp|srt|s3|gs"
SAMPLE_BYTES = 1 << 20  # read at a time
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the operating system says of a folder that may not be written."""


def is_url(text: str) -> bool:
    """Whether a path is rather an address of the web, also after a Path took one of its two slashes."""
    return re.search(rf"(?:^|[/\\])(?:{_SCHEMES}):[/\\]", text, re.IGNORECASE) is not None


def shown_url(path: Path) -> str:
    """The address as it was typed: a Path keeps one of its two slashes."""
    return re.sub(rf"((?:^|[/\\])(?:{_SCHEMES}):)[/\\]+", r"\1//", str(path), flags=re.IGNORECASE)


def missing_file(path: Path) -> InputError:
    """The error for an input that is not there, which may be an address of the web."""
    if is_url(str(path)):
        return InputError(
            f"{shown_url(path)}: this is a URL, not a file. Download it first, and give the file."
        )
    return InputError(f"{path}: there is no such file. Check the path.")


def map_write_error(path: Path, error: BaseException) -> NoReturn:
    """Raise the OutputError that says what the operating system or the muxer refused."""
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC:
        raise OutputError(f"{path}: the disk is full. Free some space and run again.") from error
    if code in UNWRITABLE:
        raise OutputError(f"{path}: may not be written. Choose a folder that you can write to.") from error
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    raise OutputError(f"{path}: cannot be written ({reason}). Check the folder and the options.") from error


def file_url(path: Path) -> str:
    """The name by which FFmpeg opens a file: it takes what stands before a colon for a protocol."""
    return os.path.abspath(path)


def file_digest(path: Path) -> str:
    """BLAKE2b of a file, 20 bytes as hexadecimal text."""
    with path.open("rb") as file:
        digest = hashlib.blake2b(digest_size=20)
        while block := file.read(SAMPLE_BYTES):
            digest.update(block)
    return digest.hexdigest()


def check_name(path: Path) -> None:
    """Raise OutputError when the file system takes no such name."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
            raise OutputError(
                f"{path}: the file system takes no such name ({error.strerror}). Choose a shorter one."
            ) from error
    except ValueError as error:
        raise OutputError(f"{path}: this is no name of a file ({error}). Choose another one.") from error


def check_free(path: Path, overwrite: bool) -> None:
    """Raise OutputError when a file stands at `path` and may not be replaced."""
    check_name(path)
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: already exists. Choose another name, or add --overwrite to replace it.")


@contextmanager
def trial_of(path: Path) -> Iterator[Path]:
    """A name for a file in the folder of `path` that is removed when the block ends."""
    part = _part_of(path)
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise OutputError when no file can be made in the folder of `path`. Nothing stays there."""
    try:
        with trial_of(path) as part:
            part.write_bytes(b"\0")
    except OSError as error:
        map_write_error(path, error)


def _part_of(path: Path) -> Path:
    # A short name of its own: that of the target may be as long as the file system allows.
    return path.with_name(f".{uuid.uuid4().hex}.part")


@contextmanager
def written_whole(path: Path, part: Path | None = None) -> Iterator[Path]:
    """Write a file whole or not at all: `with written_whole(target) as part: part.write_bytes(data)`.

    Yields a temporary path in the same folder, which is created if need be. When the block ends, what was
    written there is flushed to the disk and takes the name `path`; when it raises, `path` is as it was.
    part: the temporary path, where others must be able to recognize it.
    Raises OutputError for errors of the operating system.
    """
    part = part or _part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        map_write_error(path, error)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_durably(path: Path, text: str) -> None:
    """Write text whole or not at all, also when the power fails: the folder is flushed too."""
    with written_whole(path, part=path.with_suffix(f".{uuid.uuid4().hex}.part")) as part:
        part.write_text(text, encoding="utf-8")
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
