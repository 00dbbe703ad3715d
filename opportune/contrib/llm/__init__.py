"""Language models: one interface for OpenAI-compatible endpoints, a local model and custom providers."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
