"""Random prices: of every model, for what is held and what is used."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from tests.oracle.world import Matrix, Percentage, Price, Tier


@dataclass(frozen=True)
class Wares:
    chance: Random

    def price(self, code: str, currency: str, meter: str = "") -> Price:
        chance = self.chance
        if meter in ("requests", "jobs") and chance.random() < 0.25:
            return self.price_by_record(code, currency, meter)
        models = ["per_unit", "graduated", "volume", "package"] + ([] if meter else ["flat"] * 3)
        model = chance.choice(models)
        tiered = model in ("graduated", "volume")
        least, most = self.bounds(currency) if meter else ("", "")
        return Price(
            code=code,
            model=model,
            meter=meter,
            unit_amount="" if tiered else self.amount(currency, 5 if meter else 70),
            unit_size=chance.choice(("1", "1", "10", "3", "2.5")) if model != "flat" else "1",
            tiers=tuple(self.tiers(currency)) if tiered else (),
            included_quantity=chance.choice(("", "", "2", "5.5") if meter else ("", "", "", "2"))
            if model != "flat"
            else "",
            no_flat_amount_when_unused=tiered and chance.random() < 0.3,
            tax_category=chance.choice(("", "", "books")),
            minimum_amount=least,
            maximum_amount=most,
        )

    def other_amounts(self, price: Price, currency: str) -> Price:
        least, most = self.bounds(currency) if price.meter else ("", "")
        included = self.chance.choice(("", "4")) if price.included_quantity else ""
        return replace(
            price,
            unit_amount=self.amount(currency, 70) if price.unit_amount else "",
            tiers=tuple(self.tiers(currency)) if price.tiers else (),
            included_quantity=included,
            minimum_amount=least,
            maximum_amount=most,
        )

    def bounds(self, currency: str) -> tuple[str, str]:
        """What a period, or a transaction, costs at least and at most."""
        least = self.chance.choice(("", "", self.amount(currency, 40)))
        most = self.chance.choice(("", "", self.amount(currency, 90)))
        if least and most and Decimal(least) > Decimal(most):
            least, most = most, least
        return least, most

    def price_by_record(self, code: str, currency: str, meter: str) -> Price:
        chance = self.chance
        least, most = self.bounds(currency)
        price = Price(
            code=code,
            model="percentage",
            meter=meter,
            tax_category=chance.choice(("", "", "books")),
            minimum_amount=least,
            maximum_amount=most,
        )
        if meter == "requests" and chance.random() < 0.5:
            least, most = self.bounds(currency) if chance.random() < 0.5 else ("", "")
            terms = Percentage(
                percent=chance.choice(("2.9", "10", "0.333", "62.5")),
                fixed_amount=chance.choice(("", self.amount(currency, 1))),
                free_transactions=chance.choice((0, 0, 2, 5)),
                free_amount=chance.choice(("", "", "20", "3.5")),
                minimum_amount=least,
                maximum_amount=most,
            )
            return replace(price, percentage=terms)
        dimensions = chance.choice((("region",), ("size", "region")))
        places = [("eu",), ("us",)] if len(dimensions) == 1 else [("s", "eu"), ("l", "eu"), ("l", "us")]
        matrix = Matrix(
            dimensions,
            tuple((place, self.amount(currency, 5)) for place in places),
            self.amount(currency, 5),
        )
        return replace(price, model="matrix", unit_size=chance.choice(("1", "10", "2.5")), matrix=matrix)

    def tiers(self, currency: str) -> list[Tier]:
        ends = sorted(
            self.chance.sample(("3", "5", "10", "12.5", "40", "100"), self.chance.randrange(0, 3)),
            key=Decimal,
        )
        return [self.tier(currency, end) for end in (*ends, "")]

    def tier(self, currency: str, end: str) -> Tier:
        flat = self.chance.choice(("", "", self.amount(currency, 9)))
        return Tier(
            up_to=end,
            unit_amount=self.chance.choice(("0", self.amount(currency, 4), self.amount(currency, 1))),
            flat_amount=flat,
            block_size=self.chance.choice(("", "", "", "2", "1.5")),
            maximum_amount=self.chance.choice(("", "", "", str(Decimal(flat or 0) + 20))),
        )

    def amount(self, currency: str, most: int) -> str:
        """In major units, often finer than the smallest one."""
        exponent = {"JPY": 0, "USD": 2, "KWD": 3}[currency]
        decimals = exponent + self.chance.choice((0, 0, 1, 3))
        return f"{self.chance.randrange(0, most * 10**exponent * 10) / 10 ** (exponent + 1):.{decimals}f}"
