"""Random customers of random sellers; one seed gives one world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from tests.oracle.times import boundary
from tests.oracle.wares import Wares
from tests.oracle.world import (
    METERS,
    PROPERTIES,
    Action,
    Cancel,
    Change,
    Correct,
    Customer,
    Grant,
    Item,
    Negotiate,
    Pause,
    Price,
    Redeem,
    Rerate,
    Resume,
    Seller,
    Subscribe,
    TaxRate,
    Threshold,
    Use,
    Visit,
    Watch,
)

YEAR = timedelta(days=366)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Pacific/Auckland",
)
CURRENCIES = ("USD", "JPY", "KWD")
COUNTRIES = (("DE", ""), ("US", "CA"), ("CA", "QC"), ("CH", ""))
TAX_RATES = (
    TaxRate("19", "DE"),
    TaxRate("7", "DE", category="books"),
    TaxRate("6.25", "US"),
    TaxRate("2.875", "US", region="CA"),
    TaxRate("1.1", "US", region="CA", category="books"),
    TaxRate("5", "CA"),
    TaxRate("9.975", "CA", region="QC", compound=True),
    TaxRate("1.5", "CA", region="QC"),
)
ANCHORS = (
    datetime(2024, 1, 31, 9, 30, tzinfo=UTC),
    datetime(2024, 1, 31, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 3, 10, 6, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 30, 1, 30, tzinfo=UTC),
)


@dataclass(frozen=True)
class Schedule:
    """When periods begin: at the time of the `first` visit, or some time after or before it."""

    zone: str
    interval: tuple[str, int]
    first: int
    starts_after: timedelta
    trial_days: int


@dataclass
class Generator:
    chance: Random

    @property
    def wares(self) -> Wares:
        return Wares(self.chance)

    def seller(self, grain: str, *, begins: datetime | None = None, years: int = 1) -> Seller:
        begins = begins or datetime(2024, 1, 1, tzinfo=UTC) + timedelta(
            days=self.chance.choice((0, 0, 31, 300))
        )
        return Seller(
            grain=grain,
            tax_behavior=self.chance.choice(("exclusive", "inclusive")),
            tax_rounding=self.chance.choice(("per_invoice", "per_line")),
            credit_application=self.chance.choice(("before_tax", "after_tax")),
            tax_rates=TAX_RATES,
            begins=begins,
            ends=begins + years * YEAR,
        )

    def visiting_times(self, seller: Seller, count: int) -> list[datetime]:
        """When anybody does anything: times are shared, for each costs as much as a customer."""
        seconds = int((seller.ends - seller.begins).total_seconds())
        times = {
            seller.begins + timedelta(seconds=self.chance.randrange(3600, seconds)) for _ in range(count)
        }
        times |= {anchor for anchor in ANCHORS if seller.begins < anchor}
        times |= {time.replace(hour=0, minute=0, second=0) for time in self.chance.sample(sorted(times), 4)}
        # Not only whole seconds.
        times |= {time + timedelta(microseconds=self.chance.randrange(10**6)) for time in list(times)[:3]}
        return sorted(time for time in times if seller.begins < time < seller.ends)

    def schedules(self, times: Sequence[datetime], count: int) -> list[Schedule]:
        """Few, for periods that end together are billed together, and years go by the faster."""
        return [
            Schedule(
                zone=self.chance.choice(ZONES),
                interval=self.chance.choice(
                    (*[("month", 1)] * 5, ("week", 1), ("month", 3), ("day", 10), ("year", 1))
                ),
                first=self.chance.randrange(len(times) // 3),
                starts_after=timedelta(
                    seconds=self.chance.choice((0, 0, -3600, -86_400 * 5, -86_400 * 9, 86_400 * 12))
                ),
                trial_days=self.chance.choice((0, 0, 0, 3, 14, 30)),
            )
            for _ in range(count)
        ]

    def customer(self, name: str, schedule: Schedule, times: Sequence[datetime]) -> Customer:
        currency = self.chance.choice(CURRENCIES)
        country, region = self.chance.choice(COUNTRIES)
        licensed = tuple(self.wares.price(f"fee-{place}", currency) for place in range(3))
        usual = ("requests", "jobs", "peak") if self.chance.random() < 0.5 else tuple(METERS)
        meters = self.chance.sample(usual, self.chance.choice((0, 1, 1, 2)))
        metered = {
            meter: tuple(self.wares.price(f"{meter}-{place}", currency, meter) for place in range(2))
            for meter in meters
        }
        once = tuple(
            replace(self.wares.price(f"setup-{place}", currency), one_time=True)
            for place in range(self.chance.choice((0, 0, 1, 2)))
        )
        life = _LifeOf(self, schedule, currency, licensed, once, metered, list(times[schedule.first :]))
        return Customer(
            name=name,
            currency=currency,
            timezone=schedule.zone,
            country=country,
            region=region,
            exemption=self.chance.choice(("",) * 6 + ("exempt", "reverse_charge")),
            interval=schedule.interval,
            prices=licensed + once + tuple(price for prices in metered.values() for price in prices),
            visits=tuple(life.visits()),
        )


@dataclass
class _LifeOf:
    """What a customer does, at some of the times."""

    generator: Generator
    schedule: Schedule
    currency: str
    licensed: tuple[Price, ...]
    once: tuple[Price, ...]
    metered: dict[str, tuple[Price, ...]]
    times: list[datetime]

    @property
    def chance(self) -> Random:
        return self.generator.chance

    def visits(self) -> list[Visit]:
        self.versions = dict.fromkeys(self.metered, 0)
        self.paused, self.reported = False, 0
        begin, *later = self.times
        start = begin + self.schedule.starts_after
        self.anchor = start + timedelta(days=self.schedule.trial_days)
        minimum = self.minimum() if self.chance.random() < 0.2 else 0
        thresholds = self.thresholds() if self.chance.random() < 0.25 else ()
        subscribe = Subscribe(self.items(), start, self.schedule.trial_days, minimum, thresholds)
        before = self.negotiation(begin) if self.chance.random() < 0.1 else []
        visits = [Visit(begin, (*self.money(begin, 0.5), *before, subscribe, *self.usage(begin)))]
        ends = self.chance.choice((None, self.chance.randrange(1, len(later) + 1)))
        for place, at in enumerate(later):
            if ends is not None and place > ends + 3:
                break
            actions: list[Action] = []
            if place == ends:
                actions.append(Cancel(at_period_end=self.chance.random() < 0.5))
            elif self.chance.random() < 0.3:
                actions += self.step(at)
            if self.chance.random() < 0.04:
                actions += self.negotiation(at)
            if self.chance.random() < 0.03:
                actions.append(Watch(self.thresholds()))
            if self.chance.random() < 0.8:
                actions += self.usage(at)
            actions += self.corrections()
            if self.chance.random() < 0.07:
                actions += self.rerating()
            actions += self.money(at, 0.08)
            if actions:
                visits.append(Visit(at, tuple(actions)))
        return visits

    def step(self, at: datetime) -> list[Action]:
        """A change of the subscription."""
        if self.paused:
            self.paused = False
            return [Resume()]
        if self.chance.random() < 0.15:
            self.paused = True
            return [Pause()]
        behavior = self.chance.choice(
            ("create_prorations", "create_prorations", "invoice_immediately", "none")
        )
        when = self.chance.random()
        minimum = self.chance.choice((0, self.minimum())) if self.chance.random() < 0.15 else None
        change = Change(self.items(), behavior, commitment_minor=minimum)
        if when < 0.2:
            return [replace(change, at_period_end=True)]
        if when < 0.35:
            return [replace(change, effective_at=at + timedelta(hours=self.chance.randrange(2, 900)))]
        if when < 0.5:
            back = timedelta(seconds=self.chance.choice((0, 1, 7200, 86_400 * 2, 86_400 * 8)))
            return [replace(change, effective_at=at.replace(microsecond=0) - back)]
        return [change]

    def thresholds(self) -> tuple[Threshold, ...]:
        scale = {"JPY": 1, "USD": 100, "KWD": 1000}[self.currency]
        once = [
            Threshold(self.chance.randrange(1, most * scale))
            for most in self.chance.choice(((), (20,), (9, 300)))
        ]
        again = [Threshold(self.chance.randrange(7 * scale, 200 * scale), recurring=True)]
        return (*once, *self.chance.choice(([], again, again)))

    def minimum(self) -> int:
        """What a period comes to at least, in minor units: now and then it makes a difference."""
        return self.chance.randrange(1, 250 * {"JPY": 1, "USD": 100, "KWD": 1000}[self.currency])

    def items(self) -> tuple[Item, ...]:
        """Licensed prices in any quantity, what is charged once, and of each meter the price held or another
        one."""
        chosen = self.chance.sample(self.licensed, self.chance.choice((1, 1, 2)))
        items = [Item(price, self.chance.choice(("1", "2", "3", "7", "2.5"))) for price in chosen]
        for meter, prices in self.metered.items():
            if self.chance.random() < 0.4:
                self.versions[meter] = self.chance.randrange(len(prices))
            items.append(Item(prices[self.versions[meter]]))
        items += [
            Item(price, self.chance.choice(("1", "1", "2")))
            for price in self.once
            if self.chance.random() < 0.6
        ]
        self.chance.shuffle(items)
        return tuple(items)

    def is_in_order(self, meter: str) -> bool:
        """Whether it makes a difference which of two records of one time came in later."""
        by_order = METERS[meter].aggregation in ("latest", "time_weighted")
        return by_order or any(price.percentage for price in self.metered[meter])

    def properties(self, meter: str) -> tuple[tuple[str, str], ...]:
        if METERS[meter].aggregation != "unique" and not any(price.matrix for price in self.metered[meter]):
            return ()
        return tuple((name, self.chance.choice(values)) for name, values in PROPERTIES.items())

    def usage(self, at: datetime) -> list[Use]:
        made: list[Use] = []
        for meter in self.metered:
            for _ in range(self.chance.choice((0, 1, 2, 3, 5))):
                quantity = self.chance.choice(("0", "1", "2.5", "3", "10", "0.333", "17", "61.25", "140"))
                moment = self.moment(at)
                while any((one.meter, one.at) == (meter, moment) for one in made) and self.is_in_order(meter):
                    moment -= timedelta(microseconds=1)
                made.append(Use(meter, quantity, moment, self.properties(meter)))
        self.reported += len(made)
        return made

    def corrections(self) -> list[Action]:
        """Of records reported lately, and of those whose periods were invoiced."""
        made: list[Action] = []
        while self.reported and self.chance.random() < 0.15:
            back = self.chance.randrange(1, self.chance.choice((6, 20, 60)))
            quantity = self.chance.choice(("", "", "0", "2.5", "7", "120"))
            made.append(Correct(max(0, self.reported - back), quantity))
        return made

    def rerating(self) -> list[Action]:
        """At another price of the same kind, as a rule."""
        kinds = [self.licensed, self.licensed, self.once, *self.metered.values()]
        prices = self.chance.choice([kind for kind in kinds if kind])
        wrong, right = self.chance.choice(prices), self.chance.choice((*prices, self.licensed[0]))
        return [Rerate(self.chance.choice((0, 0, 0, 1, 2)), wrong, right)]

    def moment(self, at: datetime) -> datetime:
        """Now, some time ago or minutes ahead, or next to a boundary."""
        way = self.chance.random()
        if way < 0.35:
            return at
        if way < 0.4:
            return at + timedelta(seconds=self.chance.randrange(310))
        if way < 0.75:
            return at - timedelta(seconds=self.chance.randrange(86_400 * self.chance.choice((2, 15, 36))))
        n = 0
        interval, zone = self.schedule.interval, self.schedule.zone
        while boundary(self.anchor, interval, n + 1, zone) <= at:
            n += 1
        edge = boundary(self.anchor, interval, self.chance.choice((n, n, n + 1, max(n - 1, 0))), zone)
        return edge + timedelta(microseconds=self.chance.choice((-1, 0, 1)))

    def negotiation(self, at: datetime) -> list[Action]:
        """Other amounts of one of the prices, from now or some time ahead on."""
        prices = [
            *self.licensed,
            *self.once,
            *(price for prices in self.metered.values() for price in prices),
        ]
        price = self.chance.choice([one for one in prices if not one.percentage and not one.matrix])
        begin = self.chance.choice((None, None, at + timedelta(days=self.chance.randrange(1, 40))))
        until = self.chance.choice((None, (begin or at) + timedelta(days=self.chance.randrange(1, 150))))
        terms = self.generator.wares.other_amounts(price, self.currency)
        return [Negotiate(price, terms, self.reported > 0 and self.chance.random() < 0.5, begin, until)]

    def money(self, at: datetime, likely: float) -> list[Action]:
        made: list[Action] = []
        scale = {"JPY": 1, "USD": 100, "KWD": 1000}[self.currency]
        if self.chance.random() < likely:
            prices = self.chance.choice(((), (), self.licensed[:1]))
            invoices = self.chance.choice((0, 1, 3))
            if self.chance.random() < 0.5:
                percent = self.chance.choice(("10", "33.333", "5.5", "12.5", "62.5"))
                made.append(Redeem(percent=percent, invoices=invoices, prices=prices))
            else:
                amount = self.chance.randrange(1, 60 * scale)
                made.append(Redeem(amount_minor=amount, invoices=invoices, prices=prices))
        if self.chance.random() < likely:
            kind = self.chance.choice(
                ("promotional", "discount", "compensation", "refund", "prepaid", "prepaid")
            )
            until = self.chance.choice((None, at + timedelta(days=self.chance.randrange(1, 200))))
            begin = at + timedelta(days=self.chance.choice((-20, 0, 0, 10)))
            if until is None or until > begin:
                amount = self.chance.randrange(1, 150 * scale)
                made.append(Grant(kind, amount, begin, until, self.chance.choice((0, 0, 1, 5))))
        return made
