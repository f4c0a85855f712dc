"""Tables of evaluations: exact look-up in place of training. No torch."""

from nasgym.evaluation.tables.benchmark import Repeats, TabularBenchmark
from nasgym.evaluation.tables.building import TableBuilder
from nasgym.evaluation.tables.codes import CodeIndex
from nasgym.evaluation.tables.description import TableDescription, TableTask
from nasgym.evaluation.tables.index import KeyIndex
from nasgym.evaluation.tables.table import Table

__all__ = [
    "CodeIndex",
    "KeyIndex",
    "Repeats",
    "Table",
    "TableBuilder",
    "TableDescription",
    "TableTask",
    "TabularBenchmark",
]
