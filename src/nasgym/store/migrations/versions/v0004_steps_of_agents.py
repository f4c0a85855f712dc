"""What agents do step by step, where somebody asks for it: actions and rewards of updates and of episodes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; they are empty in rows that were kept before."""
    op.add_column("training_updates", sa.Column("trace", sa.Text, comment="JSON, step by step"))
    op.add_column("meta_episodes", sa.Column("actions", sa.Text, comment="JSON, one list an episode"))
    op.add_column("meta_episodes", sa.Column("step_rewards", sa.Text, comment="JSON, one list an episode"))
