"""Reference material of one creator: frames from its scenes, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from vidstyle.errors import InputError, TrainingError
from vidstyle.imaging.letterbox import without_bars
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.train.data.clips import pick_evenly, resize_to_4_3, sample_scenes
from vidstyle.train.data.pictures import find_files, map_in_order, without_duplicates

ENOUGH_FRAMES = 12
MAX_FRAMES = 160
ENOUGH_SCENES = 3
LEAST_CONTRAST = 4.0  # mean standard deviation of code values (0 to 255) below which a frame shows nothing


@dataclass(frozen=True)
class Material:
    """Frames of a creator by scene."""

    scenes: tuple[tuple[Tensor, ...], ...]
    """Frames [3, h, w] uint8; a still is a scene of its own."""
    files: int
    """Files that were read."""
    unreadable: tuple[str, ...] = ()
    """A line for each file that could not be read, or not to its end."""
    ignored: dict[str, int] = field(default_factory=dict)
    """Number of files of other kinds, by suffix."""
    repeated: int = 0
    """Frames left out because another shows the same."""

    @property
    def frames(self) -> list[Tensor]:
        return [frame for scene in self.scenes for frame in scene]

    @property
    def scene_numbers(self) -> list[int]:
        """The number of the scene of each of `frames`."""
        return [number for number, scene in enumerate(self.scenes) for _ in scene]

    def warnings(self) -> list[str]:
        """What the user should know about the files."""
        found = []
        if self.unreadable:
            shown = "; ".join(self.unreadable[:3]) + ("; ..." if len(self.unreadable) > 3 else "")
            found.append(f"{len(self.unreadable)} files could not be read: {shown}")
        if len(self.frames) < ENOUGH_FRAMES:
            found.append(
                f"{len(self.frames)} different frame(s) are few to know a look by. Give at least "
                f"{ENOUGH_FRAMES}, from several scenes, to make it surer."
            )
        elif len(self.scenes) < ENOUGH_SCENES:
            found.append(
                f"the material shows {len(self.scenes)} scenes only: colors of things may be taken for the "
                "look. More scenes, of different things, make it surer."
            )
        return found


def gather(paths: Sequence[Path], size: int, most: int = MAX_FRAMES) -> Material:
    """At most `most` different frames of short side `size`, from as many scenes as possible, people first.

    TrainingError when there is none.
    """
    files, ignored = find_files(paths, "the material")
    share = max(12, -(-most // max(1, len(files))))
    scenes: list[list[Tensor]] = []
    unreadable: list[str] = []
    repeated = 0
    for found, again, problem in map_in_order(files, lambda path: _read(path, size, share)):
        scenes += found
        repeated += again
        unreadable += [problem] if problem else []
    kept = without_duplicates([frame for scene in scenes for frame in scene])
    repeated += sum(map(len, scenes)) - len(kept)
    known = {id(frame) for frame in kept}
    scenes = [[frame for frame in scene if id(frame) in known] for scene in scenes]
    scenes = _chosen([scene for scene in scenes if scene], most)
    if not scenes:
        others = f", {sum(ignored.values())} files are of other kinds" if ignored else ""
        if len(unreadable) < len(files):
            raise _of_one_color()
        raise TrainingError(
            f"the material: no frame is usable ({len(files)} files read, {len(unreadable)} of them not "
            f"readable{others}). Give at least {ENOUGH_FRAMES} different frames, from several scenes."
        )
    if all(contrast(frame) < LEAST_CONTRAST for scene in scenes for frame in scene):
        raise _of_one_color()
    return Material(tuple(map(tuple, scenes)), len(files), tuple(unreadable), ignored, repeated)


def _of_one_color() -> TrainingError:
    return TrainingError(
        "the material: every frame is of one color, so no look can be read from it. Give frames that show "
        "things."
    )


def contrast(picture: Tensor) -> float:
    """Mean standard deviation of the channels of a picture [3, h, w] uint8."""
    return float(picture.float().flatten(1).std(1, correction=0).mean())


def skin_fraction(picture: Tensor) -> float:
    """Fraction of a picture [3, h, w] uint8 with the hue of skin, also under warm or cool light."""
    red, green, blue = picture[:, ::2, ::2].float() / 255
    hue = (red - green > 0.04) & (green - blue > -0.04) & (red - blue < 0.55) & (red > 0.2)
    return float(hue.float().mean())


def _read(path: Path, size: int, most: int) -> tuple[list[list[Tensor]], int, str | None]:
    if not is_still(path):
        return sample_scenes(path, size, most)
    try:
        return [[resize_to_4_3(without_bars(read_picture(path)), size)]], 0, None
    except InputError as error:
        return [], 0, str(error)


def _chosen(scenes: list[list[Tensor]], most: int) -> list[list[Tensor]]:
    """At most `most` frames, evenly over the scenes; half of a scene's are those with the most people.

    Viewers judge a look by faces. There is no detector here, so the hue of skin stands for them.
    """
    taken = {id(frame) for frame in pick_evenly(scenes, most)}
    result = []
    for scene in scenes:
        count = sum(id(frame) in taken for frame in scene)
        half = count // 2
        people = sorted(scene, key=skin_fraction, reverse=True)[:half]
        picked = {id(frame) for frame in people}
        rest = [frame for frame in scene if id(frame) not in picked]
        picked |= {id(frame) for frame in pick_evenly([rest], count - half)}
        if picked:
            result.append([frame for frame in scene if id(frame) in picked])
    return result
