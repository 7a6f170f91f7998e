"""Reference material of one creator: frames from its scenes, checked for number and for one look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vidstyle.errors import InputError, TrainingError
from vidstyle.imaging.letterbox import without_bars
from vidstyle.media.image_file import read_picture
from vidstyle.media.inputs import is_still
from vidstyle.train.data.clips import sample_scenes, spread, squeezed
from vidstyle.train.data.pictures import distinct, find_files, in_order

FEWEST = 12  # frames
MOST = 160
# See `disagreement`. Of 84 sets of six clips in one look none came above 0.8; benchmarks/LOG.md has the rest.
MOST_APART = 0.9
FEW_SCENES = 3


@dataclass(frozen=True)
class Material:
    """Frames [3, h, w] uint8 by scene; a still is a scene of its own.

    files: how many were read. unreadable: a line for each that could not be. ignored: files of other kinds.
    repeated: frames left out because another shows the same.
    """

    scenes: tuple[tuple[Tensor, ...], ...]
    files: int
    unreadable: tuple[str, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)
    repeated: int = 0

    @property
    def frames(self) -> list[Tensor]:
        return [frame for scene in self.scenes for frame in scene]

    def parts(self) -> tuple[list[Tensor], list[Tensor]]:
        """(to learn from, held back): every fifth frame only measures the result."""
        frames = self.frames
        return [f for i, f in enumerate(frames) if i % 5 != 4], frames[4::5]

    def warnings(self) -> list[str]:
        said = []
        if self.unreadable:
            shown = "; ".join(self.unreadable[:3]) + ("; ..." if len(self.unreadable) > 3 else "")
            said.append(f"{len(self.unreadable)} files could not be read: {shown}")
        if len(self.scenes) < FEW_SCENES:
            said.append(
                f"the material shows {len(self.scenes)} scenes only: colors of things may be taken for the "
                "look. More scenes, of different things, make it surer."
            )
        return said


def gather(paths: Sequence[Path], size: int, most: int = MOST) -> Material:
    """At most `most` different frames of short side `size`, from as many scenes as possible, people first.

    Raises TrainingError when they are too few.
    """
    files, ignored = find_files(paths, "the material")
    share = max(12, -(-most // max(1, len(files))))
    scenes: list[list[Tensor]] = []
    unreadable: list[str] = []
    repeated = 0
    for found, again, problem in in_order(files, lambda path: _read(path, size, share)):
        scenes += found
        repeated += again
        unreadable += [problem] if problem else []
    kept = distinct([frame for scene in scenes for frame in scene])
    repeated += sum(map(len, scenes)) - len(kept)
    known = {id(frame) for frame in kept}
    scenes = [[frame for frame in scene if id(frame) in known] for scene in scenes]
    scenes = _chosen([scene for scene in scenes if scene], most)
    count = sum(map(len, scenes))
    if count < FEWEST:
        others = f", {sum(ignored.values())} files are of other kinds" if ignored else ""
        raise TrainingError(
            f"the material: {count} usable frames are too few to know a look by ({len(files)} files read, "
            f"{len(unreadable)} of them not readable{others}; {repeated} frames show the same as another). "
            f"Give at least {FEWEST} different ones, from several scenes."
        )
    return Material(tuple(map(tuple, scenes)), len(files), tuple(unreadable), ignored, repeated)


def disagreement(places: Tensor) -> float:
    """How far scenes fall into two groups: places [S, D] of the scenes, see `Known.places`.

    Mean distance between the groups less that within them, for the best of the splits along each axis and
    along the longest one; each group has two scenes at least. 0 for fewer than four scenes.
    """
    count = len(places)
    if count < 4:
        return 0.0
    apart = torch.cdist(places, places) / places.shape[1] ** 0.5
    longest = torch.linalg.svd(places - places.mean(0), full_matrices=False)[2][0]
    best = 0.0
    for along in (places @ longest, *places.unbind(1)):
        order = along.argsort()
        for cut in range(2, count - 1):
            low, high = order[:cut], order[cut:]
            pairs = [apart[group][:, group] for group in (low, high)]
            within = sum(float(d.sum()) for d in pairs) / sum(len(d) * (len(d) - 1) for d in pairs)
            best = max(best, float(apart[low][:, high].mean()) - within)
    return best


def check_one_look(apart: float) -> None:
    """TrainingError when scenes fall into groups as those of one look do not; apart: see `disagreement`."""
    if apart > MOST_APART:
        raise TrainingError(
            f"the material: its scenes fall into groups of different looks ({apart:.2f} apart; those of one "
            f"look stay under {MOST_APART}). Give that of one look only, or use --mixed to learn their mean."
        )


def skin_share(picture: Tensor) -> float:
    """Part of a picture [3, h, w] uint8 that has the hue of skin; also under a warm or a cool light."""
    red, green, blue = picture[:, ::2, ::2].float() / 255
    hue = (red - green > 0.04) & (green - blue > -0.04) & (red - blue < 0.55) & (red > 0.2)
    return float(hue.float().mean())


def _read(path: Path, size: int, most: int) -> tuple[list[list[Tensor]], int, str | None]:
    if not is_still(path):
        return sample_scenes(path, size, most)
    try:
        return [[squeezed(without_bars(read_picture(path)), size)]], 0, None
    except InputError as error:
        return [], 0, str(error)


def _chosen(scenes: list[list[Tensor]], most: int) -> list[list[Tensor]]:
    """At most `most` frames, evenly over the scenes; of a scene's frames those with more people in them.

    Faces are what viewers judge a look by; without a detector the hue of skin stands for them.
    """
    taken = {id(frame) for frame in spread(scenes, most)}
    result = []
    for scene in scenes:
        count = sum(id(frame) in taken for frame in scene)
        half = count // 2
        people = sorted(scene, key=skin_share, reverse=True)[:half]
        picked = {id(frame) for frame in people}
        rest = [frame for frame in scene if id(frame) not in picked]
        picked |= {id(frame) for frame in spread([rest], count - half)}
        if picked:
            result.append([frame for frame in scene if id(frame) in picked])
    return result
