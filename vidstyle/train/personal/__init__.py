"""`learn`: a personal style from a creator's own material."""
