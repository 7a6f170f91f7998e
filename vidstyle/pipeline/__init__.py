"""A style on a whole clip or picture: plan, render, join."""
