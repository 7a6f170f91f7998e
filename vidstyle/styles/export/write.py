"""export_cube and export_onnx: a style as a file for other programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidstyle.errors import OutputError, StyleError
from vidstyle.files import check_free, written_whole
from vidstyle.imaging.ocio import Spaces
from vidstyle.styles.export.cube import cube_text, is_color_alone, left_out
from vidstyle.styles.style import Style


@dataclass(frozen=True)
class Exported:
    """What was written. left_out: the parts of the look that are not in the file, in words."""

    target: Path
    kind: str
    style: str
    size_bytes: int
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"target": str(self.target)}


def export_cube(
    style: Style,
    target: Path,
    size: int = 33,
    *,
    strength: float = 1.0,
    spaces: Spaces | None = None,
    force: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write the color grade of a style, at its dials, as a table of size^3 colors.

    strength: the user's setting, for the header only. spaces: the color space of the pictures that it is for;
    None is what a screen shows. Raises InputError for these, StyleError when most of the look would be lost,
    unless `force`, and OutputError.
    """
    _check(target, ".cube", overwrite)
    lost = left_out(style)
    if not (force or is_color_alone(style)):
        raise StyleError(
            f"{style.name}: a .cube file holds color alone. These would be lost: {'; '.join(lost)}. "
            "Use --onnx for the whole look, or --force to write its color anyway."
        )
    text = cube_text(style, size, strength, spaces)
    return Exported(target, "cube", style.name, _write(target, text.encode()), lost)


def export_onnx(style: Style, target: Path, *, overwrite: bool = False) -> Exported:
    """Write the whole style, at its dials, as an ONNX file, see `onnx_model`. Raises OutputError.

    Needs the package onnx (extra `onnx`). Frames are restyled one by one: smoothing over time is left out.
    """
    _check(target, ".onnx", overwrite)
    from vidstyle.styles.export.onnx_model import onnx_model

    lost = ("smoothing over time: every frame is painted by itself",)
    return Exported(target, "onnx", style.name, _write(target, onnx_model(style)), lost)


def _check(target: Path, suffix: str, overwrite: bool) -> None:
    """Check the name before any work is done. OutputError."""
    if target.suffix.lower() != suffix:
        raise OutputError(f"{target}: the name must end in {suffix}. Use {target.stem}{suffix}.")
    check_free(target, overwrite)


def _write(target: Path, data: bytes) -> int:
    """Write a file, whole or not at all, and return its size in bytes."""
    with written_whole(target) as part:
        part.write_bytes(data)
    return len(data)
