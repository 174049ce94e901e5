"""What a team or a key of LiteLLM's proxy asks of litespan: `litespan` in its metadata. Pure.

Read from LiteLLM's record of the key. The metadata of a request is no source: some versions of
LiteLLM leave what a client has written there under the same names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from litespan.objects import as_texts

# The key's own settings win over its team's.
_PLACES: Final = ("team_metadata", "metadata")
_NAME: Final = "litespan"
_LISTS: Final = ("success", "failure")
_OURS: Final = frozenset({"content", *_LISTS})
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}

Options = tuple[tuple[str, str], ...]  # an exporter's arguments: credentials, and its URL


@dataclass(frozen=True, slots=True)
class TeamWishes:
    """The settings of one team or key.

    Attributes:
        exporters: by name, the arguments of each exporter of its own. Credentials: never shown.
        lists: which of them get calls that succeed, and calls that fail; a list that is not
            there stands for all of them.
        content: whether messages are recorded; None if the proxy's own setting holds.
    """

    exporters: Mapping[str, Options] = field(default_factory=dict, repr=False)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content: bool | None = None

    def wanted(self, stage: str) -> list[tuple[str, Options]]:
        """(name, arguments) of the exporters that get calls of `stage`."""
        names = self.lists.get(stage)
        return [pair for pair in self.exporters.items() if names is None or pair[0] in names]


NONE: Final = TeamWishes()


def team_wishes(key: Any) -> TeamWishes:
    """The settings in the metadata of a key, LiteLLM's `UserAPIKeyAuth`, and of its team."""
    merged: dict[str, Any] = {}
    for place in _PLACES:
        given = getattr(key, place, None)
        own = given.get(_NAME) if isinstance(given, Mapping) else None
        if isinstance(own, Mapping):
            merged.update(own)
    if not merged:
        return NONE
    return TeamWishes(
        {
            str(name): tuple(sorted((str(key), str(value)) for key, value in options.items()))
            for name, options in merged.items()
            if name not in _OURS and isinstance(options, Mapping)
        },
        {name: tuple(as_texts(merged[name]) or ()) for name in _LISTS if name in merged},
        _flag(merged.get("content")),
    )


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else _WORDS.get(str(value).lower())
