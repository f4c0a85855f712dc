"""The first schema: runs, evaluations and the steps of a run."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("configuration", sa.Text, nullable=False, comment="JSON"),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("versions", sa.Text, nullable=False, comment="JSON"),
        sa.Column("hardware", sa.Text, nullable=False, comment="JSON"),
        sa.Column("git_commit", sa.Text),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False, comment="ISO 8601, UTC"),
        sa.Column("finished_at", sa.String(32), comment="ISO 8601, UTC"),
        sa.Column("result", sa.Text, comment="JSON"),
    )
    _create_evaluations()
    op.create_table(
        "steps",
        sa.Column("run", sa.String(40), sa.ForeignKey("runs.id", name="steps_run"), primary_key=True),
        sa.Column("phase", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("architecture", sa.Text, nullable=False, comment="as proposed"),
        sa.Column("from_store", sa.Boolean, nullable=False),
        sa.Column("evaluation", sa.String(32), sa.ForeignKey("evaluations.id", name="steps_evaluation")),
        sa.Column("failure", sa.String(20), comment="where the outcome concerns this run only"),
        sa.Column("message", sa.Text),
        sa.CheckConstraint("(evaluation IS NULL) <> (failure IS NULL)", name="evaluation_or_failure"),
    )


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("number", BIG, primary_key=True, comment="order in which they were kept"),
        sa.Column("id", sa.String(32), nullable=False, unique=True, comment="digest of the seven columns of the key"),
        sa.Column("architecture_id", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("resolution", sa.Integer, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("estimator", sa.Text, nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("architecture", sa.Text, nullable=False),
        sa.Column("accuracy", sa.Double),
        sa.Column("failure", sa.String(20)),
        sa.Column("message", sa.Text),
        sa.Column("train_losses", sa.Text, nullable=False, comment="JSON, one number an epoch"),
        sa.Column("validation_losses", sa.Text, nullable=False, comment="JSON, one number an epoch"),
        sa.Column("validation_accuracies", sa.Text, nullable=False, comment="JSON, one number an epoch"),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("parameters", BIG, nullable=False),
        sa.Column("flops", BIG, nullable=False),
        sa.Column("density", sa.Double, nullable=False),
        sa.Column("peak_memory", BIG, nullable=False),
        sa.Column("run", sa.String(40), sa.ForeignKey("runs.id", name="evaluations_run")),
        sa.Column("created_at", sa.String(32), nullable=False, comment="ISO 8601, UTC"),
        sa.CheckConstraint("(accuracy IS NULL) <> (failure IS NULL)", name="accuracy_or_failure"),
        sa.CheckConstraint("accuracy BETWEEN 0 AND 1", name="accuracy_in_unit_interval"),
    )
    op.create_index("evaluations_task_accuracy", "evaluations", ["task", "accuracy"])
