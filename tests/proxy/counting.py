"""Counts what litespan does on the proxy's event loop; copied to the config.

`GET /counted` returns function calls of litespan and OpenTelemetry, and where answers were read.
`GET /garbage` returns which of their objects only the garbage collector could free.
"""

import gc
import sys
import threading
from types import CodeType
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.proxy_server import app

from litespan.mapping import passed

FOLDERS = ("/litespan/", "/opentelemetry/")
LOOP = threading.get_ident()
found = {"calls": 0}
read: list[tuple[int, bool]] = []  # bytes, whether on the loop
_ours: dict[CodeType, bool] = {}


def _profile(frame: Any, event: str, _: Any) -> None:
    if event in ("call", "c_call"):
        code = frame.f_code
        if code not in _ours:
            _ours[code] = any(
                f"/{name}/" in code.co_filename for name in ("litespan", "opentelemetry")
            )
        found["calls"] += _ours[code]


def _events(chunks: Any) -> Any:
    kept = list(chunks)
    read.append((sum(map(len, kept)), threading.get_ident() == LOOP))
    return events(kept)


@app.get("/counted")
async def counted() -> dict[str, Any]:
    """What was counted so far."""
    return {**found, "read": read}


@app.get("/garbage")
async def garbage() -> list[str]:
    """What has become garbage since the last request for it, which turns the collector off."""
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    kinds = {f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage}
    gc.garbage.clear()
    gc.collect()  # what was kept for the list
    return sorted(name for name in kinds if name.startswith(("litespan.", "opentelemetry.")))


events, passed.events = passed.events, _events
counter = CustomLogger()
sys.setprofile(_profile)
