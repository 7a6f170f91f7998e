"""Which processors compute convolutions in half precision, and so in half the time."""

from __future__ import annotations

from functools import cache

import torch


@cache
def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 by itself (AVX-512 BF16: Zen 4, Cooper Lake and later)."""
    return bool(torch.cpu._is_avx512_bf16_supported())
