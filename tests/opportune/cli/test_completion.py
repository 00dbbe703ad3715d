"""Shell completion: the script for bash, and completion of commands, options and choices."""

import shutil
import subprocess
import sys

import pytest

from opportune.cli.registry import COMPLETION_VARIABLE
from opportune.project.layout import FRAMEWORK, PROJECT
from tests.opportune.cli.conftest import Oppman

BASH = (FRAMEWORK / "cli/completion.bash").read_text()
PRINT_COMPLETIONS = """
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_oppman_completion "${{COMP_WORDS[0]}}"
echo ${{COMPREPLY[*]}}
"""


def complete_in_bash(*words: str) -> list[str]:
    quoted = " ".join(f"'{word}'" for word in words)
    command = ["bash", "--norc", "-c", BASH + PRINT_COMPLETIONS.format(words=quoted)]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=True).stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed.")
def test_bash_completes_after_oppman_and_after_python() -> None:
    assert complete_in_bash(sys.executable, "oppman.py", "showm") == ["showmigrations"]
    assert complete_in_bash(sys.executable, "script.py", "m") == []


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("oppman.py test --sq", ["--sqlite"]),
        ("oppman.py jobs list --st", ["--state"]),
        ("oppman.py jobs list --state w", ["waiting"]),
    ],
)
def test_completion_of_commands_and_options(
    oppman: Oppman, capsys: pytest.CaptureFixture[str], words: str, completions: list[str]
) -> None:
    environ = {"COMP_WORDS": words.replace(" ", "\n"), "COMP_CWORD": str(words.count(" "))}
    with pytest.raises(SystemExit):
        oppman(**{COMPLETION_VARIABLE: "complete_bash"}, **environ)
    assert capsys.readouterr().out.split() == completions
