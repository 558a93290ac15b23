"""The smallest PDF that shows a page of text: the same lines, the same bytes.

PDF 1.4, one page of A4, Helvetica in WinAnsi encoding, which has the letters of French.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENCODING: Final = "cp1252"
"""What PDF calls WinAnsi."""
_FONTS: Final = b"<< /Font << /F1 5 0 R >> >>"


def pdf(title: str, lines: Sequence[str]) -> bytes:
    """A page with a title and lines below it. Text that is too long runs off the page: the lines are ours."""
    text = [b"BT /F1 16 Tf 60 780 Td 20 TL", _show(title), b"/F1 11 Tf T*", *map(_show, lines), b"ET"]
    content = b"\n".join(text)
    return _file(
        (
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %s >>" % _FONTS,
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
            b"<< /Title %s /Producer (fhir-server) >>" % _string(title),
        )
    )


def _show(line: str) -> bytes:
    return b"%s Tj T*" % _string(line)


def _string(text: str) -> bytes:
    raw = text.encode(_ENCODING)
    return b"(" + raw.replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)") + b")"


def _file(objects: Sequence[bytes]) -> bytes:
    """Objects numbered from 1, the table of their offsets, and the trailer; the last object is the Info dictionary."""
    body = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"<< /Size %d /Root 1 0 R /Info %d 0 R >>" % (len(objects) + 1, len(objects))
    body += b"trailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (trailer, table)
    return bytes(body)
