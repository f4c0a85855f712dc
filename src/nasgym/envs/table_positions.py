"""Positions on a table whose layers follow one another: a step is a few look-ups in lists.

`PositionTree` plans every network that it meets; here the tables of states of the vector form do that for all networks
at once, and the row of a network is found by its code. Everything else is computed when it is asked for.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasgym.architectures import Architecture, architecture_id, format_architecture
from nasgym.architectures.spaces.space import Draft, SearchSpace
from nasgym.envs.config import EnvConfig
from nasgym.envs.positions import Stop
from nasgym.envs.vector.answers import TableColumns
from nasgym.envs.vector.lookup import CodeLookup, lookup
from nasgym.envs.vector.rows import Observer
from nasgym.envs.vector.sequences import SequenceWalk
from nasgym.envs.vector.walk import STOPS, Snapshot
from nasgym.evaluation.evaluator import Evaluation, Evaluator
from nasgym.evaluation.tables import TabularBenchmark
from nasgym.networks.plan import Trunk
from nasgym.tasks import Budget, Task
