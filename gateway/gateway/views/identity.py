"""A user and a session as the public sees them."""

from typing import Any

from cryptovault.auth.v1 import auth_pb2 as pb

from gateway.views.times import optional_time_text, time_text


def user_view(user: pb.User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "email_verified": user.email_verified,
        "two_factor_enabled": user.two_factor_enabled,
        "created_at": time_text(user.created_at),
        "last_login": optional_time_text(user, "last_login"),
        "roles": list(user.roles),
        "permissions": list(user.permissions),
    }


def api_key_view(key: pb.ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "networks": list(key.networks),
        "created_at": time_text(key.created_at),
        "expires_at": optional_time_text(key, "expires_at"),
        "last_used_at": optional_time_text(key, "last_used_at"),
    }


def session_view(session: pb.DeviceSession, *, current: bool) -> dict[str, Any]:
    return {
        "id": session.id,
        "device": session.device,
        "address": session.address,
        "created_at": time_text(session.created_at),
        "last_used_at": time_text(session.last_used_at),
        "expires_at": time_text(session.expires_at),
        "current": current,
    }
