"""Doors to other programs: VapourSynth, ComfyUI, a page of your own. Each needs only its host."""
