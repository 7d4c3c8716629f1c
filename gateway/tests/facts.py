"""Who and what the stand-ins know: the same in all tests."""

from google.protobuf.timestamp_pb2 import Timestamp

ISSUER = "http://127.0.0.1:18000"
AUDIENCE = "cryptovault"
USER = "01890000-0000-7000-8000-000000000001"
OTHER_USER = "01890000-0000-7000-8000-000000000002"
SESSION = "01890000-0000-7000-8000-00000000000a"
PERMISSIONS = ("orders:cancel", "orders:read", "orders:write", "portfolio:read", "wallet:read")  # of a user
ORDER = "01890000-0000-7000-8000-0000000000ff"
KEY = "01890000-0000-7000-8000-00000000000b"
KEY_SECRET = "key-secret-1"
KEY_PERMISSIONS = ("api-keys:read", "orders:cancel", "orders:read", "orders:write", "wallet:read")
NOW = Timestamp(seconds=1_767_225_600, nanos=123_456_789)
