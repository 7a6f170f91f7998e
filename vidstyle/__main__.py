"""`python -m vidstyle` is the command `vidstyle`."""

from vidstyle.cli import main

main()
