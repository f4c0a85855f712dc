"""Experiments of several stages, runs of one store: agents learn, policies play, networks are trained for long."""
