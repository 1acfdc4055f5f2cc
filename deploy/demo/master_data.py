"""The customers, products, suppliers and exchange rates of the demonstration business, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from deploy.demo.transactions import Statement, Step, System, Transaction

FUNCTIONAL_CURRENCY = "EUR"
RATE_DAYS = 75
"""Days back from the business day for which there is a rate of each currency."""

# Euros for one unit, about which the daily rates move.
_RATES = {
    "USD": Decimal("0.9170"),
    "GBP": Decimal("1.1680"),
    "CHF": Decimal("1.0540"),
    "JPY": Decimal("0.006120"),
    "SEK": Decimal("0.0885"),
}
_COUNTRIES = (
    ("DE", "EUR", "Central", ("Berlin", "Hamburg", "Leipzig")),
    ("FR", "EUR", "West", ("Lyon", "Nantes", "Lille")),
    ("AT", "EUR", "Central", ("Graz", "Linz", "Wien")),
    ("US", "USD", "Americas", ("Boston", "Denver", "Portland")),
    ("GB", "GBP", "West", ("Leeds", "Bristol", "Cardiff")),
    ("CH", "CHF", "Central", ("Basel", "Bern", "Zug")),
    ("JP", "JPY", "Asia", ("Osaka", "Kyoto", "Nagoya")),
    ("SE", "SEK", "North", ("Malmö", "Uppsala", "Lund")),
)
# Numbers with right check digits, as tax offices print them in their examples.
_TAX_NUMBERS = {
    "DE": "DE136695976",
    "FR": "FR40303265045",
    "AT": "ATU13585627",
    "US": "91-1144442",
    "GB": "GB980780684",
    "CH": "CHE107787577MWST",
    "JP": "5835678256246",
    "SE": "SE556188840401",
}
_SEGMENTS = ("retail", "wholesale", "public", "industry")
_FAMILIES = ("Aldous", "Brandt", "Castell", "Duval", "Ekström", "Falk", "Gruber", "Hayashi", "Imhof", "Jansson")
_TRADES = ("Supplies", "Trading", "Stores", "Works", "Foods", "Instruments", "Outfitters")
_CATEGORIES = (
    ("Tools", "C62", "S", Decimal("19.000"), Decimal(18), Decimal(240)),
    ("Furniture", "C62", "S", Decimal("19.000"), Decimal(60), Decimal(900)),
    ("Coffee", "KGM", "AA", Decimal("7.000"), Decimal(9), Decimal(35)),
    ("Paint", "LTR", "S", Decimal("19.000"), Decimal(4), Decimal(40)),
    ("Books", "C62", "AA", Decimal("7.000"), Decimal(7), Decimal(60)),
    ("Medicine", "C62", "Z", Decimal("0.000"), Decimal(3), Decimal(80)),
)
_MATERIALS = ("Oak", "Steel", "Linen", "Copper", "Walnut", "Granite", "Amber", "Cedar", "Ivory", "Slate")


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A customer of the CRM."""

    number: str
    name: str
    country: str
    region: str
    segment: str
    currency: str
    city: str


@dataclass(frozen=True, slots=True)
class DemoSupplier:
    """A supplier of inventory."""

    number: str
    name: str
    country: str


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """A product of inventory; price and cost in the functional currency."""

    number: str
    name: str
    category: str
    supplier: str
    unit: str
    list_price: Decimal
    cost: Decimal
    tax_code: str
    tax_percent: Decimal


@dataclass(frozen=True, slots=True)
class DailyRate:
    """Functional currency for one unit of `currency`, from `day` on."""

    currency: str
    day: date
    rate: Decimal


@dataclass(frozen=True, slots=True)
class MasterData:
    """All that orders refer to, drawn by `draw_master_data`."""

    customers: tuple[DemoCustomer, ...]
    suppliers: tuple[DemoSupplier, ...]
    products: tuple[DemoProduct, ...]
    rates: tuple[DailyRate, ...]

    def price_in(self, product: DemoProduct, currency: str) -> Decimal:
        """The product's list price in a currency, at the middle rate, with the decimals that its prices have."""
        if currency == FUNCTIONAL_CURRENCY:
            return product.list_price
        places = Decimal(1) if currency == "JPY" else Decimal("0.01")
        return (product.list_price / _RATES[currency]).quantize(places, ROUND_HALF_UP)

    def transactions(self) -> list[Transaction]:
        """One transaction for each system that fills its tables; what is there already stays."""
        suppliers = tuple(supplier_statement(supplier) for supplier in self.suppliers)
        products = tuple(product_statement(product) for product in self.products)
        return [
            Transaction(System.CRM, Step.MASTER_DATA, tuple(customer_statement(each) for each in self.customers)),
            Transaction(System.INVENTORY, Step.MASTER_DATA, suppliers + products),
            Transaction(System.FINANCE, Step.MASTER_DATA, tuple(_rate_statement(rate) for rate in self.rates)),
        ]


def draw_master_data(seed: int, today: date, *, customers: int = 120, products: int = 80) -> MasterData:
    """The master data of a business; the same seed and day give the same."""
    draw = Random(f"{seed}:master")
    suppliers = tuple(_supplier(number, draw) for number in range(1, 13))
    return MasterData(
        customers=tuple(draw_customer(f"C{number:05}", draw) for number in range(1, customers + 1)),
        suppliers=suppliers,
        products=tuple(draw_product(f"P{number:05}", draw, suppliers) for number in range(1, products + 1)),
        rates=tuple(rate for currency in _RATES for rate in _daily_rates(currency, today, draw)),
    )


def draw_customer(number: str, draw: Random) -> DemoCustomer:
    """One customer of that number."""
    country, currency, region, cities = draw.choice(_COUNTRIES)
    name = f"{draw.choice(_FAMILIES)} {draw.choice(_TRADES)} {number[1:].lstrip('0')}"
    return DemoCustomer(number, name, country, region, draw.choice(_SEGMENTS), currency, draw.choice(cities))


def draw_product(number: str, draw: Random, suppliers: tuple[DemoSupplier, ...]) -> DemoProduct:
    """One product of that number; its cost is between half and four fifths of its price."""
    category, unit, tax_code, tax_percent, lowest, highest = draw.choice(_CATEGORIES)
    price = lowest + (highest - lowest) * draw.randrange(1000) / 1000
    cost = price * draw.randrange(50, 80) / 100
    return DemoProduct(
        number=number,
        name=f"{draw.choice(_MATERIALS)} {category.lower()} {number[1:].lstrip('0')}",
        category=category,
        supplier=draw.choice(suppliers).number,
        unit=unit,
        list_price=price.quantize(Decimal("0.01")),
        cost=cost.quantize(Decimal("0.0001")),
        tax_code=tax_code,
        tax_percent=tax_percent,
    )


def customer_statement(customer: DemoCustomer) -> Statement:
    """Adds the customer to the CRM."""
    return Statement(
        "INSERT INTO customer (customer_number, name, country_code, region, segment, tax_number, currency,"
        " credit_limit) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            customer.number,
            customer.name,
            customer.country,
            customer.region,
            customer.segment,
            _TAX_NUMBERS[customer.country],
            customer.currency,
            Decimal("250000.00") if customer.currency != "JPY" else Decimal("40000000"),
        ),
    )


def supplier_statement(supplier: DemoSupplier) -> Statement:
    """Adds the supplier to inventory."""
    return Statement(
        "INSERT INTO supplier (supplier_number, name, country_code, email) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (supplier.number, supplier.name, supplier.country, f"orders@{supplier.number.lower()}.example"),
    )


def product_statement(product: DemoProduct) -> Statement:
    """Adds the product to inventory."""
    return Statement(
        "INSERT INTO product (product_number, name, category, supplier_number, unit, list_price, standard_cost,"
        " currency, tax_code, tax_percent) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            product.number,
            product.name,
            product.category,
            product.supplier,
            product.unit,
            product.list_price,
            product.cost,
            FUNCTIONAL_CURRENCY,
            product.tax_code,
            product.tax_percent,
        ),
    )


def _rate_statement(rate: DailyRate) -> Statement:
    return Statement(
        "INSERT INTO exchange_rate (base_currency, quote_currency, valid_on, rate, provider)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (rate.currency, FUNCTIONAL_CURRENCY, rate.day, rate.rate, "demo"),
    )


def _supplier(number: int, draw: Random) -> DemoSupplier:
    country = draw.choice(_COUNTRIES)[0]
    return DemoSupplier(f"S{number:03}", f"{draw.choice(_FAMILIES)} Manufacture {number}", country)


def _daily_rates(currency: str, today: date, draw: Random) -> list[DailyRate]:
    rates = []
    rate = _RATES[currency]
    for days in range(RATE_DAYS, -1, -1):
        rate = (rate * (10_000 + draw.randrange(-25, 26)) / 10_000).quantize(Decimal("0.00000001"), ROUND_HALF_UP)
        rates.append(DailyRate(currency, today - timedelta(days=days), rate))
    return rates
