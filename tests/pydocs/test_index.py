"""Entries made from Python's modules and language reference, and their ranking."""

import sys
from pathlib import Path

import pytest

from app.pydocs.documents import Entry
from app.pydocs.schemas import EntryRead
from app.pydocs.sources import python
from app.pydocs.sources.python import PythonSource, create_language_entries
from tests.pydocs.search_index import fill_index, make_piece, open_search


@pytest.fixture(scope="module")
def pieces_by_slug() -> dict[str, Entry]:
    batches = ["builtins", "collections", "json", "math", "os.path", "typing"]
    results = [result for _, result in PythonSource().read(batches)]
    return {piece.slug: piece for pieces in results if not isinstance(pieces, str) for piece in pieces}


def test_python_objects_are_described(pieces_by_slug: dict[str, Entry]) -> None:
    kinds = {slug: pieces_by_slug[slug].kind for slug in ("os.path", "dict", "dict.get", "json.dumps", "math.pi")}
    assert list(kinds.values()) == ["module", "class", "method", "function", "data"]
    assert pieces_by_slug["json.JSONDecodeError"].kind == "exception"
    join = pieces_by_slug["os.path.join"]
    assert (join.signature, join.parent, join.module) == ("join(a, *p)", "os.path", "os.path")
    assert "pathname" in join.title
    assert pieces_by_slug["math.pi"].title == "float, 3.141592653589793"
    assert pieces_by_slug["dict.get"].parent == "dict"
    assert len(pieces_by_slug) > 500


def test_failing_module_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "INSPECT_PROGRAM", copy_script_with_bad_modules(tmp_path))
    results_to_come = PythonSource().read(["hangs", "exits", "fails", "prints", "absent", "json"])
    with monkeypatch.context() as short_timeout:
        short_timeout.setattr(python, "MODULE_TIMEOUT_SECONDS", 0.3)
        results = dict([next(results_to_come)])
    results |= dict(results_to_come)
    assert results["hangs"] == "its process exited, or took more than 0.3 seconds"
    assert results["exits"] == "its process exited, or took more than 20 seconds"
    assert results["fails"] == "RuntimeError: no"
    assert results["absent"] == []
    assert [pieces[0].slug for pieces in results.values() if isinstance(pieces, list) and pieces] == ["prints", "json"]


def copy_script_with_bad_modules(folder: Path) -> Path:
    modules = {
        "hangs": "import time; time.sleep(60)",
        "exits": "import os; os._exit(3)",
        "fails": "raise RuntimeError('no')",
        "prints": "print('[]', flush=True); import os; os.write(1, b'[]')",
    }
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    script = python.INSPECT_PROGRAM.read_text()
    (folder / "inspecting.py").write_text(f"import sys; sys.path.append({str(folder)!r})\n{script}")
    return folder / "inspecting.py"


def test_index_contains_no_local_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret of this machine")
    ((_, pieces),) = PythonSource().read(["os"])
    assert "os.environ" in {piece.slug for piece in pieces if isinstance(piece, Entry)}
    texts = " ".join(piece.body + piece.signature for piece in pieces if isinstance(piece, Entry))
    assert "a secret of this machine" not in texts
    assert sys.prefix not in texts


@pytest.mark.database("sqlite", "postgresql")
async def test_builtins_rank_first(empty_database_url: str, pieces_by_slug: dict[str, Entry]) -> None:
    built_in = [piece for piece in pieces_by_slug.values() if piece.module == "builtins"]
    similar_names = [
        make_piece("webbrowser.open"),
        make_piece("io.open"),
        make_piece("for_each", "module"),
        make_piece("withdraw", "module"),
    ]
    fill_index(empty_database_url, [*similar_names, *create_language_entries(), *built_in])
    search = open_search(empty_database_url)
    for query, kind in {"open": "function", "for": "keyword", "with": "keyword", "yield": "keyword"}.items():
        best = (await search.find(query)).items[0]
        assert (best.name, best.kind) == (query, kind)
    await search.close()
    body = (await read_entry(empty_database_url, "keyword/try")).body_html
    assert "<p>" in body


async def read_entry(url: str, slug: str) -> EntryRead:
    search = open_search(url)
    try:
        return EntryRead.of(await search.get(slug))
    finally:
        await search.close()
