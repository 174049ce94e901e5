"""The pages: each route asks the index, and renders a template."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from litespan.objects import utf8
from litespan.stores import groups
from litespan.stores.conversation import conversation
from litespan.stores.reading import named
from litespan.stores.records import Record, Unreadable
from litespan.stores.trace import costs, stages, trace
from litespan.ui import display, queries
from litespan.ui.charts import charts
from litespan.ui.details import Details
from litespan.ui.filters import RANGES, Filters
from litespan.ui.index import Index
from litespan.version import VERSION

_VERSION_HEADER: Final = "x-litespan-version"
_SESSION_CALLS: Final = 100  # calls of a session on one page


def make_app(index: Index, links: Mapping[str, str]) -> Starlette:
    """The application. `links`: name → URL template of a vendor's page of a trace."""
    pages = Pages(index, links)
    return Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/calls", pages.calls),
            Route("/calls/{key}", pages.call),
            Route("/sessions", pages.sessions),
            Route("/session", pages.session),
            Route("/compare", pages.compare),
            Route("/choices/{name}", pages.choices),
            Mount("/static", StaticFiles(packages=[("litespan.ui", "static")])),
        ],
        exception_handlers={HTTPException: pages.error, Unreadable: pages.error},
    )


class Pages:
    """The handlers of all routes. They are sync: Starlette runs them in threads."""

    def __init__(self, index: Index, links: Mapping[str, str]) -> None:
        self._index = index
        self._links = links
        self._details = Details(index)
        self._templates = Environment(
            loader=PackageLoader("litespan.ui"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(display.FILTERS)
        self._templates.globals.update(
            ranges=list(RANGES), fields=list(groups.FIELDS), failed=groups.FAILED, version=VERSION
        )

    def overview(self, request: Request) -> Response:
        """Totals, charts and one grouping of the selected calls."""
        filters = Filters.of(request.query_params)
        by = request.query_params.get("by", queries.BY[0])
        if by not in queries.BY:
            raise HTTPException(404)

        def content() -> dict[str, Any]:
            total = queries.totals(self._index, filters)
            return {
                "total": total,
                "charts": charts(queries.series(self._index, filters, total)),
                "groups": queries.groups_of(self._index, filters, by),
                "by": by,
                "bys": queries.BY,
            }

        return self._page(request, "overview", content, filters)

    def calls(self, request: Request) -> Response:
        """A page of the selected calls."""
        filters = Filters.of(request.query_params)
        before = request.query_params.get("before", "")

        def content() -> dict[str, Any]:
            try:
                found = queries.calls(self._index, filters, before=before)
            except queries.BadCursor:
                raise HTTPException(404) from None
            keys = [call["key"] for call in found]
            return {
                "calls": found,
                "previews": self._index.texts.previews(keys),
                "before": before,
                "next": queries.cursor(found[-1]) if len(found) == queries.PAGE else "",
            }

        return self._page(request, "calls", content, filters, live=not before)

    def sessions(self, request: Request) -> Response:
        """A page of sessions."""
        filters = Filters.of(request.query_params)
        offset = request.query_params.get("offset", "0")
        start = int(offset) if offset.isdecimal() and len(offset) < 9 else 0

        def content() -> dict[str, Any]:
            found = queries.sessions(self._index, filters, offset=start)
            more = start + queries.PAGE if len(found) == queries.PAGE else 0
            return {"sessions": found, "offset": start, "more": more}

        return self._page(request, "sessions", content, filters, live=not start)

    def session(self, request: Request) -> Response:
        """The calls of a session in order, as one conversation."""
        name = request.query_params.get("id", "")
        filters = Filters({"session": name})

        def content() -> dict[str, Any]:
            found = queries.calls(self._index, filters, order="asc", limit=_SESSION_CALLS)
            if not found:
                raise HTTPException(404)
            return {
                "name": name,
                "total": queries.totals(self._index, filters),
                "turns": self._details.turns(found),
            }

        return self._page(request, "session", content, Filters())

    def call(self, request: Request) -> Response:
        """One call."""
        call = self._call(request.path_params["key"])

        def content() -> dict[str, Any]:
            record = self._details.record(call)
            older, newer = queries.neighbors(self._index, call["start_time"], call["key"])
            return {
                **self._shown(call, record),
                "steps": trace(queries.traced(self._index, call["trace_id"])),
                "older": older,
                "newer": newer,
                "links": display.links(self._links, call),
            }

        return self._page(request, "call", content, Filters(), live=call["outcome"] == "started")

    def compare(self, request: Request) -> Response:
        """Two calls side by side."""
        keys = request.query_params.getlist("id")
        if len(keys) != 2:
            raise HTTPException(404, "Select two calls in the list, then compare them.")
        calls = [self._call(key) for key in keys]

        def content() -> dict[str, Any]:
            records = [self._details.record(call) for call in calls]
            sides = [self._shown(*each) for each in zip(calls, records, strict=True)]
            return {"sides": sides, "differences": display.differences(*records)}

        return self._page(request, "compare", content, Filters(), live=False)

    def choices(self, request: Request) -> Response:
        """Values of a filter, as options of a list."""
        name = request.path_params["name"]
        if name not in groups.FIELDS:
            raise HTTPException(404)
        found = queries.choices(self._index, name)
        return HTMLResponse(self._templates.get_template("choices.html").render(choices=found))

    def error(self, request: Request, problem: Exception) -> Response:
        """The page for an unknown address or call, or a store that cannot be read now."""
        status, message = 503, str(problem)
        if isinstance(problem, HTTPException):
            status, message = problem.status_code, problem.detail
        if message == "Not Found":  # Starlette's
            message = "There is no such page or call."
        content = {"message": message}
        return self._page(request, "error", lambda: content, Filters(), status=status, live=False)

    def _call(self, key: str) -> dict[str, Any]:
        call = queries.call(self._index, key)
        if call is None:
            raise HTTPException(404, "There is no such call in this store.")
        return call

    def _shown(self, call: Mapping[str, Any], record: Record) -> dict[str, Any]:
        return {
            "call": call,
            "record": record,
            "messages": conversation(record),
            "stages": stages(record),
            "costs": costs(record),
        }

    def _page(
        self,
        request: Request,
        name: str,
        content: Callable[[], Mapping[str, Any]],
        filters: Filters,
        *,
        status: int = 200,
        live: bool = True,
    ) -> Response:
        """The rendered page; no content if the browser has it and nothing has changed."""
        version = str(self._index.version)
        if live and request.headers.get(_VERSION_HEADER) == version:
            return Response(status_code=204)
        rendered = self._templates.get_template(f"{name}.html").render(
            **content(),
            page=name,
            path=request.url.path,
            filters=filters,
            live=live,
            data_version=version,
            loading=self._index.loading,
            problem=self._index.problem,
            store=named(self._index.source),
            has_calls=self._index.has_calls,
            awaited=self._index.awaited,
        )
        return HTMLResponse(utf8(rendered), status)
