"""Commands for deployment."""
