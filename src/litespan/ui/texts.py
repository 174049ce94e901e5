"""The text of messages, with SQLite's full-text search: https://www.sqlite.org/fts5.html ."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from litespan.objects import utf8
from litespan.stores.conversation import Message, conversation
from litespan.stores.records import Record

_MATCHES: Final = 10_000  # calls that a search finds at most, the newest
_PREVIEW: Final = 200  # characters of a message that a list can show
_TEXTS: Final = "insert into texts (key, input, output) values (?, ?, ?)"
_WORDS: Final = "insert into words (rowid, body) values (?, ?)"


class Texts:
    """The messages of calls in a new SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as connection:
            connection.executescript(
                "pragma journal_mode = wal; pragma synchronous = off;"
                "create table texts (n integer primary key, key text, input text, output text);"
                "create index texts_key on texts (key);"
                "create virtual table words using fts5 (body, content='', columnsize=0);"
            )

    def add(self, records: Iterable[Record]) -> None:
        """Add the messages of calls; a call that was read while it ran is added again."""
        with closing(self._open()) as connection, connection:
            for record in records:
                messages = conversation(record)
                parts = [part for message in messages for part in message.parts]
                body = utf8("\n".join(f"{part.title}\n{part.text}" for part in parts))
                if body:
                    row = (record["key"], *_previews(messages))
                    n = connection.execute(_TEXTS, row).lastrowid
                    connection.execute(_WORDS, (n, body))

    def matching(self, text: str) -> list[str]:
        """Keys of the newest calls that have all words, or words that begin with them."""
        words = [word.replace('"', "") for word in text.replace("\0", " ").split()]
        wanted = " ".join(f'"{word}"*' for word in words if word)
        sql = (
            "select key from texts where n in "
            "(select rowid from words where words match ? order by rowid desc limit ?)"
        )
        with closing(self._open()) as connection:
            return [key for (key,) in connection.execute(sql, (wanted, _MATCHES))] if wanted else []

    def previews(self, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Key → beginning of the last input and of the output, of calls that have messages."""
        marks = ", ".join("?" * len(keys))
        sql = f"select key, input, output from texts where key in ({marks}) order by n"  # noqa: S608
        with closing(self._open()) as connection:
            return {key: (sent, got) for key, sent, got in connection.execute(sql, keys)}

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=10.0)


def _previews(messages: Sequence[Message]) -> tuple[str, str]:
    sent = [m for m in messages if not m.is_output and m.role != "system"]
    asked = [m for m in sent if m.role == "user"] or sent  # rather than a tool's result
    return _preview(asked[-1:]), _preview([m for m in messages if m.is_output])


def _preview(messages: Iterable[Message]) -> str:
    parts = [
        f"{part.title}({part.text})" if part.kind == "tool_call" else part.text
        for message in messages
        for part in message.parts
        if part.kind != "reasoning"
    ]
    return utf8(" ".join(" ".join(parts)[: 4 * _PREVIEW].split())[:_PREVIEW])
