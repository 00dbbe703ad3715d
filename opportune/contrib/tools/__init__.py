"""Tools: functions of the site that a language model may call with the permissions of the user."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
