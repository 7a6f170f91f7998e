"""Learning a style from unpaired pictures: `vidstyle.train.loop.train` is the way in.

Imports nothing, so that the command line can read the options without loading torch.
"""
