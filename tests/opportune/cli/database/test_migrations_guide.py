"""Runs docs/migrations.md from top to bottom in a copy of the project."""

import re
import shlex
from collections.abc import Iterator
from itertools import chain, groupby
from operator import itemgetter

from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import ProjectCopy
from tests.opportune.guides import read_guide

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_documented_commands_work_in_order(shared_copy: tuple[ProjectCopy, RunCommand], run: RunCommand) -> None:
    copy, _ = shared_copy
    names = set()
    for language, blocks in groupby(BLOCK.findall(read_guide("migrations.md")), itemgetter(0)):
        texts = [text for _, text in blocks]
        if language == "python":
            for text in texts:
                write_code(copy, text)
            continue
        block = list(chain.from_iterable(map(commands, texts)))  # one process until the next change of the code
        code, output = run(*list(chain.from_iterable(("&&", *words) for words in block))[1:])
        assert code == 0, f"{block}: {output}"
        names |= {words[0] for words in block}
    assert names >= {"makemigrations", "migrate", "showmigrations", "sqlmigrate", "backup", "squashmigrations"}
    migrations = (copy.folder / "migrations/versions/notes").glob("*.py")
    assert [path.name for path in migrations] == ["0007_squashed.py"]
    assert len(list((copy.folder / "data/backups").iterdir())) == 1


def commands(block: str) -> Iterator[list[str]]:
    for line in block.splitlines():
        start, program, *words = shlex.split(line)
        assert (start, program) == ("python3", "oppman.py")
        yield words


def write_code(copy: ProjectCopy, code: str) -> None:
    """Write a code block to the file that its first line names. Others change the newest migration."""
    if named := re.match(r"# (\S+\.py)(?:, in place of (\w+)|, before ([\w ]+))?\n", code):
        path = copy.folder / named[1]
        text = path.read_text(encoding="utf-8")
        block = code[named.end() :]
        if named[3]:
            new = text.replace(named[3], f"{block}\n\n{named[3]}", 1)
        else:
            new = re.sub(rf"^ +{named[2]}\b.*\n", block, text, count=1, flags=re.MULTILINE) if named[2] else code
        assert new != text
        path.write_text(new, encoding="utf-8")
        return
    path = max((copy.folder / "migrations/versions/notes").glob("*.py"))
    head, _, _ = path.read_text(encoding="utf-8").partition("def upgrade()")
    path.write_text(head + code, encoding="utf-8")
