"""Random input, made by Hypothesis: nothing that a caller, provider or file says does harm."""
