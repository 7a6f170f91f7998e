"""The card of a personal style: what it was learned from, how near to the truth it can be, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from vidstyle.train.options import LearnOptions
from vidstyle.train.personal.look_reader import DOUBTFUL, Reading
from vidstyle.train.personal.material import Material


@dataclass(frozen=True)
class Measured:
    """Mean CIELAB errors on the 14 held-out film looks of benchmarks/learn_figures.py."""

    name: str
    frames: int
    scenes: int
    untouched: float
    transfer: float
    """Of the best of three statistical transfers: Reinhard, MKL, histogram."""
    learned: float
    lowest: float
    """Of the look that was learned best."""
    highest: float
    nearer: int
    """Looks of 14 that ended nearer to the truth than untouched pictures are."""

    @property
    def row(self) -> str:
        return (
            f"| {self.name} | {self.untouched:.2f} | {self.transfer:.2f} | {self.learned:.2f} "
            f"| {self.lowest:.2f} to {self.highest:.2f} | {self.nearer} of 14 |"
        )


MEASURED = (
    Measured("1 still", 1, 1, 11.87, 17.92, 7.68, 5.13, 12.99, 12),
    Measured("12 photos", 12, 12, 11.87, 7.81, 4.49, 2.21, 7.59, 14),
    Measured("80 frames of ten scenes", 80, 10, 11.87, 7.50, 4.78, 2.13, 8.39, 14),
    Measured("72 frames of nine clips", 72, 9, 11.87, 7.24, 4.61, 2.49, 8.21, 14),
)
# Measured over expected error, of eight of ten readings of the 14 test stocks. Other stocks set its scale.
SPREAD = (0.6, 1.7)
UNSTATED_LICENCE = "Not stated. Whoever owns the material decides; say so with --licence."
CARD = """# {name}

{summary}

![Samples]({name}.png)

Frames with the estimated look removed, with the style put on again, and as they are.

## Learned from

{frames} frames of {scenes} scenes in {files} files ({names}).

## Training

{made} All of it took {seconds:.0f} seconds; seed {seed}.
All options: `vidstyle styles {name} --json`.

## Figures

How near this style is to the true look is not measured: the footage before its grade is not known.
{judgement}

What was measured, on 14 looks of film stocks that the look reader had never seen, as mean CIELAB error on
other photos. The reader in use went on learning from these looks too, so its own figures are not known:

| learned from | untouched | best statistical transfer | learned | single looks | nearer than untouched |
|---|---|---|---|---|---|
{rows}

Nearest to this material, with no more scenes than it has: {nearest}.

## Limits

- Color only: no light, no drawing, no lens, no grain.
- How the footage looked before its grade is not known: the reader estimates it from what photos usually look
  like.
- If the material has several looks, the style is a mixture of them.
- Looks unlike those of film stocks may be read badly. More scenes of different things make it surer.

## License

{licence}

Provenance: {provenance}. The reader was trained on photos of public research collections, like `vlogger`.
"""


def card(
    options: LearnOptions,
    material: Material,
    reading: Reading,
    figures: dict[str, float],
    steps: int,
    seconds: float,
) -> str:
    """The card in Markdown. figures: see `LearnedStyle`; seconds: of the whole run."""
    frames, scenes = len(material.frames), len(material.scenes)
    return CARD.format(
        **figures,
        name=options.name,
        summary=options.summary or "A personal style, learned from its creator's own material.",
        frames=frames,
        scenes=scenes,
        files=material.files,
        names=", ".join(path.name for path in options.material),
        judgement=_judgement(reading),
        made=_made(reading, steps, figures["fit"]),
        seconds=seconds,
        seed=options.seed,
        rows="\n".join(measured.row for measured in MEASURED),
        nearest=nearest_measured(frames, scenes).name,
        licence=options.licence or UNSTATED_LICENCE,
        provenance=options.provenance or "not stated; say so with --provenance",
    )


PAIRS_CARD = """# {name}

{summary}

![Samples]({name}.png)

Frames before the grade, with the style, and after the grade.

## Learned from

{frames} pairs of frames in {scenes} pair(s) of files: before the grade ({before}), after it ({after}).

## Training

A table of 33 colors a side was fitted to the pairs of colors, in {seconds:.0f} seconds. Where the pairs
have no colors, the table goes on as film looks do.

## Figures

On the half of the frames that a fit did not see, it was {expected_error:.1f} from the graded frames (CIELAB,
median); the whole fit leaves {fit:.1f} (mean). The look changes ordinary photos by {change:.1f}.

On footage of other colors the error is larger. Measured with 14 looks of film stocks that were not used in
development: {measured}.

## Limits

- Color only: what the grade does by place (vignettes, masks, glow) is not in the style.
- Colors that the pairs do not show are guessed.

## License

{licence}

Provenance: {provenance}.
"""
# Mean CIELAB errors of benchmarks/pair_figures.py.
PAIRS_MEASURED = (
    "from 12 photos 0.8 on other photos and 0.6 on clips; from three clips 1.0 and 1.1 (at most 1.6);\nfrom "
    "one clip 1.3 to 2.2 (at most 5.3); untouched footage has 11.9 and 11.4"
)


def pairs_card(
    options: LearnOptions, frames: int, scenes: int, figures: dict[str, float], seconds: float
) -> str:
    """The card of a style from pairs, in Markdown."""
    return PAIRS_CARD.format(
        **figures,
        name=options.name,
        summary=options.summary or "A personal style, learned from shots before and after a grade.",
        frames=frames,
        scenes=scenes,
        before=", ".join(path.name for path in options.before),
        after=", ".join(path.name for path in options.after),
        seconds=seconds,
        measured=PAIRS_MEASURED,
        licence=options.licence or UNSTATED_LICENCE,
        provenance=options.provenance or "not stated; say so with --provenance",
    )


def _made(reading: Reading, steps: int, fit: float) -> str:
    if reading.monochrome:
        return "The tones of the frames were put beside those of ordinary photos, and are kept as a table."
    return (
        "The look reader estimated the color grade from the frames. The grade of the style was fitted to it "
        f"in {steps} steps (distance to the estimate: {fit:.2f}, mean CIELAB)."
    )


def _judgement(reading: Reading) -> str:
    """How sure the reader is, in sentences."""
    error, change = reading.expected_error, reading.distance
    if reading.monochrome:
        return (
            "The material is black-and-white, or of the tones of one ink. So is the style, in the tones of "
            f"the material. An error of about {error:.1f} is to be expected (mean CIELAB on other pictures)."
        )
    low, high = (error * ratio for ratio in SPREAD)
    told = (
        f"The look reader itself expects an error of {error:.1f} (mean CIELAB on other pictures). In the "
        f"measurement below eight of ten errors were {SPREAD[0]:g} to {SPREAD[1]:g} times that: here "
        f"{low:.1f} to {high:.1f}. The style changes ordinary photos by {change:.1f}."
    )
    if reading.strength < DOUBTFUL:
        share = f"{reading.strength:.0%}"
        told += f" The look is hardly told from no grade, so the style is {share} of what was read."
    return told


def nearest_measured(frames: int, scenes: int) -> Measured:
    """The largest measured case that has neither more frames nor more scenes than the material."""
    fitting = [case for case in MEASURED if case.frames <= frames and case.scenes <= scenes]
    return max(fitting, key=lambda case: case.frames)
