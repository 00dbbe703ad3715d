"""Diagnose problems of the database.

Changes nothing. The exit code is 1 if the site would not work.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from opportune.cli.loop import open_event_loop
from opportune.cli.output import print_json
from opportune.cli.terminal import columns, fold, styled
from opportune.config.settings import Settings, get_settings
from opportune.contrib.doctor.diagnose import diagnose
from opportune.contrib.doctor.examination import Diagnosis, DoctorContext, Finding, Status
from opportune.errors import OperatorError
from opportune.project.installed import installed_names

COLOURS = {Status.OK: "green", Status.NOTICE: "yellow", Status.FAULT: "red"}
STATUS_WIDTH_CHARS = 6
NAME_WIDTH_CHARS = 12
INDENT_CHARS = STATUS_WIDTH_CHARS + NAME_WIDTH_CHARS + 4
"""Width of the columns before the text, with the spaces around them."""
MIN_TEXT_WIDTH_CHARS = 30


def command(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="Address of a database. [default: those of the settings]")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of workers of runserver.")] = 1,
    machines: Annotated[int, typer.Option(min=1, help="Number of machines, each with so many workers.")] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (oppman.py docs databases describes the keys).")
    ] = False,
) -> None:
    settings = get_settings()
    with open_event_loop() as loop:
        diagnoses = loop.run(diagnose(doctor_context(settings, url, workers * machines)))
    if as_json:
        print_json(as_data(diagnoses))
    else:
        print("\n\n".join("\n".join(report_lines(diagnosis)) for diagnosis in diagnoses))
    if faults := [fault for diagnosis in diagnoses for fault in diagnosis.faults]:
        raise OperatorError(summary(faults))


def doctor_context(settings: Settings, url: str | None, processes: int) -> DoctorContext:
    """Return the settings' databases, or only the database at this URL."""
    if url is None:
        return DoctorContext(settings, installed_names(), processes)
    unset = dict.fromkeys(("database_reader_url", "database_direct_url"), SecretStr(""))
    settings = settings.model_copy(update={"database_url": SecretStr(url), **unset})
    return DoctorContext(settings, installed_names(), processes, name="URL")


def as_data(diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    return {
        "healthy": not any(diagnosis.faults for diagnosis in diagnoses),
        "databases": [
            {
                "setting": diagnosis.url.name,
                "url": diagnosis.url.redacted,
                "kind": diagnosis.url.kind,
                "healthy": not diagnosis.faults,
                "checks": [asdict(finding) for finding in diagnosis.findings],
            }
            for diagnosis in diagnoses
        ],
    }


def report_lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"{diagnosis.url.name}: {diagnosis.url.redacted}"
    for finding in diagnosis.findings:
        status = styled(finding.status.ljust(STATUS_WIDTH_CHARS), COLOURS[finding.status])
        first_line, *other_lines = wrapped_lines(finding)
        yield f"  {status} {finding.check.ljust(NAME_WIDTH_CHARS)} {first_line}"
        yield from (f"{' ' * INDENT_CHARS}{line}" for line in other_lines)


def wrapped_lines(finding: Finding) -> list[str]:
    """Return the text and the fix, wrapped to the width of the terminal after the name of the check."""
    width = max(columns() - INDENT_CHARS, MIN_TEXT_WIDTH_CHARS) if columns() else 0
    texts = [finding.text, finding.fix] if finding.fix else [finding.text]
    return [line for text in texts for line in fold(text, width)]


def summary(faults: Sequence[Finding]) -> str:
    if len(faults) > 1:
        return f"{len(faults)} checks failed: {', '.join(fault.check for fault in faults)}."
    (fault,) = faults
    return f"{fault.check}: {fault.text.removesuffix('.')}. {fault.fix}"
