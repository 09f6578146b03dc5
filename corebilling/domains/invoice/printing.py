"""Invoices on paper and on screen: the texts, set by the templates beside."""

import base64
import json
import threading
from collections.abc import Iterable
from pathlib import Path

import jinja2
import structlog
import typst
from billing.invoice.v1 import invoice_pb2 as pb

from corebilling.domains.invoice.facts import InvoiceFacts
from corebilling.domains.invoice.texts import invoice_texts

log = structlog.get_logger(__name__)

_TEMPLATES = Path(__file__).parent / "template"
# Families that hold a script which the printer's own fonts lack; one of each will do.
_SCRIPTS = {
    "Arabic": ("Noto Naskh Arabic", "Noto Sans Arabic", "Amiri"),
    "Chinese, Japanese and Korean": ("Noto Serif CJK JP", "Noto Sans CJK JP", "IPAexMincho", "IPAGothic"),
}


class InvoicePrinter:
    """Prints invoices, the same bytes for the same facts and fonts.

    One compiler is kept, which makes all but the first print fast; it serves one thread at a time.

    Args:
        font_folder: Fonts beside those of the system, as for names in Arabic or Japanese.
    """

    def __init__(self, font_folder: Path | None = None) -> None:
        paths = [] if font_folder is None else [str(font_folder)]
        fonts = typst.Fonts(font_paths=paths)
        for script in missing_scripts(fonts.families()):
            log.info("invoice.no_font", script=script)
        self._compiler = typst.Compiler(input=str(_TEMPLATES / "invoice.typ"), font_paths=fonts)
        self._turn = threading.Lock()
        pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._page = pages.get_template("invoice.html")

    def pdf(self, facts: InvoiceFacts) -> bytes:
        """The invoice as a PDF. Takes milliseconds of one processor: call it off the event loop."""
        # Bytes reach the template as numbers: what it is given is text.
        texts = {**invoice_texts(facts), "logo": list(facts.branding.logo)}
        with self._turn:
            pdf = self._compiler.compile(
                format="pdf", sys_inputs={"invoice": json.dumps(texts, ensure_ascii=False)}
            )
        assert isinstance(pdf, bytes), "all pages of a PDF are one file"
        return pdf

    def html(self, facts: InvoiceFacts, *, pdf_url: str = "") -> str:
        """The invoice as a page that loads nothing else; with a link to the PDF if that is somewhere."""
        logo = base64.b64encode(facts.branding.logo).decode()
        return self._page.render(invoice_texts(facts), logo=logo, pdf_url=pdf_url)


def missing_scripts(families: Iterable[str]) -> list[str]:
    """Those that invoices would show as empty boxes with these font families alone."""
    known = set(families)
    return [script for script, wanted in _SCRIPTS.items() if known.isdisjoint(wanted)]


def file_name(invoice: pb.Invoice) -> str:
    """`INV-2026-000001.pdf`; a draft bears its id."""
    return f"{invoice.number or invoice.id}.pdf"
