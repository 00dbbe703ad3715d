"""Helpers that examine a database and select findings."""

from collections.abc import Iterable

import pytest

from opportune.config.settings import Settings
from opportune.contrib.doctor import diagnose as diagnose_module
from opportune.contrib.doctor.diagnose import diagnose
from opportune.contrib.doctor.examination import Diagnosis, DoctorContext, Finding
from opportune.contrib.doctor.server import CHECKS
from opportune.project.installed import installed_names


async def examine(settings: Settings, processes: int = 1) -> Diagnosis:
    return (await diagnose(DoctorContext(settings, installed_names(), processes)))[0]


async def run_check(name: str, settings: Settings) -> Finding:
    """Run only the server check with this name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnose_module, "CHECKS", {name: CHECKS[name]})
        return find_finding(name, (await examine(settings)).findings)


def find_finding(check: str, findings: Iterable[Finding]) -> Finding:
    (finding,) = (finding for finding in findings if finding.check == check)
    return finding
