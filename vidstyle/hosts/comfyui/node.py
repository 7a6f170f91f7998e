"""The node that restyles a picture, or the frames of a clip, in ComfyUI."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vidstyle.pipeline.street import restyle
from vidstyle.styles.library import list_styles
from vidstyle.styles.load import load_style


class VidstyleRestyle:
    """ComfyUI reads these names; IMAGE is a tensor [N, H, W, 3] of float32 in 0..1."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "restyled"
    CATEGORY = "image/vidstyle"
    DESCRIPTION = "Gives pictures, or the frames of a clip, the look of a style."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - the name that ComfyUI asks for
        share = {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05}
        return {
            "required": {
                "image": ("IMAGE",),
                "style": ([facts.name for facts in list_styles()],),
                "strength": ("FLOAT", share),
                "frames_of_a_clip": ("BOOLEAN", {"default": False}),
            },
            "optional": {"style_file": ("STRING", {"default": ""})},
        }

    def restyled(
        self, image: Tensor, style: str, strength: float, frames_of_a_clip: bool, style_file: str = ""
    ) -> tuple[Tensor]:
        """frames_of_a_clip: they follow each other and are smoothed along the motion. style_file: what
        `load_style` takes, in place of `style`.
        """
        look = load_style(style_file or style, device="auto").with_(strength=strength)
        pictures = image[..., :3].movedim(-1, 1)
        if not frames_of_a_clip:
            return (look(pictures).movedim(1, -1).cpu(),)
        with restyle(iter(pictures.float().clamp(0, 1)), look, smooth=True, device=str(look.device)) as made:
            return (torch.stack([frame.tensor().movedim(0, -1) for frame in made]),)


NODE_CLASS_MAPPINGS = {"VidstyleRestyle": VidstyleRestyle}
NODE_DISPLAY_NAME_MAPPINGS = {"VidstyleRestyle": "Restyle (vidstyle)"}
