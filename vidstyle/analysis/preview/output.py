"""The files of a preview: their names, and writing both of them or none."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from vidstyle.errors import OutputError
from vidstyle.files import check_free, is_url, map_write_error, missing_file
from vidstyle.media.image_sequence import is_sequence


def page_and_sheet(source: Path, output: Path | None) -> tuple[Path, Path]:
    """Paths of the page and of the contact sheet.

    output: the page itself (.html), a folder for both, or None for the folder of the source.
    """
    if output is not None and output.suffix.lower() in (".html", ".htm") and not output.is_dir():
        return output, output.with_suffix(".png")
    home, stem = source.parent, source.stem
    if is_sequence(source):
        folder = Path(os.path.abspath(source.parent))
        home, stem = folder.parent, folder.name
    home = home if output is None else output
    return home / f"{stem}.preview.html", home / f"{stem}.preview.png"


def check_targets(source: Path | None, targets: Sequence[Path], overwrite: bool) -> None:
    """Raise OutputError where a target is the source, a folder or an existing file, or has no folder.

    Raises InputError for a source that is an address of the web.
    """
    if source is not None and is_url(str(source)) and not source.exists():
        raise missing_file(source)
    for target in targets:
        if source is not None and target.exists() and source.exists() and os.path.samefile(source, target):
            raise OutputError(f"{target}: this is the source itself. Choose another name.")
        if target.is_dir():
            raise OutputError(f"{target}: this is a folder. Choose another name.")
        check_free(target, overwrite)
    folder = targets[0].parent
    if not folder.is_dir() and not folder.parent.is_dir():  # write_all creates one folder, not two
        raise OutputError(f"{folder}: there is no folder {folder.parent}. Create it first.")


def write_all(targets: Sequence[Path], contents: Sequence[bytes], overwrite: bool) -> None:
    """Write all files or none. If one fails, existing files keep their content. Raises OutputError.

    Creates the folder of the first target where only its last part is missing.
    """
    folder = targets[0].parent
    created = not folder.exists()
    parts = [folder / f".{uuid.uuid4().hex}.part" for _ in targets]
    backups = [part.with_suffix(".old") for part in parts]
    placed: list[Path] = []
    try:
        folder.mkdir(exist_ok=True)
        for part, content in zip(parts, contents, strict=True):
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        check_targets(None, targets, overwrite)
        for part, backup, target in zip(parts, backups, targets, strict=True):
            if target.exists():
                os.rename(target, backup)
            os.replace(part, target)
            placed.append(target)
    except OSError as error:
        map_write_error(targets[0], error)
    finally:
        for part, backup, target in zip(parts, backups, targets, strict=True):
            if len(placed) < len(targets):
                if target in placed:
                    target.unlink()
                if backup.exists():
                    os.rename(backup, target)
            part.unlink(missing_ok=True)
            backup.unlink(missing_ok=True)
        if created and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
