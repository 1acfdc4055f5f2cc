"""Finds the customer and the products of a document: by codes, by names, and by what people said that they mean."""

from __future__ import annotations

from collections.abc import Callable

from producers.documents.doubts import Case
from producers.documents.masters import EXACT, KnownCustomer, KnownProduct, Masters, Match, look_key
from producers.documents.order import ReadLine

_LEAST_NAME = 0.9

Alias = Callable[[str, str, str], str | None]
"""What a person once said that a text means: kind (customer, product), scope, text -> id."""


def no_alias(_kind: str, _scope: str, _text: str) -> str | None:
    """Where nobody has said anything yet."""
    return None


class Identification:
    """For one order of a document."""

    def __init__(self, case: Case, masters: Masters, alias: Alias) -> None:
        self._read = case.read
        self._source = case.source
        self._doubts = case.doubts
        self._masters = masters
        self._alias = alias
        self._is_recognised = self._read.format == "scan"

    def customer(self) -> KnownCustomer | None:
        """The customer, or none with a doubt; one with a doubt where it is blocked."""
        read, customers = self._read, self._masters.customers
        named = read.customer_id or self._source.customer_id
        if named is not None:
            found = customers.get(named)
            if found is None:
                self._doubts.add("customer.unknown", f"there is no customer {named}", "buyer")
            return self._unblocked(found)
        by_code = {record.id: record for code in read.buyer.codes if (record := customers.by_code(code)) is not None}
        texts = [
            *read.buyer.codes,
            *([read.buyer.name] if read.buyer.name else []),
            *([read.buyer.email] if read.buyer.email else []),
        ]
        for text in texts:
            told = self._alias("customer", "", text)
            record = None if told is None else customers.get(told)
            if record is not None:
                by_code[record.id] = record
        if len(by_code) == 1:
            return self._unblocked(self._agreeing_customer(next(iter(by_code.values()))))
        if len(by_code) > 1:
            self._doubts.add("customer.ambiguous", f"the codes belong to {', '.join(sorted(by_code))}", "buyer")
            return None
        return self._customer_by_name()

    def _agreeing_customer(self, customer: KnownCustomer) -> KnownCustomer:
        """Read from text, number and name have to speak of one customer."""
        name = self._read.buyer.name
        other = None if self._read.is_certain or name is None else self._customer_named(name)
        if other is not None and other.id != customer.id:
            told = f"the number belongs to {customer.id}, and the name {name!r} to {other.id}"
            self._doubts.add("customer.contradiction", told, "buyer")
        return customer

    def _customer_named(self, name: str) -> KnownCustomer | None:
        return self._masters.customers.named(name, is_recognised=self._is_recognised)

    def _customer_by_name(self) -> KnownCustomer | None:
        read = self._read
        stated = None if read.buyer.name is None else self._customer_named(read.buyer.name)
        if stated is not None:
            return self._unblocked(stated)
        named = {record.id: record for name in read.buyer.names if (record := self._customer_named(name)) is not None}
        if len(named) == 1:
            return self._unblocked(next(iter(named.values())))
        if read.buyer.name is None:
            self._doubts.add(
                "customer.unknown", f"no customer has the code {', '.join(read.buyer.codes) or '(none)'}", "buyer"
            )
            return None
        match = self._masters.customers.by_name(read.buyer.name, _LEAST_NAME)
        if match.record is None or match.confidence < EXACT:
            self._doubts.add("customer.unknown", f"which customer is {read.buyer.name!r}?", "buyer", match)
            return None
        return self._unblocked(match.record)

    def _unblocked(self, customer: KnownCustomer | None) -> KnownCustomer | None:
        if customer is not None and customer.is_blocked:
            self._doubts.add("customer.blocked", f"{customer.id} is blocked", "buyer")
        return customer

    def product(self, line: ReadLine, scope: str, where: str) -> KnownProduct | None:
        """The product of a line, or none with a doubt; `scope` is the customer's id.

        The same words may mean different products to different customers.
        """
        products = self._masters.products
        if line.product_id is not None:
            found = products.get(line.product_id)
            if found is None:
                self._doubts.add("product.unknown", f"there is no product {line.product_id}", where)
            return found
        told = {record.id: record for code in line.codes if (record := products.by_code(code)) is not None}
        for text in [*line.codes, *([line.name] if line.name and not told else [])]:
            said = self._alias("product", scope, text)
            record = None if said is None else products.get(said)
            if record is not None:
                told[record.id] = record
        if len(told) > 1:
            self._doubts.add("product.ambiguous", f"the codes belong to {', '.join(sorted(told))}", where)
            return None
        if told:
            return self._agreeing(next(iter(told.values())), line, where)
        looks = self._product_by_look(line)
        if looks is not None:
            return looks
        match = self._product_by_name(line)
        # A code that nobody knows may be another product of nearly the same name.
        if match.record is None or match.confidence < EXACT or line.seller_code:
            self._doubts.add(
                "product.unknown", f"which product is {', '.join([*line.codes, line.name or ''])!r}?", where, match
            )
            return None
        return match.record

    def _product_by_look(self, line: ReadLine) -> KnownProduct | None:
        """Of a scan, `0live Oil 1 1` is `Olive Oil 1 l` if no other product looks so, and the code looks like its."""
        if not self._is_recognised or not line.name:
            return None
        found = self._masters.products.named(line.name, is_recognised=True)
        if found is None or (line.seller_code and look_key(line.seller_code) not in map(look_key, found.codes)):
            return None
        return found

    def _product_by_name(self, line: ReadLine) -> Match[KnownProduct]:
        """A name may go on below: then the whole is the name, if there is such a product."""
        products = self._masters.products
        whole = f"{line.name or ''} {line.more_name or ''}".strip()
        match = products.by_name(whole, _LEAST_NAME)
        if match.confidence < EXACT and line.more_name and line.name:
            return products.by_name(line.name, _LEAST_NAME)
        return match

    def _agreeing(self, product: KnownProduct, line: ReadLine, where: str) -> KnownProduct:
        """Read from text, code and name have to speak of one thing."""
        if not self._read.is_certain and line.name:
            match = self._masters.products.by_name(line.name, _LEAST_NAME)
            other = self._masters.products.named(line.name, is_recognised=self._is_recognised) or match.record
            if other is not None and other.id != product.id:
                told = f"the code belongs to {product.id}, and the name {line.name!r} to {other.id}"
                self._doubts.add("product.contradiction", told, where, match)
        return product
