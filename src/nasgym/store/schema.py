"""The tables of a store, as SQLAlchemy sees them; `migrations` makes them, and a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = "0004"
"""Version of the schema this package writes: the newest migration."""

VERSION_TABLE = "nasgym_schema_version"
"""Holds the version of a store's schema in its one row; a database without it is not a store."""

METADATA = MetaData()
_BIG = BigInteger().with_variant(Integer, "sqlite")

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("command", Text, nullable=False),
    Column("configuration", Text, nullable=False, comment="JSON"),
    Column("seed", _BIG, nullable=False),
    Column("versions", Text, nullable=False, comment="JSON"),
    Column("hardware", Text, nullable=False, comment="JSON"),
    Column("git_commit", Text),
    Column("status", String(20), nullable=False),
    Column("started_at", String(32), nullable=False, comment="ISO 8601, UTC"),
    Column("finished_at", String(32), comment="ISO 8601, UTC"),
    Column("result", Text, comment="JSON"),
)

EVALUATIONS = Table(
    "evaluations",
    METADATA,
    Column("number", _BIG, primary_key=True, comment="order in which they were kept"),
    Column("id", String(32), nullable=False, unique=True, comment="digest of the seven columns of the key"),
    Column("architecture_id", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("resolution", Integer, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("estimator", Text, nullable=False),
    Column("seed", _BIG, nullable=False),
    Column("task", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("accuracy", Double),
    Column("failure", String(20)),
    Column("message", Text),
    Column("train_losses", Text, nullable=False, comment="JSON, one number an epoch"),
    Column("validation_losses", Text, nullable=False, comment="JSON, one number an epoch"),
    Column("validation_accuracies", Text, nullable=False, comment="JSON, one number an epoch"),
    Column("seconds", Double, nullable=False),
    Column("parameters", _BIG, nullable=False),
    Column("flops", _BIG, nullable=False),
    Column("density", Double, nullable=False),
    Column("peak_memory", _BIG, nullable=False),
    Column("run", String(40), ForeignKey("runs.id", name="evaluations_run")),
    Column("created_at", String(32), nullable=False, comment="ISO 8601, UTC"),
    CheckConstraint("(accuracy IS NULL) <> (failure IS NULL)", name="accuracy_or_failure"),
    CheckConstraint("accuracy BETWEEN 0 AND 1", name="accuracy_in_unit_interval"),
)
Index("evaluations_task_accuracy", EVALUATIONS.c.task, EVALUATIONS.c.accuracy)

STEPS = Table(
    "steps",
    METADATA,
    Column("run", String(40), ForeignKey("runs.id", name="steps_run"), primary_key=True),
    Column("phase", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("architecture", Text, nullable=False, comment="as proposed"),
    Column("from_store", Boolean, nullable=False),
    Column("evaluation", String(32), ForeignKey("evaluations.id", name="steps_evaluation")),
    Column("failure", String(20), comment="where the outcome concerns this run only"),
    Column("message", Text),
    CheckConstraint("(evaluation IS NULL) <> (failure IS NULL)", name="evaluation_or_failure"),
)

REQUESTS = Table(
    "requests",
    METADATA,
    Column("run", String(40), ForeignKey("runs.id", name="requests_run"), primary_key=True),
    Column("phase", String(40), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("evaluation", String(32), nullable=False, comment="digest of the seven columns of the key"),
    Column("architecture", Text, nullable=False, comment="as proposed"),
    Column("architecture_id", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("resolution", Integer, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("estimator", Text, nullable=False),
    Column("seed", _BIG, nullable=False),
    Column("queued_at", Double, nullable=False, comment="seconds since 1970 by the clock of the database"),
)
Index("requests_evaluation", REQUESTS.c.evaluation)

LEASES = Table(
    "leases",
    METADATA,
    Column("evaluation", String(32), primary_key=True, comment="digest of the seven columns of the key"),
    Column("owner", String(100), comment="nobody once it is released"),
    Column("expires_at", Double, nullable=False, comment="seconds since 1970 by the clock of the database"),
    Column("losses", Integer, nullable=False, comment="leases before it that ran out"),
)

TRAINING_UPDATES = Table(
    "training_updates",
    METADATA,
    Column("run", String(40), ForeignKey("runs.id", name="training_updates_run"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("steps", _BIG, nullable=False, comment="of the environments, since training began"),
    Column("seconds", Double, nullable=False),
    Column("meta_episodes", Integer, nullable=False, comment="ended in this update"),
    Column("mean_return", Double, comment="of these"),
    Column("entropy", Double, comment="of the policy, nats"),
    Column("episode_length", Double, comment="mean, steps"),
    Column("rewards", Text, nullable=False, comment="JSON, mean by episode index"),
    Column("actions", Text, nullable=False, comment="JSON, how often each was taken"),
    Column("metrics", Text, nullable=False, comment="JSON, further numbers by name"),
    Column("trace", Text, comment="JSON, step by step"),
)

META_EPISODES = Table(
    "meta_episodes",
    METADATA,
    Column("run", String(40), ForeignKey("runs.id", name="meta_episodes_run"), primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("after_update", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("task", Text, nullable=False),
    Column("rewards", Text, nullable=False, comment="JSON, one number an episode"),
    Column("accuracies", Text, nullable=False, comment="JSON, one number an episode, or null"),
    Column("lengths", Text, nullable=False, comment="JSON, steps of each episode"),
    Column("architectures", Text, nullable=False, comment="JSON, one text an episode, or null"),
    Column("actions", Text, comment="JSON, one list an episode"),
    Column("step_rewards", Text, comment="JSON, one list an episode"),
)
