"""The answers of open pass-through calls, whose format LiteLLM may not know.

Large ones are read on another thread: reading takes tens of milliseconds per MB, and the proxy's
event loop serves other clients.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from litespan.background.deferred import LARGE
from litespan.errors import suppress_errors
from litespan.instrumentation.call import Call
from litespan.instrumentation.call_end import to_failure
from litespan.instrumentation.state import OWNER
from litespan.mapping.chunks import error_in, read_passed
from litespan.mapping.response import Answer

open_calls: Final["WeakKeyDictionary[Call, Iterable[bytes]]"] = WeakKeyDictionary()
"""Open calls and the bytes of their answers, if LiteLLM or a hook keeps them."""
_searches: Final["WeakKeyDictionary[Call, asyncio.Task[None]]"] = WeakKeyDictionary()


def received(logging: Any, chunks: Iterable[bytes]) -> Call | None:
    """Keep the bytes of an answer until LiteLLM logs it. Returns its call if that is open."""
    call = getattr(logging, OWNER, None)
    if not isinstance(call, Call) or call not in open_calls:
        return None
    open_calls[call] = chunks
    return call


def streamed(logging: Any, chunks: Any) -> None:
    """Record an error in the chunks of a stream that has ended, before LiteLLM logs it.

    `searched` waits until that is done.
    """
    if isinstance(chunks, (list, tuple)):
        call = received(logging, chunks)
        if call is not None and _is_large(chunks):
            _searches[call] = asyncio.ensure_future(_search(call, chunks))
        elif call is not None:
            note_error(call, error_in(chunks))


async def _search(call: Call, chunks: Sequence[bytes]) -> None:
    with suppress_errors("reading the end of a pass-through stream"):
        note_error(call, await asyncio.to_thread(error_in, chunks))


async def searched(call: Any) -> None:
    """Wait until an error in the stream of a call is recorded."""
    if isinstance(call, Call) and call in _searches:
        await asyncio.wait({_searches[call]})


def note_error(call: Call, error: Any) -> None:
    """Mark the call and its request as failed if the answer reports an error."""
    call.failure = None if error is None else to_failure(call, error)
    call.report_failure(call.failure)


async def native(call: Call, answer: Answer) -> Answer:
    """Return what the provider's own answer states; `answer` if it states no tokens."""
    chunks, open_calls[call] = tuple(open_calls.get(call, ())), ()
    if _is_large(chunks):
        found = (await asyncio.to_thread(read_passed, call.request, None, chunks)).answer
    else:
        found = read_passed(call.request, None, chunks).answer
    if found.usage is None:
        return answer
    return replace(found, hidden=answer.hidden, error=answer.error)


def _is_large(chunks: Iterable[bytes]) -> bool:
    return sum(map(len, chunks)) >= LARGE
