"""Requests that wait for a worker, and leases on evaluations that are being made."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

END_LEASE = "DELETE FROM leases WHERE evaluation = NEW.id; DELETE FROM requests WHERE evaluation = NEW.id;"
TRIGGERS = {
    "sqlite": (f"CREATE TRIGGER evaluation_ends_lease AFTER INSERT ON evaluations BEGIN {END_LEASE} END",),
    "postgresql": (
        "CREATE FUNCTION nasgym_evaluation_ends_lease() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN {END_LEASE} RETURN NULL; END $$",
        "CREATE TRIGGER evaluation_ends_lease AFTER INSERT ON evaluations "
        "FOR EACH ROW EXECUTE FUNCTION nasgym_evaluation_ends_lease()",
    ),
}
"""An outcome ends the lease on its evaluation and the requests for it, without a further statement of its writer."""

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables and the trigger."""
    op.create_table(
        "requests",
        sa.Column("run", sa.String(40), sa.ForeignKey("runs.id", name="requests_run"), primary_key=True),
        sa.Column("phase", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("evaluation", sa.String(32), nullable=False, comment="digest of the seven columns of the key"),
        sa.Column("architecture", sa.Text, nullable=False, comment="as proposed"),
        sa.Column("architecture_id", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("resolution", sa.Integer, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("estimator", sa.Text, nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("queued_at", sa.Double, nullable=False, comment="seconds since 1970 by the clock of the database"),
    )
    op.create_index("requests_evaluation", "requests", ["evaluation"])
    op.create_table(
        "leases",
        sa.Column("evaluation", sa.String(32), primary_key=True, comment="digest of the seven columns of the key"),
        sa.Column("owner", sa.String(100), comment="nobody once it is released"),
        sa.Column("expires_at", sa.Double, nullable=False, comment="seconds since 1970 by the clock of the database"),
        sa.Column("losses", sa.Integer, nullable=False, comment="leases before it that ran out"),
    )
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
