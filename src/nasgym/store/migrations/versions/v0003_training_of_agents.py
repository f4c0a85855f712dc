"""What agents do while they are trained and tested: a row for each update, and one for each meta-episode played."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "training_updates",
        sa.Column("run", sa.String(40), sa.ForeignKey("runs.id", name="training_updates_run"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("steps", BIG, nullable=False, comment="of the environments, since training began"),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("meta_episodes", sa.Integer, nullable=False, comment="ended in this update"),
        sa.Column("mean_return", sa.Double, comment="of these"),
        sa.Column("entropy", sa.Double, comment="of the policy, nats"),
        sa.Column("episode_length", sa.Double, comment="mean, steps"),
        sa.Column("rewards", sa.Text, nullable=False, comment="JSON, mean by episode index"),
        sa.Column("actions", sa.Text, nullable=False, comment="JSON, how often each was taken"),
        sa.Column("metrics", sa.Text, nullable=False, comment="JSON, further numbers by name"),
    )
    op.create_table(
        "meta_episodes",
        sa.Column("run", sa.String(40), sa.ForeignKey("runs.id", name="meta_episodes_run"), primary_key=True),
        sa.Column("phase", sa.Text, primary_key=True),
        sa.Column("after_update", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("rewards", sa.Text, nullable=False, comment="JSON, one number an episode"),
        sa.Column("accuracies", sa.Text, nullable=False, comment="JSON, one number an episode, or null"),
        sa.Column("lengths", sa.Text, nullable=False, comment="JSON, steps of each episode"),
        sa.Column("architectures", sa.Text, nullable=False, comment="JSON, one text an episode, or null"),
    )
