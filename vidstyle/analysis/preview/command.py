"""The apply command that a preview shows: it works on this clip as it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vidstyle.analysis.preview.where import where_arguments
from vidstyle.errors import OutputError
from vidstyle.frames import VideoInfo
from vidstyle.media.inputs import target_of
from vidstyle.options import ApplyOptions, PreviewOptions
from vidstyle.pipeline.plan import plan
from vidstyle.styles.style import Style


def apply_arguments(
    source: Path, info: VideoInfo, style: Style, options: PreviewOptions
) -> tuple[tuple[str, ...], list[str]]:
    """The options that the apply command needs for this clip besides the style, and why, in sentences."""
    arguments = [*where_arguments(options.where)]
    notes: list[str] = []
    apply_options = replace(options.where or ApplyOptions(), fps=options.fps, device="cpu")
    if options.fps is not None:
        arguments += ["--fps", str(options.fps)]
    if info.interlaced:
        arguments.append("--deinterlace")
        notes.append("The clip is interlaced: each pair of fields becomes one frame.")
        apply_options = replace(apply_options, deinterlace=True)
    if info.is_hdr:
        arguments += ["--hdr", "tonemap"]
        notes.append("The clip is HDR. It is shown tone mapped to SDR.")
        apply_options = replace(apply_options, hdr="tonemap")
    with TemporaryDirectory() as folder:
        for codec in ("auto", "prores", "ffv1"):
            tried = replace(apply_options, codec=codec)
            target = Path(folder) / target_of(source, "try", Path(folder), tried.preset.suffixes).name
            try:
                plan(source, style, target, tried)
            except OutputError:
                continue
            return (*arguments, *(("--codec", codec) if codec != apply_options.codec else ())), notes
    return tuple(arguments), notes
