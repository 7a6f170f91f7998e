"""`python -m vidstyle` is the command `vidstyle`."""

from __future__ import annotations

from vidstyle.cli import main

main()
