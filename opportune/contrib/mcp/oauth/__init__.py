"""OAuth 2.1 for `/mcp`: programs make themselves known, and people let them in."""
