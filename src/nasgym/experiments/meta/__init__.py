"""Meta-training and meta-testing of agents: where agents, environments, tasks, store and report meet."""
