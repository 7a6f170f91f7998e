"""Numbers of pixels: color, tables, resizing and filters, on tensors. Opens no files."""
