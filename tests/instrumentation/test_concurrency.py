"""Concurrent calls: each span is a child of its caller's span."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fastapi
import httpx
import litellm
from opentelemetry.trace import Tracer

from tests.support.calls import Traced


def parents(traced: Traced) -> list[tuple[str, str]]:
    """(user of the call, name of its parent span), sorted."""
    spans = {span["span_id"]: span for span in traced.spans}
    return sorted(
        (span["attributes"]["user.id"], spans[span["parent"]]["name"])
        for span in spans.values()
        if "user.id" in span["attributes"]
    )


def tracer(traced: Traced) -> Tracer:
    """The application's own tracer."""
    return traced.telemetry.tracer_provider.get_tracer("app")


async def test_fifty_concurrent_calls_each_have_their_own_parent(traced: Traced) -> None:
    """50 calls at once, plain and streamed, each under its own parent."""

    async def one(number: int) -> None:
        with tracer(traced).start_as_current_span(f"app {number}"):
            given = traced.chat(user=str(number), stream=number % 2 == 0)
            result = await litellm.acompletion(**given)
            if number % 2 == 0:
                async for _ in result:
                    pass

    await asyncio.gather(*map(one, range(50)))
    assert parents(traced) == sorted((str(n), f"app {n}") for n in range(50))


def test_calls_of_twenty_threads_each_have_their_own_parent(traced: Traced) -> None:
    """Each of 20 threads has its own parent span."""

    def one(number: int) -> None:
        with tracer(traced).start_as_current_span(f"app {number}"):
            litellm.completion(**traced.chat(user=str(number)))

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(one, range(20)))
    assert parents(traced) == sorted((str(n), f"app {n}") for n in range(20))


def test_a_call_in_a_thread_with_the_callers_context_has_its_parent(traced: Traced) -> None:
    """The context that is passed to a thread has the parent span."""
    with tracer(traced).start_as_current_span("app"):
        handed = contextvars.copy_context()
        call: Any = lambda: litellm.completion(**traced.chat(user="u"))  # noqa: E731
        thread = threading.Thread(target=handed.run, args=(call,))
        thread.start()
        thread.join()
    assert parents(traced) == [("u", "app")]


async def test_a_request_span_is_the_parent_of_its_handlers_calls(traced: Traced) -> None:
    """Including streams."""
    app = fastapi.FastAPI()

    @app.middleware("http")
    async def server_span(request: fastapi.Request, call_next: Any) -> Any:
        with tracer(traced).start_as_current_span(f"POST {request.url.path}"):
            return await call_next(request)

    @app.post("/ask/{user}")
    async def ask(user: str) -> dict[str, int]:
        stream = await litellm.acompletion(**traced.chat(user=user, stream=True))
        return {"chunks": len([chunk async for chunk in stream])}

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        answers = await asyncio.gather(*(client.post(f"/ask/{n}") for n in range(10)))
    assert [answer.status_code for answer in answers] == [200] * 10
    assert parents(traced) == sorted((str(n), f"POST /ask/{n}") for n in range(10))


def test_a_loop_per_call_loses_no_span(traced: Traced) -> None:
    """No task of litespan stays behind in a loop."""
    for _ in range(5):
        asyncio.run(litellm.acompletion(**traced.chat()))
    assert [span["attributes"]["litellm.outcome"] for span in traced.spans] == ["success"] * 5
