"""Commands as users run them, with exit code and output."""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import pytest

from opportune.cli import output
from opportune.cli.main import main
from opportune.config.settings import clear_settings_cache
from opportune.project.modules import settings_class


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def line(self, code: int = 1) -> str:
        """Return the only line that a refused command prints."""
        assert (self.code, self.out, self.err.count("\n")) == (code, "", 1), self
        return self.err


class Oppman(Protocol):
    def __call__(self, *arguments: str, **environ: str) -> Outcome: ...


@pytest.fixture
def oppman(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Oppman]:
    """Run a command in this process with these settings only. Without lines of progress, which a busy machine adds."""
    monkeypatch.setattr(output, "PLAIN_PROGRESS_SECONDS", math.inf)
    monkeypatch.setitem(settings_class().model_config, "env_file", None)

    def run(*arguments: str, **environ: str) -> Outcome:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        clear_settings_cache()
        capsys.readouterr()
        return Outcome(main(arguments), *capsys.readouterr())

    yield run
    clear_settings_cache()
