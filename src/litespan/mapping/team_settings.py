"""Settings of a team or key of LiteLLM's proxy: `litespan` in its metadata.

They are read from LiteLLM's record of the key, not from the metadata of the request: some LiteLLM
versions keep client-supplied values there under the same names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from litespan.objects import as_texts

# The key's settings override its team's.
_PLACES: Final = ("team_metadata", "metadata")
_NAME: Final = "litespan"
_LISTS: Final = ("success", "failure")
_OURS: Final = frozenset({"content", *_LISTS})
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}

Options = tuple[tuple[str, str], ...]  # exporter arguments: credentials and URL


@dataclass(frozen=True, slots=True)
class TeamSettings:
    """The settings of one team or key.

    Attributes:
        exporters: name → arguments of its own exporters. Contains credentials; do not log.
        lists: "success" and "failure" → names of the exporters that receive such calls; a missing
            list means all exporters.
        content: whether messages are recorded; None for the proxy's setting.
    """

    exporters: Mapping[str, Options] = field(default_factory=dict, repr=False)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content: bool | None = None

    def wanted(self, stage: str) -> list[tuple[str, Options]]:
        """Return (name, arguments) of the exporters for `stage`, "success" or "failure"."""
        names = self.lists.get(stage)
        return [pair for pair in self.exporters.items() if names is None or pair[0] in names]


NONE: Final = TeamSettings()


def team_settings(key: Any) -> TeamSettings:
    """Read the settings from the metadata of a `UserAPIKeyAuth` and its team."""
    merged: dict[str, Any] = {}
    for place in _PLACES:
        given = getattr(key, place, None)
        own = given.get(_NAME) if isinstance(given, Mapping) else None
        if isinstance(own, Mapping):
            merged.update(own)
    if not merged:
        return NONE
    return TeamSettings(
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
