"""Text of documents, extracted in a separate process."""

import subprocess
import sys
from io import BytesIO
from zipfile import ZipFile

import pytest
from docx import Document
from docx.opc.constants import CONTENT_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pypdf import PdfWriter

from opportune.contrib.extraction import reader
from opportune.contrib.extraction.pages import Limits, Page, Unreadable
from opportune.contrib.extraction.reader import ROOT, DocumentReader, describe_problem
from opportune.contrib.extraction.word import OTHER_WORD_TYPES
from tests.opportune.contrib.extraction import files
from tests.opportune.contrib.extraction.files import make_docx, make_last_cell, make_pdf, make_pptx, make_xlsx, make_zip

LIMITS = Limits(max_pages=10, max_length=1_000, max_seconds=30)
HTML = """<!doctype html><title>Guide</title><nav>Home</nav><p>All about <b>loans</b>.</p>
<script>document.write('stolen')</script><h2>Fines &amp; fees</h2><ul><li>One day<li>Ten cents</ul>
<table><tr><th>Book <th>Fine</tr> <tr> <td>Emma</td> <td>2</td></tr></table>"""
HTML_TEXT = "One day\nTen cents\n\nBook | Fine\nEmma | 2"
SLIDE = "Hours\nNot on Mondays\nHolidays."
PRICES: list[list[object]] = [["Prices of books"], ["Book", "Price"], ["Emma", 9.5], ["Dune", None]]
ROWS = "Prices of books\nBook | Price\nBook: Emma | Price: 9.5\nBook: Dune"
MARKDOWN = "# Loans\nFour *weeks*.\n```\n# no heading\n```\n## Fines\nTen cents."
SECTIONS = [Page(0, "Loans", "Four *weeks*.\n```\n# no heading\n```"), Page(0, "Fines", "Ten cents.")]
BEFORE = "<w:r><w:t>before</w:t></w:r>"
PLACEHOLDER = "<w:sdtPr><w:showingPlcHdr/></w:sdtPr>"
BOX = "<w:p><w:r><w:t>box</w:t></w:r></w:p>"


def read(filename: str, content: bytes, limits: Limits = LIMITS) -> list[Page]:
    return list(DocumentReader(filename, content, limits).pages())


@pytest.mark.parametrize(
    ("filename", "content", "pages"),
    [
        ("a.pdf", make_pdf("One", "Two"), [Page(1, "", "One"), Page(2, "", "Two")]),
        ("a.docx", make_docx(), [Page(0, "", "Preface."), Page(0, "Loans", "Four weeks.\nFine | 10 cents")]),
        ("a.pptx", make_pptx(), [Page(1, "Welcome", "Welcome\nLibrary card"), Page(2, "Hours", SLIDE)]),
        ("a.xlsx", make_xlsx({"Prices": PRICES, "Empty": []}), [Page(0, "Prices", ROWS), Page(0, "Empty", "")]),
        ("a.xlsx", make_last_cell("Far away"), [Page(0, "Sheet", "Far away")]),
        ("a.html", HTML.encode(), [Page(0, "Guide", "All about loans."), Page(0, "Fines & fees", HTML_TEXT)]),
        (
            "a.html",
            b"<h2>A<h3>B</h3></h2>c<h1>D<p>e<p>f",
            [Page(0, "A", "A"), Page(0, "B", "c"), Page(0, "D", "e\n\nf")],
        ),
        ("a.html", b"<h1><table><td>A<td>B</table></h1>c<h1>D<p>e", [Page(0, "A B", "c"), Page(0, "D", "e")]),
        ("a.md", MARKDOWN.encode(), SECTIONS),
        ("a.md", b"# Plan" + b" " * 9_999 + b"B ##", [Page(0, f"{'Plan':200}", "Plan")]),
        ("a.html", ("<p>" + "\u2003" * 300_000 + "a").encode(), [Page(0, "", "a")]),
        ("a.txt", "Käse\n".encode("utf-16"), [Page(0, "", "Käse")]),
        ("a.html", b'<meta charset="latin1"><p>K\xe4se</p>', [Page(0, "", "Käse")]),
    ],
)
def test_format_is_read(filename: str, content: bytes, pages: list[Page]) -> None:
    assert read(filename, content) == pages


def test_word_file_with_macros_and_picture_is_read() -> None:
    with ZipFile(BytesIO(make_docx())) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["word/media/a.svg"] = ENTITIES.encode()
    types = "[Content_Types].xml"
    parts[types] = parts[types].replace(CONTENT_TYPE.WML_DOCUMENT_MAIN.encode(), OTHER_WORD_TYPES[0].encode())
    assert read("a.docm", make_zip(parts))[1].heading == "Loans"


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("<w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>", "new"),
        ("<w:sdt><w:sdtContent><w:r><w:t>choice</w:t></w:r></w:sdtContent></w:sdt>", "choice"),
        (f"{BEFORE}<w:r><w:pict><w:txbxContent>{BOX}{BOX}</w:txbxContent></w:pict></w:r>", "before\nbox\nbox"),
        (f"{BEFORE}<w:sdt>{PLACEHOLDER}<w:sdtContent>{BEFORE}</w:sdtContent></w:sdt>", "before"),
    ],
)
def test_word_file_with_changes_forms_and_boxes_is_read(xml: str, text: str) -> None:
    document = Document()
    paragraph = f"<w:p {nsdecls('w')}>{xml}</w:p>"
    form = f"<w:sdt {nsdecls('w')}><w:sdtContent>{paragraph}</w:sdtContent></w:sdt>"
    for index, block in enumerate((paragraph, form)):
        document.element.body.insert(index, parse_xml(block))
    assert read("a.docx", files.saved(document)) == [Page(0, "", f"{text}\n{text}")]


@pytest.mark.parametrize(
    ("annotations", "lines"),
    [
        ("999 0 R null << /Parent 999 0 R >> << /FT /Tx /T (City) /V (Wien) >>", "City: Wien"),
        ("<< /Parent 99 0 R >> << /Parent 99 0 R >>", "City: Wien"),
        ("<< /FT /Btn /T (Agree) /V /Yes >> << /FT /Btn /T (Paid) /V /Off >>", "Agree: Yes"),
        ("<< /FT /Ch /T (Days) /V [(Mon) (Tue)] >> << /FT /Tx /T (Empty) /V ( ) >>", "Days: Mon, Tue"),
    ],
)
def test_fields_of_a_pdf_form_are_read(annotations: str, lines: str) -> None:
    content = make_pdf("Form").replace(b"/MediaBox", f"/Annots [{annotations}] /MediaBox".encode())
    shared = b"99 0 obj\n<< /FT /Tx /T (City) /V (Wien) /Parent 99 0 R >>\nendobj\nxref\n"
    assert read("a.pdf", content.replace(b"xref\n", shared, 1)) == [Page(1, "", f"Form\n\n{lines}")]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[None, "Q1"], ["Sales", 5]], "Q1\nSales | Q1: 5"),
        ([["Report"], ["Sales", 5], ["Cost", 3]], "Report\nReport: Sales | 5\nReport: Cost | 3"),
    ],
)
def test_headings_of_a_sheet_are_found(rows: list[list[object]], text: str) -> None:
    assert read("a.xlsx", make_xlsx({"S": rows})) == [Page(0, "S", text)]


def test_merged_cells_of_a_word_file_repeat_their_text() -> None:
    document = Document()
    table = document.add_table(3, 3)
    for row, texts in enumerate((("Shop", "", "Fruit"), ("Apple", "1", ""), ("Pear", "2", ""))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(0, 2).merge(table.cell(2, 2))
    assert read("a.docx", files.saved(document))[0].text == "Shop | Fruit\nApple | 1 | Fruit\nPear | 2 | Fruit"


def test_format_is_detected_from_content() -> None:
    assert read("report.pdf", make_docx())[1].heading == "Loans"
    assert read("page.docx", HTML.encode())[0].heading == "Guide"


def locked_pdf() -> bytes:
    writer, file = PdfWriter(BytesIO(make_pdf("Secret"))), BytesIO()
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(file)
    return file.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
WORD = {"word/document.xml": b"<document/>"}
ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it.pdf is empty"),
        (b"%PDF-1.4 and no more", "it.pdf is damaged"),
        (make_pdf("", ""), "it.pdf contains no text; it may be a scan"),
        (locked_pdf(), "it.pdf is protected by a password"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "it.pdf is protected by a password"),
        (make_xlsx({"Empty": []}), "it.pdf is empty"),
        (make_zip(WORD), "it.pdf is damaged"),
        (make_zip({"xl/workbook.xml": f"<!--{' ' * 5_000}-->{ENTITIES}".encode()}), "it.pdf is refused"),
        (make_zip({"xl/workbook.xml": b"<book/>", "a.svg": ENTITIES.encode("utf-16")}), "it.pdf is refused"),
        (b"{\\rtf1 text}", "it.pdf is in an old format"),
    ],
)
def test_unreadable_file_has_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable) as problem:
        read("it.pdf", content)
    assert describe_problem(str(problem.value), "it.pdf").startswith(sentence)


def test_file_that_exhausts_memory_is_refused() -> None:
    archive = make_zip(WORD | {"word/media/a.bin": b"\0" * 210_000_000})
    for name, content in (("it.pdf", b"\0" * 300_000_000), ("it.docx", archive)):
        with pytest.raises(Unreadable, match="bomb"):
            read(name, content)


def test_pages_and_characters_above_the_limits_are_cut() -> None:
    document = DocumentReader("a.pdf", make_pdf("One", "Two", "Three"), Limits(2, 1_000, 30))
    assert ([page.text for page in document.pages()], document.total, document.is_cut) == (["One", "Two"], 3, True)
    document = DocumentReader("a.txt", b"0123456789", Limits(5, 4, 30))
    assert ([page.text for page in document.pages()], document.is_cut) == (["0123"], True)


def printing(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """Replace the program by one that prints lines and then hangs."""
    code = f"import threading; print({lines!r}, end='', flush=True); threading.Event().wait()"
    monkeypatch.setattr(reader, "START", code)


def test_slow_document_is_read_until_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    printing(monkeypatch, '{"total": 3}\n{"page": [1, "", "One"]}\n{"page": [2, "", "Two\\u0000"]}\n{"page')
    document = DocumentReader("a.pdf", b"%PDF-", Limits(5, 100, 1))
    assert ([page.text for page in document.pages()], document.total, document.is_cut) == (["One", "Two"], 3, True)
    printing(monkeypatch, '{"total": 3}\n')
    with pytest.raises(Unreadable, match="damaged"):
        read("a.pdf", b"%PDF-", Limits(5, 100, 1))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "START", f"import sys; sys.modules['docx'] = None; {reader.START}")
    with pytest.raises(Unreadable) as problem:
        read("a.docx", make_docx())
    assert "python3 oppman.py install office" in describe_problem(str(problem.value), "a.docx")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such limits")
def test_program_has_a_memory_limit() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from opportune.contrib.extraction import program"
    code += "; program.limit_resources(30); bytearray(300_000_000)"
    done = subprocess.run([sys.executable, "-I", "-c", code, str(ROOT)], capture_output=True, check=False)
    assert b"MemoryError" in done.stderr


def test_program_does_not_import_the_site() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from opportune.contrib.extraction import program"
    code += "; print(*(name for name in sys.modules if name.startswith(('opportune', 'app'))))"
    done = subprocess.run([sys.executable, "-I", "-c", code, str(ROOT)], capture_output=True, check=True, text=True)
    assert {name.split(".")[2] for name in done.stdout.split() if name.count(".") > 1} == {"extraction"}
