"""Units as documents name them, as codes of UN/ECE Recommendation 20 (packages of Recommendation 21 behind an X)."""

from __future__ import annotations

import re
import unicodedata

# X12 element 355, EDIFACT 6411 of older directories, and what is printed. Rec 20 codes stand for themselves.
_CODES = {
    "EA": "C62", "PCE": "C62", "PC": "C62", "ST": "C62", "UN": "C62", "PCS": "C62", "STK": "C62", "EACH": "C62",
    "CA": "XCS", "CS": "XCS", "CT": "XCT", "BX": "XBX", "BO": "XBO", "BT": "XBO", "PK": "XPK", "PA": "XPK", "BG": "XBG",
    "PL": "XPX", "RL": "XRO", "RO": "XRO", "JR": "XJR", "CN": "XCA", "DZ": "DZN", "PR": "PR", "SF": "FTK", "LB": "LBR",
    "OZ": "ONZ", "KG": "KGM", "GR": "GRM", "LT": "LTR", "ML": "MLT", "MR": "MTR", "LF": "LF", "FT": "FOT", "GA": "GLL",
    "YD": "YRD", "IN": "INH", "MM": "MMT", "CM": "CMT", "SM": "MTK", "TN": "STN", "MP": "TNE", "HR": "HUR",
    "SET": "SET",
}  # fmt: skip

_WORDS = {
    "C62": "unit units each ea pc pcs piece pieces item items no nos stück stueck stk st stck einheit einheiten "
    "unité unités unite unites pièce pièces piece pieces pce pces u unidad unidades ud uds pieza piezas pza pzas",
    "XCS": "case cases kiste kisten caisse caisses caja cajas cs",
    "XCT": "carton cartons ctn ctns karton kartons cartón cartones ct",
    "XBX": "box boxes bx schachtel schachteln boîte boîtes boite boites estuche estuches",
    "XBO": "bottle bottles btl flasche flaschen fl bouteille bouteilles botella botellas",
    "XPK": "pack packs pk pkg package packages packung packungen paket pakete paquet paquets paquete paquetes pak",
    "XBG": "bag bags beutel tüte tüten sachet sachets bolsa bolsas",
    "XSA": "sack sacks säcke saco sacos",
    "XPX": "pallet pallets palette paletten palettes palé palés pallette",
    "XJR": "jar jars glas gläser bocal bocaux tarro tarros frasco frascos",
    "XCA": "can cans tin tins dose dosen boîte_de_conserve lata latas",
    "XRO": "roll rolls rolle rollen rouleau rouleaux rollo rollos",
    "DZN": "dozen dozens doz dutzend dtzd douzaine douzaines docena docenas",
    "PR": "pair pairs paar paare paire paires par pares",
    "SET": "set sets satz sätze jeu jeux juego juegos",
    "KGM": "kg kilo kilos kilogram kilograms kilogramm kilogramme kilogrammes kilogramo kilogramos",
    "GRM": "g gram grams gramm gramme grammes gramo gramos",
    "TNE": "t tonne tonnes tonnen tonelada toneladas",
    "LTR": "l liter liters litre litres litro litros ltr",
    "MTR": "m metre metres meter meters mètre mètres metro metros mtr lfm",
    "MTK": "m2 m² qm sqm",
    "HUR": "h hour hours stunde stunden std heure heures hora horas",
}


def _plain(word: str) -> str:
    """Lower case, without accents and dots."""
    folded = unicodedata.normalize("NFKD", word.casefold().replace("ß", "ss"))
    return "".join(mark for mark in folded if not unicodedata.combining(mark)).replace(".", "").strip()


_BY_WORD = {_plain(word): code for code, words in _WORDS.items() for word in words.split()}
_SHAPE = re.compile(r"[A-Z0-9]{2,3}")


def unit_of_code(code: str) -> str | None:
    """The unit for a code of an electronic message; None where it is no code at all."""
    code = code.strip().upper()
    return _CODES.get(code, code if _SHAPE.fullmatch(code) else None)


def unit_of_word(word: str) -> str | None:
    """The unit for a word or abbreviation of English, German, French or Spanish; None where it is none."""
    found = _BY_WORD.get(_plain(word))
    if found is None and word.strip().isupper():
        text = word.strip()
        return _CODES.get(text) or (text if text in _BY_CODE else None)
    return found


_BY_CODE = frozenset(_WORDS) | frozenset(_CODES.values()) | {"H87", "NAR"}
