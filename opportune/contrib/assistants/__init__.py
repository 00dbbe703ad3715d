"""Assistants: language models with a name, instructions and tools, which users, teams and the site own."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
