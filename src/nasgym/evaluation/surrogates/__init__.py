"""Surrogates: models fitted to tables, in place of training. No torch; `fitting` needs scikit-learn."""

from nasgym.evaluation.surrogates.surrogate import Fit, Surrogate

__all__ = ["Fit", "Surrogate"]
