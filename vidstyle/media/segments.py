"""The work folder: which segments are finished, atomic commits and keys.

A segment is finished when its sidecar `000012.json` is in the work folder. The sidecar names its data by
content hash. So it is harmless to make a segment twice, or on two machines at once, and an interrupted one
does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidstyle.errors import OutputError
from vidstyle.files import file_digest, map_write_error, write_durably
from vidstyle.media.encode import encoder_settings
from vidstyle.media.file_lock import Lock, NoLocksError, take_lock
from vidstyle.options import ApplyOptions, Tone

# To be raised when the same options would give other pixels or other packets than before.
PIXEL_PATH_VERSION = 9
_LONGEST_NAME = 255  # bytes
_MOST_TRIES = 20  # to lock a folder that other runs take away at the same time


@dataclass(frozen=True)
class Segment:
    """Frames [start, stop) of the clip."""

    number: int
    """Place among the segments, from 0."""
    start: int
    """Index of its first frame."""
    stop: int
    """Index of the frame after its last."""


@dataclass(frozen=True)
class Committed:
    """A finished segment, as its sidecar describes it."""

    number: int
    """Place among the segments, from 0."""
    start: int
    """Index of its first frame."""
    stop: int
    """Index of the frame after its last."""
    data: str
    """Name of the file with its packets, in the same folder."""
    size_bytes: int
    """Size of that file."""
    digest: str
    """Hash of that file."""
    packet_pts: tuple[int, ...]
    """Timestamps in the order of its packets."""
    last: bool
    """Whether the clip ends with it."""
    last_duration: int
    """Of the last segment: how long its last frame is shown; else 0."""
    source_digest: str = ""
    """Digest of the source's frame before stop, to find the place again when seeking."""
    warnings: tuple[str, ...] = ()
    """Of the last segment: warnings about the whole clip."""
    captions: tuple[tuple[int, str], ...] | None = None
    """(pts, closed captions as hexadecimal text) of the frames that have some; None is not known."""
    made_on: str = ""
    """The hardware, in words; equal hardware gives equal frames."""
    has_faces: bool | None = None
    """Whether faces were found to protect; None where none were looked for."""


def key_facts(
    fingerprint: str, style_hash: str, options: ApplyOptions, made_with: dict[str, str]
) -> dict[str, Any]:
    """Everything that changes a byte of the segments, in types that JSON has.

    fingerprint: of the source. made_with: versions and kind of device.
    """
    facts = {
        "source": fingerprint,
        "style": style_hash,
        "options": options.pixel_facts(),
        "encoder": encoder_settings(options),
        "pixel_path": PIXEL_PATH_VERSION,
        "made_with": made_with,
    }
    return json.loads(json.dumps(facts, default=_as_json))


def _as_json(value: object) -> object:
    return asdict(value) if isinstance(value, Tone) else str(value)


def hash_facts(facts: dict[str, Any]) -> str:
    """The key of a work folder: a hash of the facts."""
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12).hexdigest()


class WorkFolder:
    """The folder where the finished segments of one target wait for the join: `.<target>.vidstyle` beside it.

    Or root, a folder that many machines may write to at once; then target is only named in messages.
    """

    def __init__(self, target: Path, key: str, options: ApplyOptions, root: Path | None = None) -> None:
        self.root = root or (options.work_dir or target.parent) / _folder_name(target.name)
        self.path = self.root / key
        self.key = key
        self.container = options.preset.container
        self.target = target
        self.warnings: list[str] = []
        """What the user should know about the folder; complete inside `claimed`."""

    @contextmanager
    def claimed(self) -> Iterator[WorkFolder]:
        """Make the folder and keep other runs for the same target out of it while the block runs.

        Raises OutputError when another run has it. A lock of the operating system: it is freed however the
        process ends.
        """
        makes_folder = not self.root.parent.exists()
        lock = self._lock()
        try:
            for leftover in self.path.glob("*.part"):
                leftover.unlink()
            yield self
        finally:
            if os.name == "nt" and lock:  # an open file cannot be removed there, so nobody else takes it away
                lock.release()
            self._remove_if_empty(makes_folder)
            if lock:
                lock.release()

    def _lock(self) -> Lock | None:
        """The lock on the folder; None where the file system has no locks (SMB, FUSE, Lustre)."""
        try:
            for _ in range(_MOST_TRIES):
                self.path.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # a run that has just ended took the folder away
                    lock = take_lock(self.root / "lock")
                    self.path.mkdir(parents=True, exist_ok=True)
                    return lock
        except NoLocksError:
            self.warnings.append(
                f"the file system of {self.root.parent} cannot lock files: "
                "do not start a second run for the same target"
            )
            return None
        except BlockingIOError:
            pass
        except OSError as error:
            map_write_error(self.target.parent, error)
        raise OutputError(
            f"{self.target}: another run is writing this file. Wait for it, or choose another target."
        )

    def _remove_if_empty(self, with_parent: bool) -> None:
        """Remove the folders that hold no finished segment."""
        if not any(self.path.glob("*.json")) and self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        if self.root.is_dir() and not any(p for p in self.root.iterdir() if p.name != "lock"):
            # These fail when another run is about to take the lock; then the folder is in use.
            with suppress(OSError):
                (self.root / "lock").unlink(missing_ok=True)
                self.root.rmdir()
                if with_parent and not any(self.root.parent.iterdir()):
                    self.root.parent.rmdir()

    def part(self, number: int) -> Path:
        """A new path for a segment that is not committed yet, unique over all machines."""
        return self.path / f"{number:06d}.{uuid.uuid4().hex}.part"

    def sidecar(self, number: int) -> Path:
        """The path of a segment's sidecar."""
        return self.path / f"{number:06d}.json"

    def commit(self, part: Path, segment: Segment, **facts: Any) -> Committed:
        """Give a complete, closed part its final name, and write its sidecar."""
        try:
            digest = file_digest(part)
            data = f"{segment.number:06d}-{digest[:16]}.{self.container}"
            size = part.stat().st_size
            os.replace(part, self.path / data)
            done = Committed(segment.number, segment.start, segment.stop, data, size, digest, **facts)
            write_durably(self.sidecar(segment.number), json.dumps({"key": self.key, **asdict(done)}))
        except OSError as error:
            map_write_error(self.target, error)
        return done

    def finished(self) -> dict[int, Committed]:
        """The finished segments by number; a damaged one does not count and is made again."""
        found: dict[int, Committed] = {}
        for sidecar in sorted(self.path.glob("*.json")):
            segment = self.read(sidecar)
            if segment is not None:
                found[segment.number] = segment
        return found

    def read(self, sidecar: Path, verify: bool = True) -> Committed | None:
        """A finished segment, or None if it is missing or damaged. verify: read all of its data."""
        try:
            facts = json.loads(sidecar.read_text(encoding="utf-8"))
            if facts.pop("key") != self.key:
                return None
            facts["packet_pts"] = tuple(facts["packet_pts"])
            facts["warnings"] = tuple(facts["warnings"])
            if facts.get("captions") is not None:
                facts["captions"] = tuple((pts, text) for pts, text in facts["captions"])
            segment = Committed(**facts)
            data = self.path / Path(segment.data).name
            whole = (
                len(segment.packet_pts) == segment.stop - segment.start
                and data.stat().st_size == segment.size_bytes
                and (not verify or file_digest(data) == segment.digest)
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return segment if whole else None

    def remove(self) -> None:
        """Delete all segments of this target, also those made with other options."""
        shutil.rmtree(self.path, ignore_errors=True)
        for other in self.root.iterdir():
            if other.is_dir():
                shutil.rmtree(other, ignore_errors=True)


def _folder_name(target: str) -> str:
    """The name of the work folder. Of a name that would get too long, it has the start and a hash."""
    name = f".{target}.vidstyle"
    if len(os.fsencode(name)) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(os.fsencode(target), digest_size=12).hexdigest()
    return f".{target[:32]}.{digest}.vidstyle"


def check_complete(segments: list[Committed], target: Path) -> None:
    """Raise OutputError unless the segments follow each other from frame 0 to the end of the clip."""
    expected = 0
    for segment in segments:
        if segment.start != expected:
            raise OutputError(
                f"{target}: frames {expected} to {segment.start - 1} are missing. Run the same command again."
            )
        expected = segment.stop
    if not segments or not segments[-1].last:
        raise OutputError(f"{target}: the frames from {expected} on are missing. Run the same command again.")
