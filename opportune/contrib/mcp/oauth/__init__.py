"""OAuth 2.1 for `/mcp`: programs register themselves, and users authorize them."""
