"""Templates that a test adds to the site."""

import pytest
from jinja2 import ChoiceLoader, DictLoader

from opportune.web import templates


def add_templates(monkeypatch: pytest.MonkeyPatch, texts: dict[str, str]) -> None:
    """Add templates by their names for the test. They take precedence over those of the site."""
    environment = templates.environment
    assert environment.loader
    monkeypatch.setattr(environment, "loader", ChoiceLoader([DictLoader(texts), environment.loader]))
