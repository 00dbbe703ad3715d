"""A folder of a few pages, as built by Sphinx."""

import zlib
from pathlib import Path

INVENTORY_OBJECTS = """\
shelf.path py:module 0 library/path.html#module-shelf.path -
shelf.path.join py:function 1 library/path.html#$ -
shelf.path.combine py:function 1 library/path.html#$ -
shelf.path.Walker py:class 1 library/path.html#$ -
shelf.path.Walker.walk py:method 1 library/path.html#$ -
term-shelf std:term -1 glossary.html#$ shelf
files std:label -1 library/path.html#files About files
library/path std:doc -1 library/path.html Paths
glossary std:doc -1 glossary.html Glossary
genindex std:doc -1 genindex.html Index
missing std:doc -1 missing.html Missing
"""
INVENTORY_HEADER = b"# Sphinx inventory version 2\n# Project: Shelf\n# Version: 1.2\n# The rest is compressed.\n"

PATH_PAGE = """<!DOCTYPE html><html><head><title>not this</title><script>var bad = "<p>";</script></head><body>
<div class="sphinxsidebar"><p>aside</p></div>
<div class="body" role="main">
<section id="module-shelf.path"><h1>shelf.path — Paths<a class="headerlink" href="#module-shelf.path">¶</a></h1>
<p>Works on <a href="../glossary.html#term-shelf">shelves</a> and <a href="#shelf.path.join">joins</a>,
see <a href="https://example.org/">elsewhere</a>, <a href="javascript:alert(1)">not here</a>
<img src="x.png" onerror="alert(1)"><script>alert(1)</script>.</p>
<div class="highlight"><pre><span class="kn">import</span> shelf &lt;3</pre></div>
<dl class="py function">
<dt class="sig" id="shelf.path.join">shelf.path.join(<em>path</em>)<a class="headerlink">¶</a></dt>
<dt class="sig" id="shelf.path.combine">shelf.path.combine(<em>path</em>)</dt>
<dd><p>Join paths &amp; more. It takes two.</p><dl class="simple"><dt>path</dt><dd>a path</dd></dl></dd></dl>
<dl class="py class"><dt class="sig" id="shelf.path.Walker">class shelf.path.Walker</dt><dd><p>Walks.</p>
<dl class="py method"><dt class="sig" id="shelf.path.Walker.walk">walk()</dt><dd><p>One step.</p></dd></dl></dd></dl>
<section id="files"><h2>About files</h2><p>Words on files.</p></section>
</section></div><p>footer</p></body></html>"""

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
