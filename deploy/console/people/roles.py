"""The roles of people, and what each may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person is to the console; exactly one each."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    FINANCE = "finance"
    ADMIN = "admin"


class Right(StrEnum):
    """What a role may do; `see` is the flow, the orders and why something is refused, waits or differs."""

    SEE = "see"
    SEE_BOOKS = "see journal entries, costs and margins"
    SEE_PERSONAL = "see names, addresses and what else tells of a person"
    SEE_ORIGINALS = "see the original bytes of dead letters"
    REPLAY = "mend and replay dead letters"
    REPAIR = "repair differences"
    REVIEW = "decide about orders of documents"
    APPROVE = "see and decide what others ask for"
    SEE_AUDIT = "see who did what"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.SEE}),
    Role.OPERATOR: frozenset(
        {Right.SEE, Right.SEE_PERSONAL, Right.SEE_ORIGINALS, Right.REPLAY, Right.REPAIR, Right.REVIEW, Right.APPROVE}
    ),
    Role.FINANCE: frozenset({Right.SEE, Right.SEE_BOOKS, Right.APPROVE}),
    Role.ADMIN: frozenset(Right),
}
"""Least privilege: who mends events need not see margins, and who sees the books cannot change what is in them.

Whoever mends events has to see what they say of people; figures and states are told without.
"""
