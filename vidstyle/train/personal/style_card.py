"""The card of a personal style: how it was learned, how close it comes, and its limits."""

from __future__ import annotations

from vidstyle.train.options import LearnOptions
from vidstyle.train.personal.material import Material

WAYS = {
    "before": "their look taken off",
    "reinhard": "Reinhard",
    "mkl": "MKL",
    "histogram": "histogram",
    "after": "the style",
}
CARD = """# {name}

{summary}

![Samples]({name}.png)

Frames with their look taken off, with the style on, and as they are.

## Learned from

{frames} frames of {scenes} scenes in {files} files ({names}). Its scenes are {apart}
(from 0.9 on it would be several looks). {held} of the frames were held back for the figures below.

## Training

{steps} steps in {minutes:.1f} minutes, begun with the shipped style `vlogger` and what the reader read
from the frames; seed {seed}. All options: `vidstyle styles {name} --json`.

## Figures

Distance of the colors of the frames held back to what they should be, sliced Wasserstein in CIELAB.
The plain transfers are fitted to the frames learned from, from the colors of ordinary photos.

| | color |
|---|---|
{rows}

- Frames held back, their look taken off and the style put on, are {round_trip:.2f} from themselves (mean
  CIELAB error).
- Flicker: {flicker}

## Limits

- Color and light only: no drawing, no lens, no grain.
- How the footage looked before its grade is not known: the reader guesses it from what photos usually look
  like.
- Colors that the material hardly shows are such a guess too. More scenes of different things make it surer.

## License

{licence}

Provenance: {provenance}. The reader was trained on photos of public research collections, like `vlogger`.
"""


def card(
    options: LearnOptions,
    material: Material,
    apart: float,
    held: int,
    work: tuple[int, float],
    figures: dict[str, float],
) -> str:
    """The card in Markdown. apart: see `disagreement`; held: frames held out; work: (steps, seconds)."""
    flicker = "not measured: the material has no clips."
    if "flicker" in figures:
        flicker = (
            f"{figures['flicker']:.2f} times the warping error between neighboring frames of the material, "
            "without\n  smoothing; `vidstyle evaluate` measures it on your own clip."
        )
    return CARD.format(
        name=options.name,
        summary=options.summary or "A personal style, learned from its creator's own material.",
        frames=len(material.frames),
        scenes=len(material.scenes),
        files=material.files,
        names=", ".join(path.name for path in options.material),
        apart=f"{apart:.2f} apart",
        held=held,
        steps=work[0],
        minutes=work[1] / 60,
        seed=options.seed,
        rows="\n".join(f"| {words} | {figures[f'colour_{key}']:.2f} |" for key, words in WAYS.items()),
        round_trip=figures["round_trip"],
        flicker=flicker,
        licence=options.licence or "Not stated. Whoever owns the material decides; say so with --licence.",
        provenance=options.provenance or "not stated; say so with --provenance",
    )
