"""Jobs that a provider runs in the background: responses, interactions, batches, videos.

A span that polls a job links to the span that created it. The cost of a job is recorded when its
result is first seen, once per process however often it is polled.
"""

from collections import OrderedDict
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from litespan import semconv as s
from litespan.errors import record_error
from litespan.instrumentation.state import CallState
from litespan.mapping.cost import cost_attributes
from litespan.mapping.request import Attributes
from litespan.mapping.response import Answer, google_answer
from litespan.mapping.targets import BATCH, FETCH
from litespan.mapping.usage import read_usage, usage_attributes
from litespan.objects import as_cost, as_text, as_texts, contents, get

MOST: Final = 10_000  # jobs remembered
PRICED: Final = "_litespan_batch"
"""The attribute of LiteLLM's logging object: the context for the result of a batch."""
_WAITING: Final = frozenset(
    {"queued", "in_progress", "validating", "processing", "finalizing", "cancelling"}
)
_PRICES: Final = frozenset({"response_cost", "litellm_model_name"})
_IDS: Final = ("response_id", "interaction_id", "batch_id", "video_id", "fine_tuning_job_id")


class Jobs:
    """The jobs that this process has created or whose cost it has recorded; bounded.

    Each operation is atomic. With a lock, a fork could leave it locked.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._created: OrderedDict[str, SpanContext] = OrderedDict()
        self._charged: OrderedDict[str, object] = OrderedDict()

    def create(self, identifier: str, span: SpanContext) -> None:
        """Remember the span that created a job."""
        self._created[identifier] = span
        if len(self._created) > self._most:
            self._created.popitem(last=False)

    def creator(self, identifier: str) -> SpanContext | None:
        """Return the span that created a job, or None if this process has not."""
        return self._created.get(identifier)

    def charge(self, identifier: str) -> bool:
        """Return whether the cost of a job is not recorded yet, and mark it as recorded."""
        mark = object()
        if self._charged.setdefault(identifier, mark) is not mark:
            return False
        if len(self._charged) > self._most:
            self._charged.popitem(last=False)
        return True


JOBS: Final = Jobs()


def job_id(call: CallState) -> str | None:
    """Return the id of the job that a call asks about, from its arguments."""
    arguments = call.request.arguments
    return next((found for name in _IDS if (found := as_text(arguments.get(name)))), None)


def link(call: CallState) -> None:
    """Link a call about a job to the span that created the job. Never raises."""
    if not call.request.target.operation.detailed:
        return
    try:
        identifier = job_id(call)
        created = None if identifier is None else JOBS.creator(identifier)
        if created is not None:
            call.span.add_link(created)
    except Exception as error:  # noqa: BLE001
        record_error("linking a call", error)


def job_attributes(call: CallState, answer: Answer) -> Attributes:
    """Remember a job that a call has created; return the cost of one that it has fetched."""
    target = call.request.target
    if target.operation is FETCH:
        return cost_of_fetched(call, answer)
    identifier = as_text(answer.fields.get("id"))
    if target.call_type == BATCH.call_type and call.logging is not None:
        if not is_waiting(answer):  # LiteLLM reads and prices the result in the background
            setattr(call.logging, PRICED, call.context)
    elif identifier and is_waiting(answer) and job_id(call) is None:
        JOBS.create(identifier, call.span.get_span_context())
    return {}


def is_waiting(answer: Answer) -> bool:
    """Whether the answer is a job without a result so far."""
    return answer.fields.get("status") in _WAITING


def cost_of_fetched(call: CallState, answer: Answer) -> Attributes:
    """Return the cost of a response that ran in the background, when first seen finished.

    A stored response that ran in the foreground was charged by the call that created it. Google's
    interactions do not say how they ran, so this process must have created them.
    """
    identifier = job_id(call)
    if identifier is None or call.silent or is_waiting(answer):
        return {}
    ran_in_background = answer.fields.get("background") is True
    if not ran_in_background and JOBS.creator(identifier) is None:
        return {}
    # LiteLLM's own figure for the poll may be 0.
    hidden = {name: value for name, value in answer.hidden.items() if name not in _PRICES}
    if call.request.target.call_type.endswith("interaction"):
        priced = google_answer(answer.raw, hidden)
    else:
        usage = read_usage(answer.fields.get("usage"))
        priced = Answer(answer.raw, answer.fields, (), usage, hidden)
    if priced.usage is None:
        return {}
    found = cost_attributes(call.request, priced, call.logging)
    return found if s.COST in found and JOBS.charge(identifier) else {}


def priced_batch(logging: Any, batch: Any) -> tuple[str, Context, Attributes] | None:
    """Return (id, context, attributes) of a batch that LiteLLM has priced; None if there is none.

    Returns a batch once, even if it is polled again.
    """
    context = getattr(logging, PRICED, None)
    identifier, usage = as_text(get(batch, "id")), read_usage(get(batch, "usage"))
    hidden = contents(get(batch, "_hidden_params"))
    cost = as_cost(hidden.get("response_cost"))
    if context is None or identifier is None or usage is None or cost is None:
        return None
    if not JOBS.charge(identifier):
        return None
    attributes: Attributes = {s.COST_SOURCE: "litellm", s.COST: cost, s.COST_TOTAL: cost}
    attributes.update(usage_attributes(usage))
    models = as_texts(hidden.get("batch_models"))
    if models is not None and len(models) == 1:
        attributes[s.RESPONSE_MODEL] = models[0]
    return identifier, context, attributes
