"""A folder of a few pages, as built by Sphinx."""

import zlib
from pathlib import Path

INVENTORY_OBJECTS = Path(__file__).with_name("sphinx_objects.txt").read_text(encoding="utf-8")
INVENTORY_HEADER = b"# Sphinx inventory version 2\n# Project: Shelf\n# Version: 1.2\n# The rest is compressed.\n"

PATH_PAGE = Path(__file__).with_name("sphinx_path.html").read_text(encoding="utf-8")

GLOSSARY_PAGE = """<div class="body" role="main"><section id="glossary"><h1>Glossary</h1>
<dl class="glossary"><dt id="term-shelf">shelf</dt><dd><p>What holds books.</p></dd>
<dt id="term-book">book</dt><dd><p>What is read.</p></dd></dl></section></div>"""


def make_inventory(objects: str = INVENTORY_OBJECTS) -> bytes:
    return INVENTORY_HEADER + zlib.compress(objects.encode())


def make_sphinx_folder(folder: Path) -> Path:
    (folder / "library").mkdir(parents=True)
    (folder / "objects.inv").write_bytes(make_inventory())
    (folder / "library/path.html").write_text(PATH_PAGE)
    (folder / "glossary.html").write_text(GLOSSARY_PAGE)
    return folder
