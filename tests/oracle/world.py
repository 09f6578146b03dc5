"""What happens to customers, said once for both sides: the platform lives it, the oracle works it out.

Decimals are texts, as clients send them. Times are aware, in UTC.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Meter:
    """With `divide_by`, what it measures in a period is divided by that, then rounded to blocks if `rounding`
    says how."""

    aggregation: str
    divide_by: str = ""
    rounding: str = ""
    block_size: str = ""


METERS = {
    "requests": Meter("sum"),
    "jobs": Meter("count"),
    "peak": Meter("max"),
    "bytes": Meter("sum", divide_by="3"),
    "minutes": Meter("sum", divide_by="6", rounding="up", block_size="2.5"),
    "floor": Meter("min"),
    "load": Meter("average", divide_by="1", rounding="half_up", block_size="0.5"),
    "mean": Meter("average"),
    "people": Meter("unique"),
    "gauge": Meter("latest"),
    "storage": Meter("time_weighted"),
}
COUNTED = "person"
"""The property whose different values are counted."""
PROPERTIES = {COUNTED: "abcdefg", "region": ("eu", "us", "asia"), "size": ("s", "l")}


@dataclass(frozen=True)
class Tier:
    """Up to and with `up_to`; '' is open. With a block, the unit amount is for each started block."""

    up_to: str
    unit_amount: str
    flat_amount: str = ""
    block_size: str = ""
    maximum_amount: str = ""


@dataclass(frozen=True)
class Percentage:
    """Of each record, as a transaction."""

    percent: str
    fixed_amount: str = ""
    free_transactions: int = 0
    free_amount: str = ""
    minimum_amount: str = ""
    maximum_amount: str = ""


@dataclass(frozen=True)
class Matrix:
    """Cells by the values of the dimensions, with their unit amounts."""

    dimensions: tuple[str, ...]
    cells: tuple[tuple[tuple[str, ...], str], ...]
    default_unit_amount: str


@dataclass(frozen=True)
class Price:
    """Without a meter it is for the item's own quantity; the names are those of the catalog. One that is for
    `one_time` has no interval."""

    code: str
    model: str
    meter: str = ""
    unit_amount: str = ""
    unit_size: str = "1"
    tiers: tuple[Tier, ...] = ()
    included_quantity: str = ""
    minimum_amount: str = ""
    maximum_amount: str = ""
    no_flat_amount_when_unused: bool = False
    tax_category: str = ""
    percentage: Percentage | None = None
    matrix: Matrix | None = None
    one_time: bool = False


@dataclass(frozen=True)
class Item:
    """Of a metered price the quantity is ''."""

    price: Price
    quantity: str = ""


@dataclass(frozen=True)
class Threshold:
    """What a period's usage comes to when it is invoiced at once; a recurring one again and again."""

    amount_minor: int
    recurring: bool = False


@dataclass(frozen=True)
class Subscribe:
    items: tuple[Item, ...]
    start_at: datetime
    trial_days: int = 0
    commitment_minor: int = 0
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class Change:
    """At the period's end, at a moment, or now; behavior as the contract calls it. Without a commitment, it
    stays as it is."""

    items: tuple[Item, ...]
    behavior: str = "create_prorations"
    at_period_end: bool = False
    effective_at: datetime | None = None
    commitment_minor: int | None = None


@dataclass(frozen=True)
class Watch:
    """Has usage invoiced at these thresholds, and at no others any more."""

    thresholds: tuple[Threshold, ...]


@dataclass(frozen=True)
class Pause:
    pass


@dataclass(frozen=True)
class Resume:
    pass


@dataclass(frozen=True)
class Cancel:
    at_period_end: bool = False


@dataclass(frozen=True)
class Use:
    meter: str
    quantity: str
    at: datetime
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Correct:
    """Another quantity for a record, '' takes it back; `record` is its place among those reported."""

    record: int
    quantity: str = ""


@dataclass(frozen=True)
class Rerate:
    """Rates what was invoiced so many invoices ago, 0 is the last one, at another price."""

    back: int
    wrong: Price
    right: Price


@dataclass(frozen=True)
class Negotiate:
    """Other amounts of a price, those of `terms`: for the customer, or for its subscription alone."""

    price: Price
    terms: Price
    for_subscription: bool
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True)
class Redeem:
    """A coupon of one's own: `percent`, or `amount_minor`. `invoices` 0 is for ever, no prices are all."""

    percent: str = ""
    amount_minor: int = 0
    invoices: int = 0
    prices: tuple[Price, ...] = ()


@dataclass(frozen=True)
class Grant:
    kind: str
    amount_minor: int
    valid_from: datetime
    valid_until: datetime | None = None
    priority: int = 0


Action = (
    Subscribe | Change | Watch | Pause | Resume | Cancel | Use | Correct | Rerate | Negotiate | Redeem | Grant
)


@dataclass(frozen=True)
class Visit:
    """What is done for a customer at one moment, one after the other."""

    at: datetime
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Customer:
    """`prices` are all that it may ever have; they share the billing interval."""

    name: str
    currency: str
    timezone: str
    country: str
    region: str
    exemption: str
    interval: tuple[str, int]
    prices: tuple[Price, ...]
    visits: tuple[Visit, ...]


@dataclass(frozen=True)
class TaxRate:
    percent: str
    country: str
    region: str = ""
    category: str = ""
    compound: bool = False


@dataclass(frozen=True)
class Seller:
    """A tenant's terms, which all its customers share; the clock begins at `begins`."""

    grain: str
    tax_behavior: str
    tax_rounding: str
    credit_application: str
    tax_rates: tuple[TaxRate, ...]
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Line:
    kind: str
    price: str
    start: datetime
    end: datetime
    quantity: str
    amount_minor: int
    discount_minor: int
    credit_minor: int
    tax_minor: int


@dataclass(frozen=True)
class Invoice:
    start: datetime
    end: datetime
    lines: tuple[Line, ...]
    subtotal_minor: int
    discount_minor: int
    credit_minor: int
    tax_minor: int
    total_minor: int
    prepaid_minor: int
    due_minor: int


@dataclass(frozen=True)
class Year:
    """What came of a customer.

    `answers`: per action, whether it was accepted. `left_minor`: what is left of each credit granted, and
    `given_back_minor` of the prepaid credits that invoices below zero became.
    """

    answers: tuple[bool, ...]
    invoices: tuple[Invoice, ...]
    left_minor: tuple[int, ...]
    given_back_minor: int
