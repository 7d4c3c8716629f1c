"""Entries of the audit trail as their readers see them."""

from typing import Any

from cryptovault.auth.v1 import auth_pb2 as pb

from gateway.views.times import time_text

_OTHERS = frozenset({"staff", "platform"})


def own_entry_view(entry: pb.AuditEntry) -> dict[str, Any]:
    return {**_common(entry), "actor": entry.actor if entry.actor in _OTHERS else "you"}


def entry_view(entry: pb.AuditEntry) -> dict[str, Any]:
    return {
        **_common(entry),
        "user_id": entry.user_id or None,
        "actor": entry.actor,
        "stream": entry.stream,
        "sequence": entry.sequence,
        "hash": entry.hash.hex(),
    }


def _common(entry: pb.AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "time": time_text(entry.time),
        "action": entry.action,
        "resource": entry.resource or None,
        "address": entry.address or None,
        "session_id": entry.session_id or None,
        "request_id": entry.request_id,
        "details": dict(entry.details),
    }
