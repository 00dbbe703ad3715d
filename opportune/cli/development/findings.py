"""Findings of `check` and `deploy check`, as lines or as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from opportune.checks import Finding
from opportune.cli.output import say
from opportune.cli.terminal import styled
from opportune.errors import OperatorError
from opportune.project.current import with_program


def print_findings(findings: Sequence[Finding], notes: Iterable[str]) -> None:
    for note in notes:
        say(f"note: {note}")
    for finding in findings:
        colour = "red" if finding.is_error else "yellow"
        print(f"{styled(level(finding), colour)}: {with_program(finding.text)}")


def as_data(findings: Sequence[Finding], notes: Iterable[str]) -> dict[str, Any]:
    return {
        "ok": not any(finding.is_error for finding in findings),
        "findings": [{"level": level(finding), "text": with_program(finding.text)} for finding in findings],
        "notes": list(notes),
    }


def level(finding: Finding) -> str:
    return "error" if finding.is_error else "warning"


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Raise OperatorError if a finding is an error."""
    if errors := sum(finding.is_error for finding in findings):
        raise OperatorError(f"Fix these {errors} errors." if errors > 1 else "Fix this error.")
