"""An agent on loopback that speaks A2A, with the protocol's own package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tests.support.asgi import serving

TEXT = "Sunny in Paris."


def _executor(base: type, helpers: Any, updates: Any) -> Any:
    """What the agent does with a message."""

    class Forecaster(base):
        """Answers a message; runs a task if asked for one."""

        async def execute(self, context: Any, queue: Any) -> None:
            """Answer, work, fail, or break, by the first word of the message."""
            asked = context.get_user_input()
            if asked.startswith("break"):
                raise RuntimeError("the machine is too hot")
            if asked.startswith("answer"):
                answer = helpers.new_text_message(TEXT, context_id=context.context_id)
                await queue.enqueue_event(answer)
                return
            await queue.enqueue_event(helpers.new_task_from_user_message(context.message))
            task = updates.TaskUpdater(queue, context.task_id, context.context_id)
            await task.start_work()
            if asked.startswith("fail"):
                await task.failed(helpers.new_text_message("no weather today"))
                return
            for index, text in enumerate(("Sunny ", "in Paris.")):
                (part,) = helpers.new_text_message(text).parts
                await task.add_artifact([part], artifact_id="a1", append=index > 0)
            await task.complete()

        async def cancel(self, context: Any, queue: Any) -> None:
            """Nothing to cancel."""

    return Forecaster()


def _application(url: str) -> Any:
    types: Any = import_module("a2a.types")
    server: Any = import_module("a2a.server.request_handlers")
    routes: Any = import_module("a2a.server.routes")
    tasks: Any = import_module("a2a.server.tasks")
    base: Any = import_module("a2a.server.agent_execution").AgentExecutor
    starlette: Any = import_module("starlette.applications")
    card = types.AgentCard(
        name="forecaster",
        description="knows the weather of tomorrow",
        version="1.2.0",
        supported_interfaces=[
            types.AgentInterface(url=f"{url}/", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=types.AgentCapabilities(streaming=True),
        default_input_modes=["text"],
        default_output_modes=["text"],
        skills=[types.AgentSkill(id="f", name="f", description="forecasts", tags=["weather"])],
    )
    handler = server.DefaultRequestHandler(
        agent_executor=_executor(base, import_module("a2a.helpers"), tasks),
        task_store=tasks.InMemoryTaskStore(),
        agent_card=card,
    )
    return starlette.Starlette(
        routes=[
            *routes.create_agent_card_routes(card),
            *routes.create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True),
        ]
    )


@contextmanager
def agent_server() -> Iterator[str]:
    """The URL of an agent that answers, or runs a task that works or fails, as its input says."""
    with serving(_application) as url:
        yield url
