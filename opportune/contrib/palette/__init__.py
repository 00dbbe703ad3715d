"""Search over everything at /search, and in the command palette of each page."""
