"""Services that accept OTLP and need no module of their own: one row each.

Facts are from each service's documentation (links below, seen 2026-11-29) and from LiteLLM's
source. Not here: AgentOps, which exchanges the API key for a token that expires.
"""

from litespan_exporters.otlp_presets.attributes import (
    braintrust,
    langsmith,
    langtrace,
    openinference,
    opik,
    weave,
)
from litespan_exporters.otlp_presets.exporter import Preset

# https://arize.com/docs/ax/observe/tracing/configure
ArizeExporter = Preset(
    name="arize",
    title="Arize AX",
    url="https://otlp.arize.com",
    url_variables=("ARIZE_HTTP_ENDPOINT",),
    needs={
        "api_key": ("ARIZE_API_KEY",),
        "space_id": ("ARIZE_SPACE_ID", "ARIZE_SPACE_KEY"),
    },
    takes={"project": ("ARIZE_PROJECT_NAME",)},
    defaults={"project": "litellm"},  # as LiteLLM's; Arize rejects spans without a project
    headers={
        "api_key": "{api_key}",
        "space_id": "{space_id}",
        "arize-space-id": "{space_id}",
    },
    resource={"model_id": "{project}", "openinference.project.name": "{project}"},
    attributes=openinference,
).exporter()
# https://arize.com/docs/phoenix/tracing/how-to-tracing/setup-tracing
PhoenixExporter = Preset(
    name="phoenix",
    title="Phoenix",
    url="http://localhost:6006",
    url_variables=("PHOENIX_COLLECTOR_HTTP_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT"),
    takes={"api_key": ("PHOENIX_API_KEY",), "project": ("PHOENIX_PROJECT_NAME",)},
    headers={"Authorization": "Bearer {api_key}", "x-project-name": "{project}"},
    resource={"openinference.project.name": "{project}"},
    attributes=openinference,
).exporter()
# https://docs.langchain.com/langsmith/trace-with-opentelemetry
LangsmithExporter = Preset(
    name="langsmith",
    title="LangSmith",
    url="https://api.smith.langchain.com",
    url_variables=("LANGSMITH_ENDPOINT", "LANGSMITH_BASE_URL", "LANGCHAIN_ENDPOINT"),
    path="/otel/v1/traces",
    needs={"api_key": ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")},
    takes={"project": ("LANGSMITH_PROJECT", "LANGCHAIN_PROJECT")},
    headers={"x-api-key": "{api_key}", "Langsmith-Project": "{project}"},
    attributes=langsmith,
).exporter()
# https://www.comet.com/docs/opik/integrations/opentelemetry
OpikExporter = Preset(
    name="opik",
    title="Comet Opik",
    url="https://www.comet.com/opik/api",
    url_variables=("OPIK_URL_OVERRIDE",),
    path="/v1/private/otel/v1/traces",
    needs={"api_key": ("OPIK_API_KEY",)},
    takes={"workspace": ("OPIK_WORKSPACE",), "project": ("OPIK_PROJECT_NAME",)},
    defaults={"workspace": "default"},
    headers={
        "Authorization": "{api_key}",
        "Comet-Workspace": "{workspace}",
        "projectName": "{project}",
    },
    attributes=opik,
).exporter()
# https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest (MLflow 3.6 or newer)
MlflowExporter = Preset(
    name="mlflow",
    title="MLflow",
    url_variables=("MLFLOW_TRACKING_URI",),
    takes={
        "experiment_id": ("MLFLOW_EXPERIMENT_ID",),
        "token": ("MLFLOW_TRACKING_TOKEN",),
        "username": ("MLFLOW_TRACKING_USERNAME",),
        "password": ("MLFLOW_TRACKING_PASSWORD",),
    },
    defaults={"experiment_id": "0"},  # MLflow's "Default"
    headers={
        "x-mlflow-experiment-id": "{experiment_id}",
        "Authorization": ("Bearer {token}", "Basic {username}:{password}"),
    },
    attributes=openinference,
).exporter()
# https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry
BraintrustExporter = Preset(
    name="braintrust",
    title="Braintrust",
    url="https://api.braintrust.dev",
    url_variables=("BRAINTRUST_API_URL",),
    path="/otel/v1/traces",
    needs={
        "api_key": ("BRAINTRUST_API_KEY",),
        "parent": ("BRAINTRUST_PARENT",),  # project_name:…, project_id:… or experiment_id:…
    },
    headers={"Authorization": "Bearer {api_key}", "x-bt-parent": "{parent}"},
    attributes=braintrust,
).exporter()
# https://docs.wandb.ai/weave/guides/tracking/otel
WeaveExporter = Preset(
    name="weave",
    title="W&B Weave",
    url="https://trace.wandb.ai",
    url_variables=("WANDB_HOST",),
    path="/otel/v1/traces",
    needs={
        "api_key": ("WANDB_API_KEY",),
        "project_id": ("WANDB_PROJECT_ID",),  # entity/project
    },
    headers={"Authorization": "Basic api:{api_key}", "project_id": "{project_id}"},
    attributes=weave,
).exporter()
# https://signoz.io/docs/ingestion/signoz-cloud/overview/
SignozExporter = Preset(
    name="signoz",
    title="SigNoz",
    url_variables=("SIGNOZ_INGESTION_ENDPOINT",),
    takes={"ingestion_key": ("SIGNOZ_INGESTION_KEY",)},  # none for one's own server
    headers={"signoz-ingestion-key": "{ingestion_key}"},
).exporter()
# https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/
NewrelicExporter = Preset(
    name="newrelic",
    title="New Relic",
    url="https://otlp.nr-data.net",
    url_variables=("NEW_RELIC_OTLP_ENDPOINT",),
    needs={"license_key": ("NEW_RELIC_LICENSE_KEY",)},
    takes={"region": ("NEW_RELIC_REGION",)},
    regions={"us": "https://otlp.nr-data.net", "eu": "https://otlp.eu01.nr-data.net"},
    headers={"api-key": "{license_key}"},
).exporter()
# https://v2docs.galileo.ai/how-to-guides/third-party-integrations/otel and Galileo's Python SDK
GalileoExporter = Preset(
    name="galileo",
    title="Galileo",
    url="https://api.galileo.ai",
    url_variables=("GALILEO_API_URL", "GALILEO_BASE_URL"),
    path="/otel/traces",
    needs={"api_key": ("GALILEO_API_KEY",)},
    takes={
        "project": ("GALILEO_PROJECT",),
        "project_id": ("GALILEO_PROJECT_ID",),
        "log_stream": ("GALILEO_LOG_STREAM", "GALILEO_LOGSTREAM"),
        "log_stream_id": ("GALILEO_LOG_STREAM_ID",),
    },
    headers={
        "Galileo-API-Key": "{api_key}",
        "project": "{project}",
        "projectid": "{project_id}",
        "logstream": "{log_stream}",
        "logstreamid": "{log_stream_id}",
        "X-Use-Otel-New": "true",
    },
    attributes=openinference,
).exporter()
# https://docs.langtrace.ai/supported-integrations/otel-support/otel-configuration
LangtraceExporter = Preset(
    name="langtrace",
    title="Langtrace",
    url="https://app.langtrace.ai",
    url_variables=("LANGTRACE_API_HOST",),
    path="/api/trace",
    needs={"api_key": ("LANGTRACE_API_KEY",)},
    headers={"x-api-key": "{api_key}"},
    attributes=langtrace,
    json=True,
).exporter()
# https://laminar.sh/docs/tracing/otel
LaminarExporter = Preset(
    name="laminar",
    title="Laminar",
    url="https://api.lmnr.ai",
    url_variables=("LMNR_BASE_URL",),
    needs={"api_key": ("LMNR_PROJECT_API_KEY",)},
    headers={"Authorization": "Bearer {api_key}"},
).exporter()
# https://docs.honeycomb.io/send-data/opentelemetry/
HoneycombExporter = Preset(
    name="honeycomb",
    title="Honeycomb",
    url="https://api.honeycomb.io",
    url_variables=("HONEYCOMB_API_ENDPOINT",),
    needs={"api_key": ("HONEYCOMB_API_KEY",)},
    takes={"dataset": ("HONEYCOMB_DATASET",)},  # Honeycomb Classic only
    headers={"x-honeycomb-team": "{api_key}", "x-honeycomb-dataset": "{dataset}"},
).exporter()
# https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/
GrafanaCloudExporter = Preset(
    name="grafana_cloud",
    title="Grafana Cloud",
    url_variables=("GRAFANA_CLOUD_OTLP_ENDPOINT",),
    needs={
        "instance_id": ("GRAFANA_CLOUD_INSTANCE_ID",),
        "api_key": ("GRAFANA_CLOUD_API_KEY",),
    },
    headers={"Authorization": "Basic {instance_id}:{api_key}"},
).exporter()
# LiteLLM's integration; the URL comes from Levo's support and is used as it is
LevoExporter = Preset(
    name="levo",
    title="Levo",
    url_variables=("LEVOAI_COLLECTOR_URL",),
    path="",
    needs={
        "api_key": ("LEVOAI_API_KEY",),
        "organization_id": ("LEVOAI_ORG_ID",),
        "workspace_id": ("LEVOAI_WORKSPACE_ID",),
    },
    headers={
        "Authorization": "Bearer {api_key}",
        "x-levo-organization-id": "{organization_id}",
        "x-levo-workspace-id": "{workspace_id}",
    },
).exporter()
