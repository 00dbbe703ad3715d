"""Commands for translations."""
