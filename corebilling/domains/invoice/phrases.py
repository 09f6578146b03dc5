"""What printed invoices say, in each language, and how it writes days and figures."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from billing.types.v1 import language_pb2 as pb

from corebilling.mapping import decimal_text
from corebilling.values.currency import EXPONENTS
from corebilling.values.money import major_units

# An endless fraction is cut here; the line it belongs to was rounded from all of it.
_SHOWN_DECIMALS = 12

_LOCALES: dict[int, str] = {
    pb.LANGUAGE_EN: "en_GB",
    pb.LANGUAGE_DE: "de",
    pb.LANGUAGE_FR: "fr",
    pb.LANGUAGE_ES: "es",
    pb.LANGUAGE_AR: "ar",
    pb.LANGUAGE_JA: "ja",
}
_LANGUAGES = tuple(_LOCALES)

# In the order of `_LANGUAGES`.
PHRASES: dict[str, tuple[str, ...]] = {
    "invoice": ("Invoice", "Rechnung", "Facture", "Factura", "فاتورة", "請求書"),
    "draft": ("Draft", "Entwurf", "Brouillon", "Borrador", "مسودة", "下書き"),
    "paid": ("Paid", "Bezahlt", "Payée", "Pagada", "مدفوعة", "支払済"),
    "void": ("Void", "Storniert", "Annulée", "Anulada", "ملغاة", "取消済"),
    "unpaid": ("Unpaid", "Unbezahlt", "Impayée", "Impagada", "غير مدفوعة", "未払い"),
    "bill_to": ("Bill to", "Rechnung an", "Facturer à", "Facturar a", "إلى", "請求先"),
    "invoice_number": (
        "Invoice number",
        "Rechnungsnummer",
        "Numéro de facture",
        "Número de factura",
        "رقم الفاتورة",
        "請求書番号",
    ),
    "not_given_yet": (
        "not given yet",
        "noch nicht vergeben",
        "pas encore attribué",
        "aún sin asignar",
        "لم يحدد بعد",
        "未採番",
    ),
    "issued": ("Issued", "Ausgestellt", "Émise le", "Emitida", "تاريخ الإصدار", "発行日"),
    "due": ("Due", "Fällig", "Échéance", "Vencimiento", "تاريخ الاستحقاق", "支払期限"),
    "paid_on": ("Paid", "Bezahlt am", "Payée le", "Pagada el", "تاريخ الدفع", "支払日"),
    "billing_period": (
        "Billing period",
        "Abrechnungszeitraum",
        "Période",
        "Período",
        "فترة الفوترة",
        "請求期間",
    ),
    "currency": ("Currency", "Währung", "Devise", "Moneda", "العملة", "通貨"),
    "description": ("Description", "Beschreibung", "Désignation", "Descripción", "الوصف", "内容"),
    "quantity": ("Quantity", "Menge", "Quantité", "Cantidad", "الكمية", "数量"),
    "unit_price": ("Unit price", "Einzelpreis", "Prix unitaire", "Precio unitario", "سعر الوحدة", "単価"),
    "amount": ("Amount", "Betrag", "Montant", "Importe", "المبلغ", "金額"),
    "tiered": ("tiered", "gestaffelt", "par paliers", "por tramos", "حسب الشرائح", "段階制"),
    "all": ("all", "alle", "tout", "todo", "الكل", "すべて"),
    "first": ("first {0}", "die ersten {0}", "les {0} premiers", "los primeros {0}", "أول {0}", "{0}まで"),
    "over": ("over {0}", "über {0}", "au-delà de {0}", "más de {0}", "فوق {0}", "{0}超"),
    "over_to": (
        "over {0}, to {1}",
        "über {0} bis {1}",
        "de {0} à {1}",
        "más de {0} hasta {1}",
        "فوق {0} حتى {1}",
        "{0}超 {1}まで",
    ),
    "per": ("{0} per {1}", "{0} je {1}", "{0} les {1}", "{0} por {1}", "{0} لكل {1}", "{1}あたり {0}"),
    "capped": ("capped", "Höchstbetrag", "plafonné", "con tope", "الحد الأقصى", "上限適用"),
    "minimum": (
        "up to the minimum",
        "bis zum Mindestbetrag",
        "jusqu'au minimum",
        "hasta el mínimo",
        "حتى الحد الأدنى",
        "最低額まで",
    ),
    "billed_before": (
        "billed before",
        "bereits berechnet",
        "déjà facturé",
        "ya facturado",
        "تمت فوترته سابقا",
        "請求済み",
    ),
    "by_record": (
        "by record",
        "je Vorgang",
        "par opération",
        "por operación",
        "حسب السجل",
        "記録ごと",
    ),
    "all_other": (
        "all other",
        "alle übrigen",
        "tout le reste",
        "todo lo demás",
        "كل ما عدا ذلك",
        "その他すべて",
    ),
    "free": ("free", "kostenfrei", "gratuit", "gratis", "مجاني", "無料"),
    "share": ("{0} % of {1}", "{0} % von {1}", "{0} % de {1}", "{0} % de {1}", "{0} % من {1}", "{1}の{0} %"),
    "each": ("{0} each", "je {0}", "{0} chacune", "{0} cada una", "{0} لكل منها", "各{0}"),
    "least": (
        "minimum per transaction",
        "Mindestbetrag je Vorgang",
        "minimum par opération",
        "mínimo por operación",
        "الحد الأدنى لكل عملية",
        "取引ごとの最低額",
    ),
    "most": (
        "maximum per transaction",
        "Höchstbetrag je Vorgang",
        "maximum par opération",
        "máximo por operación",
        "الحد الأقصى لكل عملية",
        "取引ごとの上限額",
    ),
    "subtotal": ("Subtotal", "Zwischensumme", "Sous-total", "Subtotal", "المجموع الفرعي", "小計"),
    "corrected_discounts": (
        "Discounts of what is corrected",
        "Rabatte auf Korrigiertes",
        "Remises sur les montants corrigés",
        "Descuentos de lo corregido",
        "خصومات المبالغ المصححة",
        "訂正分の割引",
    ),
    "credit": ("Credit", "Gutschrift", "Avoir", "Crédito", "رصيد", "クレジット"),
    "including": ("including {0}", "darin {0}", "dont {0}", "incluye {0}", "يشمل {0}", "うち{0}"),
    "total": ("Total", "Gesamt", "Total", "Total", "الإجمالي", "合計"),
    "prepaid": ("Prepaid", "Aus Guthaben", "Prépayé", "Prepago", "مدفوع مسبقا", "前払充当"),
    "kept": (
        "Kept as credit",
        "Als Guthaben behalten",
        "Conservé en avoir",
        "Queda como crédito",
        "محفوظ كرصيد",
        "残高へ繰入",
    ),
    "payments": ("Paid", "Bezahlt", "Payé", "Pagado", "المدفوع", "入金済"),
    "credit_notes": (
        "Credit notes",
        "Gutschriften",
        "Notes de crédit",
        "Notas de crédito",
        "إشعارات دائنة",
        "返金・減額",
    ),
    "amount_due": (
        "Amount due",
        "Zu zahlen",
        "Montant dû",
        "Importe a pagar",
        "المبلغ المستحق",
        "お支払額",
    ),
    "tax_id": (
        "Tax ID {0}",
        "Steuernummer {0}",
        "N° fiscal {0}",
        "NIF {0}",
        "الرقم الضريبي {0}",
        "税番号 {0}",
    ),
    "exempt": (
        "Exempt from tax",
        "Steuerfrei",
        "Exonéré de taxe",
        "Exento de impuestos",
        "معفى من الضريبة",
        "非課税",
    ),
    "reverse_charge": (
        "Reverse charge",
        "Steuerschuldnerschaft des Leistungsempfängers",
        "Autoliquidation",
        "Inversión del sujeto pasivo",
        "احتساب عكسي",
        "リバースチャージ",
    ),
    "reverse_charge_note": (
        "Reverse charge: the customer owes the tax.",
        "Steuerschuldnerschaft des Leistungsempfängers: die Steuer schuldet der Kunde.",
        "Autoliquidation : la taxe est due par le client.",
        "Inversión del sujeto pasivo: el cliente debe el impuesto.",
        "احتساب عكسي: الضريبة على العميل.",
        "リバースチャージ：税金はお客様の納付となります。",
    ),
    "draft_note": (
        "This is a draft. It can still change, and is not payable.",
        "Dies ist ein Entwurf. Er kann sich noch ändern und ist nicht zu zahlen.",
        "Ceci est un brouillon. Il peut encore changer et n'est pas à payer.",
        "Esto es un borrador. Puede cambiar y no hay que pagarlo.",
        "هذه مسودة قابلة للتغيير وغير مستحقة الدفع.",
        "これは下書きです。変更される場合があり、お支払いは不要です。",
    ),
    "void_note": (
        "This invoice was withdrawn. Nothing is owed for it.",
        "Diese Rechnung wurde storniert. Für sie ist nichts zu zahlen.",
        "Cette facture a été annulée. Rien n'est dû.",
        "Esta factura fue anulada. No se debe nada por ella.",
        "ألغيت هذه الفاتورة ولا يستحق عنها شيء.",
        "この請求書は取り消されました。お支払いは不要です。",
    ),
    "unpaid_note": (
        "This invoice was not paid when it was due. It can still be paid, naming {0} as the reference.",
        "Diese Rechnung wurde bei Fälligkeit nicht bezahlt. Sie kann noch bezahlt werden; geben Sie {0} an.",
        "Cette facture n'a pas été payée à l'échéance. Elle peut encore l'être en indiquant {0}.",
        "Esta factura no se pagó a su vencimiento. Aún se puede pagar indicando {0}.",
        "لم تسدد هذه الفاتورة في موعدها. لا يزال بالإمكان دفعها مع ذكر {0}.",
        "この請求書は期限までに支払われていません。{0}を明記のうえ、引き続きお支払いいただけます。",
    ),
    "pay_note": (
        "Please pay by {0}, naming {1} as the reference.",
        "Bitte zahlen Sie bis zum {0} und geben Sie {1} an.",
        "Merci de payer avant le {0} en indiquant {1}.",
        "Pague antes del {0} indicando {1}.",
        "يرجى الدفع قبل {0} مع ذكر {1}.",
        "{0}までに、{1}を明記のうえお支払いください。",
    ),
    "page": (
        "Page {0} of {1}",
        "Seite {0} von {1}",
        "Page {0} sur {1}",
        "Página {0} de {1}",
        "صفحة {0} من {1}",
        "{0} / {1} ページ",
    ),
    "as_pdf": (
        "Download as PDF",
        "Als PDF laden",
        "Télécharger en PDF",
        "Descargar en PDF",
        "تنزيل بصيغة PDF",
        "PDFで保存",
    ),
}


@dataclass(frozen=True, slots=True)
class Speech:
    """One language, a `billing.types.v1.Language`: its phrases, and its way to write days and figures."""

    language: int

    def __call__(self, phrase: str, *parts: str) -> str:
        """The phrase, its parts filled in."""
        return PHRASES[phrase][_LANGUAGES.index(self.language)].format(*parts)

    @property
    def tag(self) -> str:
        """As HTML and the like name it: 'de'."""
        return self._locale.language

    @property
    def direction(self) -> str:
        return "rtl" if self._locale.text_direction == "rtl" else "ltr"

    @property
    def _locale(self) -> Locale:
        return Locale.parse(_LOCALES[self.language])

    def day(self, moment: datetime, zone: ZoneInfo) -> str:
        return format_date(moment.astimezone(zone), "long", locale=self._locale)

    def money(self, amount_minor: int, currency: str) -> str:
        return self._written(f"{major_units(amount_minor, currency):,f}")

    def amount(self, text: str, currency: str) -> str:
        """An exact amount, with at least the decimals that the currency has."""
        sign = "-" if text.startswith("-") else ""
        whole, _, decimals = decimal_text(Decimal(text).copy_abs()).partition(".")
        cut = "…" if len(decimals) > _SHOWN_DECIMALS else ""
        decimals = decimals[:_SHOWN_DECIMALS].ljust(EXPONENTS[currency], "0")
        return self._written(f"{sign}{int(whole):,}" + (f".{decimals}{cut}" if decimals else ""))

    def number(self, text: str) -> str:
        return self._written(f"{Decimal(decimal_text(Decimal(text))):,f}")

    def _written(self, plain: str) -> str:
        # Digit by digit, for a library's formatting would round figures of over 28 digits.
        symbols = self._locale.number_symbols["latn"]
        # A narrow space is missing in many fonts.
        group = symbols["group"].replace("\u202f", "\u00a0")
        return plain.translate({ord("-"): "−", ord(","): group, ord("."): symbols["decimal"]})
