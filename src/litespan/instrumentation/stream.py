"""Transparent proxies around LiteLLM's stream objects.

While a stream is being read, chunks are only counted and kept by reference; they are parsed once,
at the end. No context is attached, because a context attached across a `yield` leaks into other
tasks.
"""

import asyncio
import copy
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import wrapt

from litespan.background import process_exit
from litespan.background.garbage_collection import call_outside_collection
from litespan.errors import record_error
from litespan.instrumentation.custom_provider import calls_while_read, stepping
from litespan.instrumentation.stages import Chunks

if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy

_NEXT: Final = "__next__"
_ANEXT: Final = "__anext__"
_CLOSERS: Final = frozenset({"close", "aclose"})
# Types of results that are not streams: finding out takes microseconds. Types of streams are not
# kept, because LiteLLM's router makes one for each stream, which holds the stream.
_plain: Final[set[type]] = set()
_open_streams: Final[dict[int, Callable[[], Any]]] = {}  # `id()` of a call → its open stream


def is_stream(value: Any) -> bool:
    """Whether `value` is an iterator or async iterator of chunks."""
    kind = type(value)
    if kind in _plain:
        return False
    if hasattr(kind, _NEXT) or hasattr(kind, _ANEXT):
        return True
    _plain.add(kind)
    return False


def wrap_stream(value: Any, call: Any) -> Any:
    """Return a proxy for `value` that ends `call` when the stream ends for any reason."""
    process_exit.arm()
    kind = type(value)
    if not hasattr(kind, _ANEXT):
        return SyncStream(value, call)
    return BothStream(value, call) if hasattr(kind, _NEXT) else AsyncStream(value, call)


def _discard(_chunk: Any) -> None:
    """Keep nothing, because an inner stream already keeps the chunk."""


def _keep_first(stream: Callable[[], Any], chunk: Any) -> None:
    stream()._first(chunk)  # noqa: SLF001


def _keep_and_record(keep: Callable[[Any], None], chunks: Chunks, chunk: Any) -> None:
    keep(chunk)
    chunks(chunk)


class Stream(_Proxy):
    """Base of all stream proxies. `isinstance` sees the class of the wrapped object."""

    def __init__(self, wrapped: Any, call: Any) -> None:
        super().__init__(wrapped)
        self._self_call = call
        self._self_chunks: list[Any] = []
        # Not a bound method: a cycle would keep an unread stream alive.
        self._self_keep: Callable[[Any], None] = _discard
        if call.keeps_chunks:
            itself = _open_streams[id(call)] = weakref.ref(self)
            self._self_keep = partial(_keep_first, itself)
        self._self_next: Any = getattr(wrapped, _NEXT, None)
        self._self_anext: Any = getattr(wrapped, _ANEXT, None)
        if calls_while_read(call.request):
            self._self_next = stepping(self._self_next, call, is_async=False)
            self._self_anext = stepping(self._self_anext, call, is_async=True)

    @property
    def call_of_stream(self) -> Any:
        """The call that ends with this stream."""
        return self._self_call

    def _first(self, chunk: Any) -> None:
        call, keep = self._self_call, self._self_chunks.append
        call.first_chunk = time.perf_counter()
        keep(chunk)
        chunks = Chunks(call)
        chunks(chunk)
        self._self_keep = partial(_keep_and_record, keep, chunks) if chunks.each else keep

    def _keeping_failed(self, problem: Exception) -> None:
        """Stop keeping chunks after an error; the application continues to read."""
        record_error("keeping a chunk", problem)
        self._self_keep = _discard

    def _end(self, how: str, error: BaseException | None = None) -> None:
        try:
            _open_streams.pop(id(self._self_call), None)
            end, stream, chunks = self._self_call.streamed, self.__wrapped__, self._self_chunks
            call_outside_collection(end, how, stream, chunks, error)
        except Exception as problem:  # noqa: BLE001
            record_error("ending a stream", problem)

    def _raised(self, error: BaseException) -> None:
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self._end("complete")
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self._end("cancelled", error)
        else:
            self._end("error", error)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if name == "aiter_bytes":  # a pass-through stream returns itself
            return lambda: self
        if name not in _CLOSERS:
            return value

        def closing(*args: Any, **kwargs: Any) -> Any:
            self._end("closed")
            return value(*args, **kwargs)

        return closing

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *details: object) -> Any:
        self._end("closed")
        return self.__wrapped__.__exit__(*details)

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    def __aexit__(self, *details: Any) -> Any:
        self._end("closed")
        return self.__wrapped__.__aexit__(*details)

    def __copy__(self) -> Any:
        return self  # a copy would read the same chunks

    def __deepcopy__(self, memo: Any) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __del__(self) -> None:
        try:
            if not self._self_call.ended:
                self._end("abandoned")
        except Exception:  # noqa: BLE001, S110 - the interpreter may be shutting down
            pass


class SyncStream(Stream):
    """A stream for `for` loops."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            chunk = self._self_next()
        except BaseException as error:
            self._raised(error)
            raise
        try:
            self._self_keep(chunk)
        except Exception as problem:  # noqa: BLE001
            self._keeping_failed(problem)
        return chunk


class AsyncStream(Stream):
    """A stream for `async for` loops."""

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._self_anext()
        except BaseException as error:
            self._raised(error)
            raise
        try:
            self._self_keep(chunk)
        except Exception as problem:  # noqa: BLE001
            self._keeping_failed(problem)
        return chunk


class BothStream(SyncStream, AsyncStream):
    """LiteLLM's chat stream, which supports both loops."""


def abandon_open() -> None:
    """End all open streams at process exit."""
    for itself in list(_open_streams.values()):
        stream = itself()
        if stream is not None:
            stream._end("abandoned")  # noqa: SLF001


process_exit.when_all_ended.insert(0, abandon_open)  # before handlers are drained
