"""Whether the systems agree better from week to week, and which rule or source is mended first (S9)."""
