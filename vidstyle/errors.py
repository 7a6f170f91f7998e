"""The error tree, with the exit code of each error on the command line.

Every message reads `<path or value>: <what is wrong>. <what to do>.`
"""

from __future__ import annotations


class VidstyleError(Exception):
    """Something the user can act on; anything else that escapes is a bug."""

    exit_code: int = 1


class InputError(VidstyleError):
    """The source is missing, is no video, has no picture stream or cannot be read."""

    exit_code = 3


class StyleError(VidstyleError):
    """The style is unknown, damaged or not to be trusted."""

    exit_code = 4


class DeviceError(VidstyleError):
    """There is no such device, or it is not the one that was planned for."""

    exit_code = 5


class OutOfMemoryError(DeviceError):
    """The device's memory does not hold a single frame, or the machine's is full.

    OpenCue runs a task that ends with this code again, with more memory.
    """

    exit_code = 33


class OutputError(VidstyleError):
    """The target cannot be written or encoded, or frames were lost on the way."""

    exit_code = 6


class TrainingError(VidstyleError):
    """The training data is empty or unusable, or the loss is no longer finite."""

    exit_code = 7
