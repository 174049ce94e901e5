"""Reads offloaded content back."""

import hashlib
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from litespan import semconv as s
from litespan.export.encodable import copy_of
from litespan.offload.exporter import CONTENT


class Unrestorable(Exception):
    """The content is missing from the store, or differs from what was written."""


def restored(attributes: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The attributes with offloaded content in place of its references.

    Args:
        attributes: of a span or a stored row, or `GenAISpan.facts`.
        options: for fsspec.

    Raises:
        Unrestorable: some content cannot be read, or its hash differs.
    """
    found = dict(attributes)
    for name in CONTENT:
        url = found.get(name + s.REFERENCE)
        if isinstance(url, str):
            digest = found.get(name + s.REFERENCE_SHA256)
            found[name] = read(url, digest if isinstance(digest, str) else None, **options)
            for suffix in (s.REFERENCE, s.REFERENCE_SHA256, s.REFERENCE_SIZE):
                found.pop(name + suffix, None)
    return found


def with_content(span: ReadableSpan, **options: Any) -> ReadableSpan:
    """The span with offloaded content in place of its references. Raises Unrestorable."""
    attributes = span.attributes or {}
    if not any(name + s.REFERENCE in attributes for name in CONTENT):
        return span
    return copy_of(span, restored(attributes, **options))


def read(url: str, sha256: str | None = None, **options: Any) -> str:
    """The content at `url`. Raises Unrestorable if it is missing or its hash differs."""
    try:
        import fsspec

        with fsspec.open(url, "rb", **options) as file:
            content: bytes = file.read()
    except ImportError as error:
        raise Unrestorable(f"{url} cannot be read: {error}") from error
    except Exception as error:  # each driver raises its own exceptions
        raise Unrestorable(f"{url} cannot be read: {type(error).__name__}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise Unrestorable(f"{url} is not the content that was written: its hash differs")
    return content.decode()
