"""A lock on a file that one process holds. The operating system frees it however the process ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

# What says that the file may not be opened or made. It tells nothing of locks.
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EMFILE, errno.ENFILE)


class NoLocksError(Exception):
    """The file system has no locks."""


class Lock(Protocol):
    """A lock that is held."""

    def release(self) -> None:
        """Give it back."""


class _Flock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def take_lock(path: Path) -> Lock:
    """Lock the file, which is made if need be, without waiting.

    Raises BlockingIOError when somebody else has the lock, FileNotFoundError when the file or its folder was
    taken away meanwhile, NoLocksError where the file system has no locks, and OSError where the file may not
    be written.
    """
    return _take_on_windows(path) if os.name == "nt" else _take(path)


def _take(path: Path) -> Lock:
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have removed the file, and another one may stand in its place.
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise FileNotFoundError(errno.ENOENT, "the file was replaced", str(path))
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError | FileNotFoundError) or error.errno in _REFUSED:
            raise
        raise NoLocksError(str(error)) from error
    except BaseException:
        os.close(descriptor)
        raise
    return _Flock(descriptor)


def _take_on_windows(path: Path) -> Lock:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BlockingIOError(errno.EAGAIN, "another process has the lock", str(path)) from error
    return lock
