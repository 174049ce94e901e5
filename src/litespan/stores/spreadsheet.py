"""Escapes text that a spreadsheet would treat as a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""

import unicodedata
from typing import Final

_SIGNS: Final = "=+-@\u2212"
_SPLITS: Final = "\t\r\n"  # some spreadsheets start a new cell here
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"  # invisible letters


def guarded(text: str) -> str:
    """`text` with an apostrophe in front if necessary; `unguarded` reverses this."""
    return f"'{text}" if text[:1] == "'" or _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may treat it as a formula, including full-width signs."""
    for character in text:
        if character.isalnum() and character not in _FILLERS:
            return False
        if character in _SPLITS or unicodedata.normalize("NFKC", character)[:1] in _SIGNS:
            return True
        seen = character not in _FILLERS and unicodedata.category(character)[0] not in "CZM"
        if seen:
            return False
    return False


def unguarded(text: str) -> str:
    """Reverse `guarded`."""
    return text.removeprefix("'")
