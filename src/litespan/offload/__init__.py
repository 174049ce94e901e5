"""Large content goes to a file system or an object store; the span keeps a reference.

    LITESPAN_OFFLOAD=s3://traces/content opentelemetry-instrument python app.py

or, in code, around one exporter:

    exporter = Offloading(OTLPSpanExporter(), "s3://traces/content")

Prompts are most of a span's bytes. What is above a size is written, on the exporter's own
thread, to `<store>/<first two digits>/<sha256>.json`, and the attribute becomes its URL, hash
and size; `restored` puts it back. The same text is one file however often it is sent, so a
repeat is harmless. A store that fails or hangs costs an export at most `timeout` seconds, then
nothing for a while: the spans leave with their content in them, as if there were no store.
Any store that fsspec knows will do: https://filesystem-spec.readthedocs.io
"""

from litespan.offload.content_store import Reference, Store
from litespan.offload.exporter import CONTENT, Offloading, offloaded
from litespan.offload.restore import Unrestorable, read, restored, with_content

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
