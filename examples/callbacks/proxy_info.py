"""The data of a request to LiteLLM's proxy. Put this file beside the proxy's config.yaml:

LITESPAN_CALLBACKS=proxy_info.handler opentelemetry-instrument -- litellm --config config.yaml
"""

from litellm.integrations.custom_logger import CustomLogger


class ProxyInfo(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        params = kwargs["litellm_params"]
        request = params["proxy_server_request"]
        line = " ".join(
            [
                request["method"],
                request["url"].partition("?")[0].rpartition("/v1")[2],
                f"team {params['metadata'].get('user_api_key_team_id')}",
                f"deployment {params['model_info'].get('id')}",
                f"client {request['headers'].get('user-agent')}",
                f"asked {request['body']['messages'][-1]['content']}",
                f"credentials {[name for name in request['headers'] if 'auth' in name.lower()]}",
            ]
        )
        # One write, including the line end: the server prints at the same time.
        print(line + "\n", end="", flush=True)


handler = ProxyInfo()  # replaces `callbacks: proxy_info.handler` in config.yaml
