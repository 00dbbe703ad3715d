"""Exports of a package on first access."""
