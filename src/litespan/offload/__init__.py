"""Content offload: large content goes to a file system or object store, spans keep references.

    LITESPAN_OFFLOAD=s3://traces/content opentelemetry-instrument python app.py

or, in code, around one exporter:

    exporter = Offloading(OTLPSpanExporter(), "s3://traces/content")

Most bytes of a span are prompts. Content above a size is written, on the exporter's thread, to
`<store>/<first two digits>/<sha256>.json`; its attribute is replaced by URL, hash and size, and
`restored` reverses that. Equal texts are one file, so writing twice is harmless. A store that
fails or hangs delays an export by at most `timeout` seconds and is then not used for a while;
spans are exported with their content meanwhile. Any fsspec store works:
https://filesystem-spec.readthedocs.io
"""

from litespan.offload.content_store import Reference, Store
from litespan.offload.exporter import (
    CONTENT,
    Offloading,
    Unrestorable,
    offloaded,
    read,
    restored,
    with_content,
)

__all__ = [
    "CONTENT",
    "Offloading",
    "Reference",
    "Store",
    "Unrestorable",
    "offloaded",
    "read",
    "restored",
    "with_content",
]
