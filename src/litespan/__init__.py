"""OpenTelemetry-native callbacks for LiteLLM."""
