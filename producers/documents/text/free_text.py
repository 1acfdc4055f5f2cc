# ruff: noqa: E501 - patterns of words are read in one line each
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
from producers.documents.text.framing import strange_words, without_salutation
from producers.documents.text.numerals import ONES, WORDS, joined
from producers.documents.text.words import Segment, plain
from producers.documents.units import unit_of_word

_MARKS = {"en": ".", "de": ",", "fr": ",", "es": ","}
_WORDS = {
    "en": "please the and send order we with for you our would like need deliver delivery of to by",
    "de": "bitte die und senden bestellen wir mit fur sie unsere wurden brauchen liefern lieferung den der bis uns",
    "fr": "merci les et envoyer commander nous avec pour vous notre voudrions livrer livraison le des du veuillez",
    "es": "por favor los y enviar pedir nosotros con para ustedes nuestro queremos entregar entrega el del envien",
}
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
_FORWARDED = re.compile(
    r"\b(?:fwd?|wg|tr|rv|forwarded|weitergeleitet|transfere?|reenviado|automatic|automatisch\w*|automatique|automatica|"
    r"out of office|abwesen\w*|absen\w*|ausente|ausencia)\b"
)
"""Subjects of what somebody else wrote, or nobody."""
_LATEST = re.compile(
    r"\b(?:(?:no|not) later than|at the latest(?: by| on)?|sp[aä]testens(?: bis| am| zum)?|au plus tard(?: le| pour le)?|"
    r"a m[aá]s tardar(?: el)?)\b",
    re.IGNORECASE,
)
"""No negation."""
_PHONE = re.compile(
    r"\b(?:(?:tele)?phone|tel|t[eé]l|mobile|fax|telefon|handy|mobil|durchwahl|t[eé]l[eé]phone|portable|m[oó]vil|tel[eé]fono)"
    r"[^\d\n]{0,24}[+(]?\d[\d ()/.-]{5,}\d|(?<![\w.])(?:\+|00)\d{2}[\d ()/.-]{6,}\d",
    re.IGNORECASE,
)
_FORWARD_HEAD = re.compile(r"\s*(?:From|Sent|Von|Gesendet|De|Envoyé|Enviado)\s?:", re.IGNORECASE)
_POSTSCRIPT = re.compile(r"\s*(?:p\.?\s?s|n\.?\s?b)\b", re.IGNORECASE)
_ALSO = re.compile(
    r"\b(?:also|too|as well|add|auch|noch|zusatzlich|ausserdem|dazu|aussi|encore|en plus|ajoute\w*|tambien|ademas|anad\w*)\b"
)
_END = re.compile(
    r"^\s*(?:--\s*$|(?:[^\W\d_]+[ ,]+){0,4}(?:regards|wishes|greetings|gr[uü](?:ss|ß)e?n?|salutations|saludos?|abrazos?|cordialement|"
    r"cordialmente|atentamente|sincerely|faithfully|truly)\b[ ,.!]*$|(?:the )?best[ ,.!]*$|mfg\b|lg\b|vg\b|"
    r"mit freundlichen|freundliche|sincerely|yours|thanks|thank you|many thanks|cheers|"
    r"viele gr|beste gr|gru(?:ss|ß)|(?:vielen|besten|herzlichen) dank|danke|cordialement|bien à vous|bien a vous|merci d'avance|"
    r"merci[ ,.!]*$|bonne (?:journée|soirée)|un saludo|(?:muchas )?gracias|sent from my|envoyé de|enviado desde|von meinem)",
    re.IGNORECASE,
)
_THANKED = re.compile(
    r"\b(?:thanks|thank you|thankyou|danke?|merci|gracias)\s+(?:\w+\s+)?(?:for|fur|pour|por)\b(?! favor)"
)
"""What was delivered is no order."""
_TOLD = re.compile(
    r"\b(?:confirm\w*|receipt|bestatig\w*|eingang|reception|recepcion|(?:your|ihre|votre|vos|su|sus) (?:order|bestellung|commande|pedido)\w*|"
    r"(?:we|i) (?:(?!please|kindly|you )\w+ ){0,3}(?:send|deliver|ship|supply|dispatch|provide)|"
    r"you (?:can|could|will|would|d) (?:order|take|like|want|need)|(?:we|i) (?:can|could|will)|(?:can|could) (?:we|i)(?! please)|"
    r"(?:wir|ich) (?:(?!bitte|sie )\w+ ){0,3}(?:liefern|liefere|sende|senden|schicke|schicken|versenden)|"
    r"(?:liefern|liefere|sende|senden|schicke|schicken) (?:wir|ich)|"
    r"(?:nous|je) (?!vous prions)\w+ (?:vous )?(?:livrer|envoyer|fournir|expedier)|"
    r"(?:queremos|deseamos|quiero) (?:entregar|enviar|suministrar)\w*)\b"
)
"""What somebody confirms, or delivers to us."""
_ASKED = re.compile(
    r"\b(?:please|kindly|order|like|want|wish|need|require|send|ship|deliver|supply|provide|dispatch|purchase|take|"
    r"bitte|bestell\w*|order\w*|mochte\w*|wollen|gern|gerne|brauche\w*|benotig\w*|nehme\w*|schick\w*|sende\w*|liefern|"
    r"veuillez|merci de|merci d|prier|souhait\w*|desir\w*|voudri\w*|voulons|aimeri\w*|command\w*|besoin|faut|envoyer|livrer|fournir|prenons|"
    r"por favor|rog\w*|ruego|solicit\w*|quer\w*|quisi\w*|dese\w*|gustaria|pedi\w*|pido|encarg\w*|envie\w*|suministr\w*|"
    r"entreguen|necesit\w*|falta)\b"
)
_GREETING = re.compile(r"sir or madam|madame? ou monsieur|monsieur ou madame|señora? o señora?", re.IGNORECASE)
"""Nobody orders `Sir or Madam`."""
_NUMBERED = re.compile(
    r"\b(?:purchase order|order|po|p\.o\.|bestellung|bestell-?nr\.?|bestellnummer|auftrag|"
    r"commande|bon de commande|pedido|"
    r"orden de compra|r[eé]f(?:[eé]rence|erenz|erencia|\.)?)\s*"
    r"(?:(?<=nummer )(?:ist|lautet)\s+|(?:number|no\.?|nr\.?|nummer|n[uú]m[ée]ro|n[°º.]|#|:)\s*(?:[:#]|\b(?:is|ist|lautet|est|es)\b)?\s*"
    # `We order 1200 Chai` names no number.
    r"|(?!(?<=order\s)\d+\s+[^\W\d_])(?!(?<=commande\s)\d+\s+[^\W\d_]))"
    r"((?=[A-Z0-9/_-]*\d)[A-Z0-9][A-Z0-9/_-]{2,30})\b",
    re.IGNORECASE,
)
_CUSTOMER = re.compile(
    # `Customer 4711` needs no word for number; four digits are no quantity there.
    r"(?:\b(?:customer|account|client|kunde|kundin|cliente)\s*[:#]?\s*(?=[A-Z-]*\d{4})|\b(?:(?:customer|account|client|kunden?|cliente?)[\s-]*(?:number|no\.?|nr\.?|nummer|code|id|n[uú]m[ée]ro|n[°º.])|"
    r"(?:n[uú]m[ée]ro|n[°º.]|c[oó]digo|code)\s*(?:de\s+)?cliente?)\s*(?:[:#]|\b(?:is|ist|lautet|est|es)\b)?\s*)([A-Z0-9-]*\d[A-Z0-9-]*)",
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
    r"[;\n]|,(?!\d)|\.(?=\s|$)(?<!No\.)(?<!Nr\.)(?<!\sStk\.)(?<!\sSt\.)"
    r"(?<!\spcs\.)(?<!\suds\.)(?<!\sud\.)|"
    r"\s(?:and|und|et|y|e|plus|sowie|ainsi que)\s+(?=\d|[^\W\d_]{2,7}\b|[^\W\d_]+-|(?:vier|f[uü]nf|sechs|sieb|acht|neun|ein|zwei|drei)und|dreizehn|vierzehn|"
    r"f[uü]nfzehn|sechzehn|siebzehn|achtzehn|neunzehn|dreißig|thirteen|fourteen|eighteen|nineteen|sixteen|seventeen|"
    r"quarante|cinquante|soixante|quatorze|diecis[eé]is|dieci\w+|veinti\w+|cuarenta|cincuenta|noventa)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*•·–]|\d{1,2}[.)](?=\s))\s*")
_QUANTITY = re.compile(
    r"(?<![\w.,/-])(\d{1,3}(?:[.,]\d{3})+(?!\d)|\d+(?:[.,]\d+)?|[^\W\d_]+(?:-[^\W\d_]+)*)\s*(?:x\b|×)?\s*",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\(?(?:(?:art(?:icle|ikel)?|item|ref|sku|code|cod)\W{0,2}(?:nr|no|n[°º])?\W{0,2})?"
    r"((?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9][A-Z0-9-]{1,20})\)?$"
)
_NEGATION = re.compile(r"\bno\s+(?![\d.:#])", re.IGNORECASE)
"""Spanish; elsewhere it is mostly a number's sign."""
_PACKED = frozenset({"XCS", "XCT", "XBX", "XBO", "XPK", "XBG", "XSA", "XPX", "XJR", "XCA", "XRO", "DZN", "KGM"})
_MORE_OR_LESS = ("+", "-", "~", "±", "/", "½", "¼", "¾")
_THOUSANDS = re.compile(r"\d{1,3}[.,]\d{3}")
_SURE, _UNSURE = 0.92, 0.5


@dataclass(frozen=True, slots=True)
class _Item:
    quantity: Decimal
    unit: str | None
    name: str
    price: Decimal | None
    text: str
    before: str
    """What is said before its quantity."""


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
        self._text = re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", _said(text)))
        votes = Counter(plain(self._text).split())
        counts = {name: sum(votes[word] for word in words.split()) for name, words in _WORDS.items()}
        self._language = max(counts, key=lambda name: counts[name])
        self._mark = _MARKS[self._language]
        self._dates = order_of([self._text], self._language, told)
        self._sent_on = sent_on
        self._before: list[str] = []

    def read(self) -> ReadOrder:
        said = plain(f"{self._subject}\n{self._text}")
        if not _ORDERS.search(said):
            raise refused("document.no_order", "the text asks for nothing to be sent", "text")
        order = ReadOrder(Kind.ORDER, "text", is_certain=False)
        if _CHANGES.search(said):
            order.kind = Kind.CHANGE
        rest = self._numbers(order, self._text)
        rest = self._days(order, without_salutation(rest))
        left = self._items(order, rest)
        if not order.lines:
            raise refused("document.no_lines", "no quantity of a product was found in the text", "text")
        self._doubts(order, said, left)
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
            left.append(piece or "" if item is None else item.before)
            if item is None:
                continue
            self._before = list(left)
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
            if rest[:1] in _MORE_OR_LESS:
                continue
            word, _, after = rest.partition(" ")
            unit = unit_of_word(word.rstrip(".")) if word else None
            if unit is None and plain(found[1]) in ONES and not rest[:1].isupper():
                # `a` and `un` count before a unit and before a name only: `a favour` is no order.
                continue
            name = _FILLERS.sub("", after if unit is not None else rest).strip(" .:-")
            if len(re.findall(r"[^\W\d_]", name)) < 2 and not _CODE.fullmatch(name):
                continue
            told = None if price is None else number_of(price[1], self._mark)
            return _Item(quantity, unit, name, told, piece, head[: found.start()])
        return None

    def _quantity(self, text: str) -> Decimal | None:
        if text[0].isdigit():
            found = number_of(text, self._mark)
            if found is not None and _THOUSANDS.fullmatch(text) and found < 1000:
                # `1.200` of somebody who writes English: nobody can tell.
                return None
            return found if found is not None and found > 0 else None
        return WORDS.get("-".join(plain(text).split()))

    def _doubts(self, order: ReadOrder, said: str, left: list[str]) -> None:
        numbers = [piece.strip() for piece in left if re.search(r"\d", piece)]
        if _is_told(said, self._before):
            order.evidence["lines.asked"] = Evidence("told rather than asked for", "text", 1.0, _UNSURE, 1.0)
        strange = strange_words("\n".join(left))
        if strange:
            told = f"words that were not understood: {' '.join(strange)[:80]}"
            order.evidence["lines.words"] = Evidence(told, "text", 1.0, _UNSURE, 1.0)
        if _FORWARDED.search(plain(self._subject)):
            order.evidence["lines.subject"] = Evidence(self._subject, "text", 1.0, _UNSURE, 1.0)
        condition = _CONDITIONS.search(said) or _NEGATION.search(self._text)
        if numbers:
            told = f"numbers that belong to nothing: {'; '.join(numbers)[:80]}"
            order.evidence["lines.rest"] = Evidence(told, "text", 1.0, _UNSURE, 1.0)
        if condition is not None or "?" in self._text + self._subject:
            told = "?" if condition is None else condition[0]
            order.evidence["lines.condition"] = Evidence(f"said with {told!r}", "text", 1.0, _UNSURE, 1.0)


def _is_told(said: str, before: list[str]) -> bool:
    """Whether nobody asks for it; `before` is what stands before the things, `said` is everything."""
    pieces = [plain(piece) for piece in before]
    is_asked = any(_ASKED.search(piece) for piece in pieces)
    return not is_asked or bool(_THANKED.search(said)) or any(_TOLD.search(piece) for piece in pieces)


def _said(text: str) -> str:
    """What the text says itself, prepared for reading."""
    own = _PHONE.sub(" ", _GREETING.sub(" ", _own_text(text)))
    own = re.sub(r"\blet (?:us|me) have\b|\blike to have\b", "please send", own, flags=re.IGNORECASE)
    own = re.sub(r"\bavons besoin\b", "besoin", own, flags=re.IGNORECASE)
    return joined(_LATEST.sub(" ", own))


def _own_text(text: str) -> str:
    """Without what is quoted, signed or forwarded; what is asked for below the signature stays."""
    lines: list[str] = []
    is_signed = False
    for line in text.splitlines():
        if re.match(
            r"\s*>|.*\b(?:wrote|schrieb|a écrit|escribió)\b.*:\s*$|-{3,}.*(?:Original|origin|Ursprüngliche|Weitergeleitet|Forwarded)",
            line,
        ):
            break
        if is_signed and _FORWARD_HEAD.match(line):
            break
        # Who thanks for something goes on.
        is_signed = is_signed or bool(lines and _END.match(line) and not _THANKED.search(plain(line)))
        if not is_signed or _asks_below(line):
            lines.append(line)
    return "\n".join(lines)


def _asks_below(line: str) -> bool:
    """Whether a line below the signature may ask for something: a postscript, or a number with an order's word or a unit."""
    said = plain(line)
    counts = [word for word in said.split() if word.isdigit() or (word in WORDS and word not in ONES)]
    is_asked = _ORDERS.search(said) or _ALSO.search(said) or _CHANGES.search(said)
    measured = any(unit_of_word(word) in _PACKED for _, word in re.findall(r"\b(\d+)\s+([^\W\d_]{3,})", line))
    is_dated = bool(dates_in(line, None, date(2000, 1, 1)))
    return bool(_POSTSCRIPT.match(line)) or bool(counts and is_asked) or measured or is_dated
