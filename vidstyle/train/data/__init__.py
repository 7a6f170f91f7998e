"""Pictures and frames to learn from."""
