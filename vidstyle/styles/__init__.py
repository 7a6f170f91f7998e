"""Styles: their files, names, blends, execution and export."""
