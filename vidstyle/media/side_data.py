"""The side data of decoded frames, also of frames that have kinds which PyAV 18.1 does not know.

`frame.side_data` raises ValueError where a single entry is of such a kind (EXIF, LCEVC, 3D views), and hides
all others with it. Its enumeration is therefore told to make up a member for a number it does not know.
"""

from __future__ import annotations

from typing import Any, cast

from av.buffer import Buffer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

# What cameras and broadcasters put beside a frame, no encoder here takes, and somebody may miss.
_UNWRITABLE = {
    "AFD": "the active format description (AFD)",
    "ICC_PROFILE": "the color profile (ICC)",
    "S12M_TIMECODE": "the time codes of frames",
    "REGIONS_OF_INTEREST": "regions of interest",
}


def _unknown_kind(cls: type[Any], value: object) -> Any:
    if not isinstance(value, int):
        return None  # the enumeration then raises ValueError
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return cls._value2member_map_.setdefault(value, member)


setattr(Type, "_missing_", classmethod(_unknown_kind))  # noqa: B010 - mypy takes no new method


def side_data(frame: VideoFrame, name: str) -> bytes | None:
    """The side data of this kind, by its name in `av.sidedata.sidedata.Type`; None where there is none."""
    data = frame.side_data.get(name)
    return None if data is None else bytes(cast(Buffer, data))


def unwritable(frame: VideoFrame) -> list[str]:
    """In words what hangs on a frame and cannot be written."""
    return list(dict.fromkeys(words for name, words in _UNWRITABLE.items() if side_data(frame, name)))
