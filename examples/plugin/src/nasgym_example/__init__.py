"""One plug-in of each kind for nasgym: a search space, an estimator, a data reader and a store."""
