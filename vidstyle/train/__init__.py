"""Training: learning a style from unpaired pictures. `vidstyle.train.loop.train` is the entry point.

Imports nothing, so that the command line reads the options without loading torch.
"""
