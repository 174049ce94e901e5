"""The calls that the page is tested with: a help desk's day, as it would look in use."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tests.cases import MS, content, cost, exception, text, usage

END_NS: Final = 1_795_190_400_000_000_000  # 2026-11-20T16:00:00Z
HOURS: Final = 20
MODELS: Final = {  # name → provider, USD per input and output token, median s, share of calls
    "gpt-4o-mini": ("openai", 1.5e-7, 6e-7, 0.9, 50),
    "gpt-4o": ("openai", 2.5e-6, 1e-5, 2.1, 20),
    "claude-sonnet-4-5": ("anthropic", 3e-6, 1.5e-5, 2.8, 20),
    "gemini-2.5-flash": ("gemini", 3e-7, 2.5e-6, 1.1, 10),
}
USERS: Final = ("ann", "ben", "chloe", "dev", "emil", "farah", "grace", "hugo")
TEAMS: Final = ("support", "billing", "search")
ERRORS: Final = (("RateLimitError", 429), ("Timeout", 408), ("InternalServerError", 503))
ASKED: Final = (
    ("Where is my order 4711? It should have arrived on Monday.", "track_order", {"order": 4711}),
    ("I was charged twice for the same invoice.", "find_invoices", {"customer": "C-88", "last": 2}),
    ("Can I change the delivery address after ordering?", None, None),
    ("The app logs me out every few minutes. What can I do?", "account_status", {"user": "u-19"}),
    ("Do you ship to Norway, and how long does it take?", "shipping_times", {"country": "NO"}),
    ("I want a refund for the broken lamp.", "start_refund", {"order": 4688, "reason": "broken"}),
)
ANSWERS: Final = (
    "Your order left our warehouse yesterday and arrives on Thursday before noon.",
    "I see both charges. The second one is a reservation that your bank releases in three days.",
    "Yes, until the parcel is handed over. Tell me the new address and I will change it.",
    "Your session ends because cookies of our domain are blocked. Allow them, then sign in again.",
    "We ship to Norway in 4 to 6 days. Duties are included in the price that you see.",
    "I am sorry about the lamp. The refund of 49.90 is on its way, and you can keep it.",
)
SYSTEM: Final = "You are the help desk of a lamp shop. Be brief, friendly and exact."
HOSTILE: Final = "</pre><script>document.title='pwned'</script><img src=x onerror=alert(1)>"


@dataclass
class Sample:
    """Makes calls, each with ids of its own."""

    chance: random.Random = field(default_factory=lambda: random.Random(11))
    number: int = 0

    def call(
        self,
        start_ns: int,
        seconds: float,
        attributes: Mapping[str, Any],
        *,
        trace: int = 0,
        error: tuple[str, int, str] | None = None,
    ) -> ReadableSpan:
        """One call."""
        self.number += 1
        end = start_ns + int(seconds * 1e9)
        events = [
            Event("litellm.pre_api_call", {"litellm.attempt": 1}, start_ns + 3 * MS),
            Event("litellm.post_api_call", {}, end - 4 * MS),
            Event("litellm.failure" if error else "litellm.success", {}, end - MS),
        ]
        more: dict[str, Any] = {"litellm.outcome": "success"}
        if error:
            kind, status, message = error
            more = {
                "litellm.outcome": "failure",
                "error.type": kind,
                "litellm.provider.error.code": status,
            }
            events.append(exception(f"litellm.exceptions.{kind}", message))
        trace_id = trace or self.chance.getrandbits(127) | 1
        return ReadableSpan(
            name=f"chat {attributes['gen_ai.request.model']}",
            context=SpanContext(trace_id, (0xA0 << 56) + self.number, False, TraceFlags(1)),
            resource=Resource({"service.name": "help-desk", "service.version": "2.3.0"}),
            attributes={
                "gen_ai.operation.name": "chat",
                "litellm.call_id": f"call-{self.number:05}",
                "litellm.call_type": "acompletion",
                **attributes,
                **more,
            },
            events=sorted(events, key=lambda event: event.timestamp),
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, error[2]) if error else Status(),
            start_time=start_ns,
            end_time=end,
            instrumentation_scope=InstrumentationScope("litespan", "0.1.0"),
        )

    def exchange(self, start_ns: int, session: int, turns: int) -> Iterator[ReadableSpan]:
        """A session: each call has the messages of the calls before it."""
        chance = self.chance
        model = chance.choices([*MODELS], [m[-1] for m in MODELS.values()])[0]
        user = chance.choices(USERS, range(len(USERS), 0, -1))[0]
        who = {
            "user.id": user,
            "session.id": f"chat-{session:03}",
            "litellm.team.alias": TEAMS[session % len(TEAMS)],
            "litellm.api_key.alias": f"{TEAMS[session % len(TEAMS)]}-key",
            "litellm.tags": ("help-desk", ("web", "mail", "app")[session % 3]),
            "litellm.metadata.release": "2026-11",
        }
        sent = [text("system", SYSTEM)]
        for _ in range(turns):
            topic = chance.randrange(len(ASKED))
            question, tool, arguments = ASKED[topic]
            sent = [*sent, text("user", question)]
            received = [text("assistant", ANSWERS[topic], finish_reason="stop")]
            if tool:
                calling = {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "id": f"call_{topic}", "name": tool,
                               "arguments": arguments}],
                }  # fmt: skip
                result = {"type": "tool_call_response", "id": f"call_{topic}",
                          "response": json.dumps({"ok": True, **(arguments or {})})}  # fmt: skip
                yield from self.answer(start_ns, model, who, sent, [calling])
                start_ns += 4_000 * MS
                sent = [*sent, calling, {"role": "tool", "parts": [result]}]
            yield from self.answer(start_ns, model, who, sent, received)
            sent = [*sent, text("assistant", ANSWERS[topic])]
            start_ns += chance.randrange(20_000, 90_000) * MS

    def answer(
        self,
        start_ns: int,
        model: str,
        who: Mapping[str, Any],
        sent: Sequence[Mapping[str, Any]],
        received: Sequence[Mapping[str, Any]],
    ) -> Iterator[ReadableSpan]:
        """A call; sometimes its first attempts fail, sometimes all."""
        chance = self.chance
        provider, price_in, price_out, median, _ = MODELS[model]
        asked = {
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "litellm.provider.model": model,
            "server.address": f"api.{provider}.com",
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 512,
            **who,
        }
        trace = self.chance.getrandbits(127) | 1
        attempt = 1
        for _ in range(chance.choices((0, 1, 2, 3), (965, 25, 5, 5))[0]):
            kind, status = chance.choice(ERRORS)
            message = f"{kind}: {provider} answered {status}: the service is busy, try again later"
            lost = {**asked, **content(sent), "litellm.attempt": attempt}
            yield self.call(start_ns, 0.4, lost, trace=trace, error=(kind, status, message))
            start_ns += 700 * MS
            attempt += 1
        if attempt > 3:
            return
        tokens, answered = 60 + 90 * len(sent), chance.randrange(18, 160)
        seconds = median * chance.lognormvariate(0, 0.35)
        streamed = chance.random() < 0.6
        yield self.call(
            start_ns,
            seconds,
            {
                **asked,
                **usage(tokens, answered, cache_read__input_tokens=tokens // 2),
                **cost(tokens * price_in, answered * price_out),
                **content(sent, received),
                **({"litellm.attempt": attempt} if attempt > 1 else {}),
                "gen_ai.response.model": model,
                "gen_ai.response.finish_reasons": ("stop",),
                **(
                    {
                        "gen_ai.request.stream": True,
                        "litellm.stream.end": "complete",
                        "litellm.stream.chunks": answered,
                        "gen_ai.response.time_to_first_chunk": round(seconds / 4, 3),
                    }
                    if streamed
                    else {}
                ),
            },
            trace=trace,
        )


def sample(sessions: int = 160) -> list[ReadableSpan]:
    """Sessions of one to four questions over a working day, and one hostile call before it."""
    made = Sample()
    calls: list[ReadableSpan] = []
    for number in range(sessions):
        hour = made.chance.triangular(0, HOURS, HOURS * 0.7)
        start = END_NS - int((HOURS - hour) * 3600 * 1e9)
        calls += made.exchange(start, number, made.chance.randrange(1, 5))
    hostile = {
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.provider.name": "openai",
        "user.id": HOSTILE,
        "session.id": HOSTILE,
        "litellm.tags": (HOSTILE,),
        "litellm.metadata.x": HOSTILE,
        **content([text("user", HOSTILE)], [text(HOSTILE, HOSTILE)]),
    }
    error = (HOSTILE, 400, HOSTILE)
    begun = END_NS - HOURS * 3600 * 10**9
    return [*calls, made.call(begun, 1.0, hostile, error=error)]
