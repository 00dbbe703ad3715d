"""Templates that a test brings along."""

import pytest
from jinja2 import ChoiceLoader, DictLoader

from opportune.web import templates


def add_templates(monkeypatch: pytest.MonkeyPatch, texts: dict[str, str]) -> None:
    """Have these found before the site's, by their names, until the test is over."""
    environment = templates.environment
    assert environment.loader
    monkeypatch.setattr(environment, "loader", ChoiceLoader([DictLoader(texts), environment.loader]))
