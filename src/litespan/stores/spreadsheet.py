"""Text that a spreadsheet does not take for a formula.

https://owasp.org/www-community/attacks/CSV_Injection
"""

import unicodedata
from typing import Final

_SIGNS: Final = "=+-@\u2212"
_SPLITS: Final = "\t\r\n"  # some spreadsheets begin another cell here
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"  # letters that show nothing


def guarded(text: str) -> str:
    """`text`, made harmless to spreadsheets; `unguarded` takes that back."""
    return f"'{text}" if text[:1] == "'" or _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """May a spreadsheet take it for one? Signs count in any width: to some, all are the same."""
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
    """What `guarded` was given."""
    return text.removeprefix("'")
