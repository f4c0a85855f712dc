"""Leases and queued requests in SQL, within a transaction. The clock is the database's, so that machines may differ."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Double, and_, case, cast, delete, extract, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from nasgym.evaluation import EvaluationKey
from nasgym.store.columns import outcome_of, request_of
from nasgym.store.leases import Answered, Claim, Held, QueuedRequest, Won
from nasgym.store.rows import evaluation_id
from nasgym.store.schema import EVALUATIONS, LEASES, REQUESTS

_UNIX_EPOCH, _DAY = 2440587.5, 86400.0
"""The Julian day on which 1970 began, and the seconds of a day."""

_FREE = LEASES.c.owner.is_(None)


def now(connection: Connection) -> ColumnElement[float]:
    """Return the expression for the seconds since 1970 by the clock of the database."""
    if connection.dialect.name == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return (func.julianday("now") - _UNIX_EPOCH) * _DAY


def clock(connection: Connection) -> float:
    """Return the seconds since 1970 by the clock of the database."""
    return float(connection.execute(select(now(connection))).scalar_one())


def claim(
    connection: Connection, keys: Sequence[EvaluationKey], owner: str, seconds: float
) -> dict[EvaluationKey, Claim]:
    """Take the leases that are free, then look for outcomes: one that came in between is seen.

    A trigger in the database ends the lease when an outcome is kept; here ends what was taken after that. Rows are
    written in order of their ids, so that two claims cannot wait for each other.
    """
    by_id = {evaluation_id(key): key for key in keys}
    ids = sorted(by_id)
    connection.execute(_take(connection, owner, seconds), [{"evaluation": name} for name in ids])
    claims: dict[EvaluationKey, Claim] = {}
    left = (LEASES.c.expires_at - now(connection)).label("left")
    for row in connection.execute(select(LEASES, left).where(LEASES.c.evaluation.in_(ids))).mappings():
        mine = row["owner"] == owner
        claims[by_id[row["evaluation"]]] = Won(row["losses"]) if mine else Held(row["owner"], max(0.0, row["left"]))
    found = connection.execute(select(EVALUATIONS).where(EVALUATIONS.c.id.in_(ids))).mappings().all()
    for row in found:
        claims[by_id[row["id"]]] = Answered(outcome_of(row))
    if found:
        answered = [row["id"] for row in found]
        connection.execute(delete(LEASES).where(LEASES.c.evaluation.in_(answered)))
        connection.execute(delete(REQUESTS).where(REQUESTS.c.evaluation.in_(answered)))
    return claims


def _take(connection: Connection, owner: str, seconds: float) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that takes a lease unless somebody else holds it."""
    present = now(connection)
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(LEASES).values(owner=owner, expires_at=present + seconds, losses=0)
    other = LEASES.c.owner != owner
    return statement.on_conflict_do_update(
        index_elements=[LEASES.c.evaluation],
        set_={
            "owner": owner,
            "expires_at": present + seconds,
            "losses": LEASES.c.losses + case((and_(LEASES.c.owner.is_not(None), other), 1), else_=0),
        },
        where=or_(_FREE, LEASES.c.owner == owner, LEASES.c.expires_at <= present),
    )


def renew(connection: Connection, keys: Sequence[EvaluationKey], owner: str, seconds: float) -> set[EvaluationKey]:
    """Let the leases of `owner` last for `seconds` from now; return those it still has."""
    by_id = {evaluation_id(key): key for key in keys}
    mine = LEASES.c.evaluation.in_(by_id) & (LEASES.c.owner == owner)
    statement = update(LEASES).where(mine).values(expires_at=now(connection) + seconds)
    return {by_id[name] for name in connection.execute(statement.returning(LEASES.c.evaluation)).scalars()}


def release(connection: Connection, keys: Sequence[EvaluationKey], owner: str) -> None:
    """Let go of the leases of `owner`; how many ran out before stays known."""
    mine = LEASES.c.evaluation.in_(map(evaluation_id, keys)) & (LEASES.c.owner == owner)
    connection.execute(delete(LEASES).where(mine, LEASES.c.losses == 0))
    connection.execute(update(LEASES).where(mine).values(owner=None, expires_at=0.0))


def open_requests(connection: Connection, run: str | None, limit: int) -> list[QueuedRequest]:
    """Return the requests that nobody holds a lease on, the longest waiting first."""
    taken = LEASES.c.owner.is_not(None) & (LEASES.c.expires_at > now(connection))
    statement = (
        select(REQUESTS)
        .where(~select(LEASES.c.evaluation).where(LEASES.c.evaluation == REQUESTS.c.evaluation, taken).exists())
        .order_by(REQUESTS.c.queued_at, REQUESTS.c.run, REQUESTS.c.number)
        .limit(limit)
    )
    if run is not None:
        statement = statement.where(REQUESTS.c.run == run)
    return [request_of(row) for row in connection.execute(statement).mappings()]
