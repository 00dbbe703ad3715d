"""Versions of the rows of `Versioned` models, which the admin and projects can restore."""

from opportune.contrib.row_versions.service import restore_version, versions

__all__ = ["restore_version", "versions"]
