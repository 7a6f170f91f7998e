"""Steps whose numbers are not finite."""

from __future__ import annotations

import pytest
import torch

from vidstyle.errors import TrainingError
from vidstyle.train.nonfinite import MAX_IN_A_ROW, NonFiniteGuard


def test_bad_steps_are_counted_and_forgiven() -> None:
    """By their gradients or their losses; a good step ends the row."""
    faults = NonFiniteGuard()
    assert faults.is_finite(torch.tensor(1.0)) and faults.is_good(0, {"a": 1.0})
    assert not faults.is_finite(torch.tensor(float("nan"))) and not faults.is_good(1, {"a": 1.0})
    assert not faults.is_good(2, {"a": float("inf")})
    assert faults.to_dict() == {"skipped": 2, "in_a_row": 2}
    assert faults.is_good(3, {"a": 1.0})
    assert NonFiniteGuard(**faults.to_dict()) == NonFiniteGuard(skipped=2, in_a_row=0)


def test_too_many_in_a_row_end_the_run() -> None:
    """In words that name what is not finite."""
    faults = NonFiniteGuard()
    for step in range(MAX_IN_A_ROW):
        assert not faults.is_good(step, {"grade": float("nan"), "light": 1.0})
    with pytest.raises(TrainingError, match=r"step 9: .*not finite any more \(these losses: grade\)"):
        faults.is_good(9, {"grade": float("nan"), "light": 1.0})
