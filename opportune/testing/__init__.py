"""Helpers for the tests of a project. The fixtures are in `opportune.testing.plugin`.

They are imported on first use, because the plugin is also imported in processes that need none of them.
"""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
