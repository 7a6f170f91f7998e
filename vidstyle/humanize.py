"""Durations and sizes as people write them."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """2.6 s, 45 s, 2 min 5 s, 3 h 20 min, 2 days 4 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _both(*divmod(whole, 60), "min", "s")
    if whole < 48 * 3600:
        return _both(*divmod(round(whole / 60), 60), "h", "min")
    return _both(*divmod(round(whole / 3600), 24), "days", "h")


def size_in_words(size_bytes: float) -> str:
    """640 bytes, 34 kB, 3.4 MB, 1.2 GB: powers of 1000, as disks are sold."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} bytes"
    size, name = size_bytes / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if size >= 999.5:
            size, name = size / 1000, larger
    return f"{size:.1f} {name}" if size < 9.95 else f"{size:.0f} {name}"


def _both(many: int, rest: int, unit: str, smaller: str) -> str:
    return f"{many} {unit} {rest} {smaller}" if rest else f"{many} {unit}"
