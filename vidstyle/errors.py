"""The exceptions that vidstyle raises on purpose, with the exit code of each on the command line.

    VidstyleError            1
      InputError             3   the source
      StyleError             4   the style
      DeviceError            5   the device, or what is installed
        OutOfMemoryError    33   its memory
      OutputError            6   the target
      TrainingError          7   the training data, or the training

The command line has three more: 2 for wrong usage, 130 after Ctrl-C and 143 after SIGTERM. Every message
reads `<path or value>: <what is wrong>. <what to do>.`
"""

from __future__ import annotations


class VidstyleError(Exception):
    """Base of all; something that the user can act on. Any other exception that escapes is a bug."""

    exit_code: int = 1


class InputError(VidstyleError):
    """The source is missing, is not a video, has no video stream or cannot be read."""

    exit_code = 3


class StyleError(VidstyleError):
    """The style is unknown, damaged or not safe to load."""

    exit_code = 4


class DeviceError(VidstyleError):
    """There is no such device, or it is not the one that was planned for."""

    exit_code = 5


class OutOfMemoryError(DeviceError):
    """The memory of the device cannot hold a single frame, or the memory of the machine is full.

    OpenCue runs a task again, with more memory, if it ends with this code.
    """

    exit_code = 33


class OutputError(VidstyleError):
    """The target cannot be written or encoded, or frames were lost."""

    exit_code = 6


class TrainingError(VidstyleError):
    """The training data is empty or unusable, or the loss is not finite any more."""

    exit_code = 7
