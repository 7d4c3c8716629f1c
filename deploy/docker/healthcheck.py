"""A container's health: `grpc HOST:PORT` or `http URL`; exit code 0 when it serves."""  # noqa: INP001  # a script, no package

import os
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ANSWER_SECONDS = 3.0


def serves_grpc(address: str) -> bool:
    with open_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs leave it out
        try:
            reply = check(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def open_channel(address: str) -> grpc.Channel:
    """As the services speak: where they have certificates, with the one of this container."""
    files = [os.environ.get(f"CRYPTOVAULT_TLS_{name}_FILE", "") for name in ("AUTHORITY", "KEY", "CERTIFICATE")]
    if not all(files):
        return grpc.insecure_channel(address)
    credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in files))
    # A certificate names its service, and this machine for questions from within.
    return grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", "localhost")])


def serves_http(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as reply:  # noqa: S310  # our own loopback address
            return bool(reply.status == HTTPStatus.OK)
    except (urllib.error.URLError, TimeoutError):
        return False


if __name__ == "__main__":
    kind, target = sys.argv[1:]
    sys.exit(0 if {"grpc": serves_grpc, "http": serves_http}[kind](target) else 1)
