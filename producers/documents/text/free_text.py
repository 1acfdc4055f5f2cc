"""Orders in sentences: "please send us 12 cases of Chai and two of the usual olive oil, delivery by 3 March".

What is said with a condition, a question or a change is for a person, and so is a number that belongs to nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from producers.documents.numbers import number_of
from producers.documents.order import Evidence, Kind, ReadLine, ReadOrder, ReadParty
from producers.documents.reasons import RefusedDocument, refused
from producers.documents.text import document
from producers.documents.text.dates import FoundDate, Order, dates_in, order_of
from producers.documents.text.words import Segment, plain
from producers.documents.units import unit_of_word

_MARKS = {"en": ".", "de": ",", "fr": ",", "es": ","}
_WORDS = {
    "en": "please the and send order we with for you our would like need deliver delivery of to by",
    "de": "bitte die und senden bestellen wir mit fur sie unsere wurden brauchen liefern lieferung den der bis uns",
    "fr": "merci les et envoyer commander nous avec pour vous notre voudrions livrer livraison le des du veuillez",
    "es": "por favor los y enviar pedir nosotros con para ustedes nuestro queremos entregar entrega el del envien",
}
_NUMBERS = {
    word: Decimal(value)
    for words in (
        "one two three four five six seven eight nine ten eleven twelve",
        "ein zwei drei vier funf sechs sieben acht neun zehn elf zwolf",
        "un deux trois quatre cinq six sept huit neuf dix onze douze",
        "uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
    )
    for value, word in enumerate(words.split(), 1)
} | {word: Decimal(1) for word in ("a", "an", "eine", "einen", "une", "una")}
_ONES = frozenset({"a", "an", "ein", "eine", "einen", "un", "une", "una", "uno", "one"})
_ORDERS = re.compile(
    r"\b(?:order|send|ship|deliver|supply|need|purchase|bestell\w*|bestellung|liefer\w*|send\w*|brauchen|benotig\w*|"
    r"command\w*|envoy\w*|livr\w*|expedi\w*|besoin|pedi\w*|envi\w*|solicit\w*|necesit\w*|encarg\w*|suministr\w*|pedido)\b"
)
_CONDITIONS = re.compile(
    r"\b(?:if|unless|instead|except|not|don t|dont|only when|or|otherwise|quote|quotation|offer|how much|available|"
    r"wenn|falls|statt|anstatt|ausser|nicht|kein\w*|oder|angebot|anfrage|sofern|verfugbar|"
    r"si|sauf|pas|ou|sinon|devis|au lieu|disponible\w*|aucun\w*|ne|"
    r"salvo|excepto|no|o|sino|presupuesto|en lugar|en vez|cotiza\w*|ningun\w*|sin)\b"
)
_CHANGES = re.compile(
    r"\b(?:cancel\w*|change|amend\w*|revise\w*|stornier\w*|storno|ander\w*|annul\w*|modifi\w*|anula\w*|cambi\w*|correct\w*|"
    r"korrig\w*|corrig\w*|reduce|reduzier\w*|add to|erhoh\w*|reclam\w*|return|retour\w*|devol\w*|reklam\w*)\b"
)
_END = re.compile(
    r"^\s*(?:--\s*$|(?:kind |best |warm |many )?regards|sincerely|yours|thanks|thank you|cheers|"
    r"mit freundlichen|freundliche|"
    r"viele gr|beste gr|gru(?:ss|ß)|vielen dank|danke|cordialement|bien à vous|bien a vous|salutations|merci d'avance|"
    r"saludos|atentamente|un saludo|gracias|cordialmente|sent from my|envoyé de|enviado desde|von meinem)",
    re.IGNORECASE,
)
_GREETING = re.compile(r"sir or madam|madame? ou monsieur|monsieur ou madame|señora? o señora?", re.IGNORECASE)
"""Nobody orders `Sir or Madam`."""
_NUMBERED = re.compile(
    r"\b(?:purchase order|order|po|p\.o\.|bestellung|bestell-?nr\.?|bestellnummer|auftrag|"
    r"commande|bon de commande|pedido|"
    r"orden de compra|ref(?:erence|erenz|erencia|\.)?)\s*"
    r"(?:(?:number|no\.?|nr\.?|nummer|n[uú]m[ée]ro|n[°º.]|#|:)\s*(?:[:#]|\b(?:is|ist|lautet|est|es)\b)?\s*"
    # `We order 1200 Chai` names no number.
    r"|(?!(?<=order\s)\d+\s+[^\W\d_])(?!(?<=commande\s)\d+\s+[^\W\d_]))"
    r"((?=[A-Z0-9/_-]*\d)[A-Z0-9][A-Z0-9/_-]{2,30})\b",
    re.IGNORECASE,
)
_CUSTOMER = re.compile(
    r"\b(?:(?:customer|account|client|kunden?|cliente?)[\s-]*(?:number|no\.?|nr\.?|nummer|code|id|n[uú]m[ée]ro|n[°º.])|"
    r"(?:n[uú]m[ée]ro|n[°º.]|c[oó]digo|code)\s*(?:de\s+)?cliente?)\s*(?:[:#]|\b(?:is|ist|lautet|est|es)\b)?\s*([A-Z0-9-]*\d[A-Z0-9-]*)",
    re.IGNORECASE,
)
_BEFORE_DATE = (
    r"(?:\b(?:delivery|deliver|lieferung|liefertermin|livraison|entrega)\b\W*)?"
    r"(?:\b(?:by|until|before|on|for|not later than|bis zum|bis|zum|am|vor dem|"
    r"avant le|pour le|le|para el|antes del|el)\s+)?"
)
_SIGN = r"(?:€|EUR|\$|USD|£|GBP)?"
_PRICE = re.compile(
    rf"\s*(?:@|\bat|\bà|\ba|\bzu(?: je)?|\bje)\s+{_SIGN}\s*(\d[\d.,]*)\s*{_SIGN}"
    r"(?:\s+(?:each|je|pro \w+|pièce|cada un[oa]|la unidad|l'unité))?\s*$",
    re.IGNORECASE,
)
_FILLERS = re.compile(
    r"^(?:(?:of|de|d'|d’|von|vom|the|der|die|das|den|dem|le|la|les|l'|l’|el|los|las|del|des|du|our|your|unser\w*|notre|"
    r"usual|ubliche\w*|übliche\w*|gewohnte\w*|habituel\w*|habitual\w*)\s*(?=\W|\s|\b))+",
    re.IGNORECASE,
)
_SPLIT = re.compile(
    r"[;\n]|,(?!\d)|\.(?=\s|$)(?<!No\.)(?<!Nr\.)(?<!\d Stk\.)(?<!\d St\.)"
    r"(?<!\d pcs\.)(?<!\d uds\.)(?<!\d ud\.)|"
    r"\s(?:and|und|et|y|e|plus|sowie|ainsi que)\s+(?=\d|[a-z]{2,7}\b)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*•·–]|\d{1,2}[.)](?=\s))\s*")
_QUANTITY = re.compile(
    r"(?<![\w.,/-])(\d{1,3}(?:[.,]\d{3})+(?!\d)|\d+(?:[.,]\d+)?|[^\W\d_]+)\s*(?:x\b|×)?\s*", re.IGNORECASE
)
_CODE = re.compile(
    r"\(?(?:(?:art(?:icle|ikel)?|item|ref|sku|code|cod)\W{0,2}(?:nr|no|n[°º])?\W{0,2})?"
    r"((?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9][A-Z0-9-]{1,20})\)?$"
)
_NEGATION = re.compile(r"\bno\s+(?![\d.:#])", re.IGNORECASE)
"""Spanish; elsewhere it is mostly a number's sign."""
_SURE, _UNSURE = 0.92, 0.5


@dataclass(frozen=True, slots=True)
class _Item:
    quantity: Decimal
    unit: str | None
    name: str
    price: Decimal | None
    text: str


def read(text: str, subject: str, sender: str, told: Order | None, sent_on: date | None = None) -> ReadOrder:
    """The order of an e-mail's text; `sent_on` is its date and gives dates without a year theirs.

    Raises:
        RefusedDocument: nothing is ordered in it.
    """
    try:
        order = document.read(list(_grid(text)), "text", told)
    except RefusedDocument as exc:
        if exc.rule == "document.not_an_order":
            raise
        order = _Sentences(text, subject, told, sent_on).read()
    if sender:
        order.buyer.email = sender
    if order.issue_date is None and "issue_date" not in order.evidence and sent_on is not None:
        order.issue_date = sent_on
    return order


def _grid(text: str) -> Iterator[Segment]:
    """Plain text as a page whose letters are equally wide."""
    for number, line in enumerate(text.expandtabs(8).splitlines()):
        for found in re.finditer(r"[^\s|]+(?: [^\s|]+)*", line):
            left = 6.0 * found.start()
            yield Segment(found[0], 1, left, 12.0 * number, left + 6.0 * len(found[0]), 12.0 * number + 10.0)


class _Sentences:
    def __init__(self, text: str, subject: str, told: Order | None, sent_on: date | None) -> None:
        self._subject = subject
        # One sign between words is enough, and tells more easily what stands before a number.
        self._text = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", _GREETING.sub(" ", _own_text(text))))
        votes = Counter(plain(self._text).split())
        counts = {name: sum(votes[word] for word in words.split()) for name, words in _WORDS.items()}
        self._language = max(counts, key=lambda name: counts[name])
        self._mark = _MARKS[self._language]
        self._dates = order_of([self._text], self._language, told)
        self._sent_on = sent_on

    def read(self) -> ReadOrder:
        said = plain(f"{self._subject}\n{self._text}")
        if not _ORDERS.search(said):
            raise refused("document.no_order", "the text asks for nothing to be sent", "text")
        order = ReadOrder(Kind.ORDER, "text", is_certain=False)
        if _CHANGES.search(said):
            order.kind = Kind.CHANGE
        rest = self._numbers(order, self._text)
        rest = self._days(order, rest)
        left = self._items(order, rest)
        if not order.lines:
            raise refused("document.no_lines", "no quantity of a product was found in the text", "text")
        self._doubts(order, plain(self._text), left)
        return order

    def _numbers(self, order: ReadOrder, rest: str) -> str:
        """Take the numbers of order and customer out of the text."""
        found = {match[1] for text in (self._subject, rest) for match in _NUMBERED.finditer(text)}
        if len(found) == 1:
            order.number = order.document_number = found.pop()
            order.evidence["number"] = Evidence(order.number, "text", 1.0, _SURE, 1.0)
        elif found:
            order.evidence["number"] = Evidence(", ".join(sorted(found)), "text", 1.0, _UNSURE, 1.0)
        customers = {match[1] for match in _CUSTOMER.finditer(rest)}
        order.buyer = ReadParty(sorted(customers))
        if customers:
            order.evidence["buyer"] = Evidence(", ".join(sorted(customers)), "text", 1.0, _SURE, 1.0)
        return _CUSTOMER.sub(" ", _NUMBERED.sub(" ", rest))

    def _days(self, order: ReadOrder, rest: str) -> str:
        """Take the one date out of the text: it is when the goods are wanted."""
        found: list[FoundDate] = dates_in(rest, self._dates, self._sent_on)
        for one in found:
            rest = re.sub(_BEFORE_DATE + re.escape(one.text), " ", rest, count=1, flags=re.IGNORECASE)
        if len(found) == 1:
            order.delivery_date = found[0].day
        if found:
            sure = len(found) == 1 and found[0].day is not None
            told = ", ".join(one.text for one in found)
            order.evidence["lines.date"] = Evidence(told, "text", 1.0, _SURE if sure else _UNSURE, 1.0)
        return rest

    def _items(self, order: ReadOrder, rest: str) -> list[str]:
        """The lines; gives the pieces of text that are none."""
        left: list[str] = []
        for piece in _SPLIT.split(rest):
            item = self._item(_BULLET.sub("", piece or "").strip())
            if item is None:
                left.append(piece or "")
                continue
            number = len(order.lines)
            line = ReadLine(str(number + 1), f"text: {item.text[:60]!r}", quantity=item.quantity, unit_code=item.unit)
            line.price, line.name = item.price, item.name
            code = _CODE.search(item.name)
            if code is not None:
                line.seller_code = code[1]
                line.name = item.name[: code.start()].strip(" ,-") or None
            order.lines.append(line)
            for name in ("product", "quantity"):
                order.evidence[f"lines.{number}.{name}"] = Evidence(item.text, "text", 1.0, _SURE, 1.0)
        return left

    def _item(self, piece: str) -> _Item | None:
        price = _PRICE.search(piece)
        head = piece if price is None else piece[: price.start()]
        for found in _QUANTITY.finditer(head):
            quantity = self._quantity(found[1])
            if quantity is None:
                continue
            rest = head[found.end() :].strip()
            word, _, after = rest.partition(" ")
            unit = unit_of_word(word.rstrip(".")) if word else None
            if unit is None and plain(found[1]) in _ONES:
                # `a` and `un` count only before a unit: `a favour` is no order.
                continue
            name = _FILLERS.sub("", after if unit is not None else rest).strip(" .:-")
            if len(re.findall(r"[^\W\d_]", name)) < 2 and not _CODE.fullmatch(name):
                continue
            return _Item(quantity, unit, name, None if price is None else number_of(price[1], self._mark), piece)
        return None

    def _quantity(self, text: str) -> Decimal | None:
        if text[0].isdigit():
            found = number_of(text, self._mark)
            return found if found is not None and found > 0 else None
        return _NUMBERS.get(plain(text))

    def _doubts(self, order: ReadOrder, said: str, left: list[str]) -> None:
        numbers = [piece.strip() for piece in left if re.search(r"\d", piece)]
        condition = _CONDITIONS.search(said) or _NEGATION.search(self._text)
        if numbers:
            told = f"numbers that belong to nothing: {'; '.join(numbers)[:80]}"
            order.evidence["lines.rest"] = Evidence(told, "text", 1.0, _UNSURE, 1.0)
        if condition is not None or "?" in self._text:
            told = "?" if condition is None else condition[0]
            order.evidence["lines.condition"] = Evidence(f"said with {told!r}", "text", 1.0, _UNSURE, 1.0)


def _own_text(text: str) -> str:
    """Without what is quoted, signed or forwarded."""
    lines: list[str] = []
    for line in text.splitlines():
        if re.match(
            r"\s*>|.*\b(?:wrote|schrieb|a écrit|escribió)\b.*:\s*$|-{3,}.*(?:Original|Weitergeleitet|Forwarded)", line
        ):
            break
        if lines and _END.match(line):
            break
        lines.append(line)
    return "\n".join(lines)
