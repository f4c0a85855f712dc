"""Experiments: where strategies, executors, stores and reports meet."""
