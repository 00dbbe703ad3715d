"""First bytes of files that need a program to be read. The site checks them without importing these programs."""

ZIP = b"PK\x03\x04"
"""Beginning of office files."""
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Beginning of old office files, and of office files with a password."""
RTF = b"{\\rtf"


def is_packed(content: bytes) -> bool:
    """Return whether a file needs a program to be read: it is a PDF, an office file or RTF."""
    return b"%PDF-" in content[:1024] or content.startswith((ZIP, OLE, RTF))
