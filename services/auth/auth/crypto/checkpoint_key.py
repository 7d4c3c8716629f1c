"""The key that signs checkpoints of the audit trail: Ed25519 (RFC 8032), derived from auth's root for that alone."""

from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auth.crypto.digests import derived_key
from auth.domain.audit_checkpoints import Checkpoint


class CheckpointKey:
    """Whoever only writes to the database has neither the root nor this key."""

    def __init__(self, root: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(derived_key(root, "audit-checkpoint"))
        self.public_key = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class TrustedKeys:
    """Says whether one of these public keys (32 bytes each) signed a checkpoint."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {key: Ed25519PublicKey.from_public_bytes(key) for key in keys}

    def has_signed(self, checkpoint: Checkpoint) -> bool:
        key = self._keys.get(checkpoint.public_key)
        if key is None:
            return False
        try:
            key.verify(checkpoint.signature, checkpoint.signed_bytes)
        except InvalidSignature:
            return False
        return True
