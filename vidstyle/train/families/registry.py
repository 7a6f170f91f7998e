"""Names of the families and where their classes are. Loads no torch: the command line lists the names."""

from __future__ import annotations

# Name in options and style files -> class. Add a family here.
FAMILY_CLASSES = {
    "photographic": "vidstyle.train.families.photographic.Photographic",
    "drawn": "vidstyle.train.families.drawn.Drawn",
    "painted": "vidstyle.train.families.drawn.Painted",
    "colour": "vidstyle.train.families.colorize.Colorize",
}
FAMILIES = tuple(FAMILY_CLASSES)
