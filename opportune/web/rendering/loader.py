"""Old path of `TemplateLoader`, for the tests of projects created with 0.2."""

from opportune.web.rendering.environment import TemplateLoader

__all__ = ["TemplateLoader"]
