"""Passwords of accounts that came from elsewhere, by bcrypt (Provos and Mazières, 1999)."""

import re

from pwdlib.hashers.bcrypt import BcryptHasher

# 2^rounds is what one guess costs us: 14 are a second. A dearer hash would let its owner keep us busy.
_FORM = re.compile(r"\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}")
# Whoever made the hash read no more of the password, and the library refuses more.
_PASSWORD_BYTES_MAX = 72


class ImportedBcrypt(BcryptHasher):
    """For `PasswordHash`, behind the hasher of new passwords: what verifies here is then hashed anew by that one."""

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:  # noqa: A002 - the protocol's name
        return _FORM.fullmatch(hash if isinstance(hash, str) else hash.decode("latin-1")) is not None

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - the protocol's name
        given = password.encode() if isinstance(password, str) else password
        try:
            return super().verify(given[:_PASSWORD_BYTES_MAX], hash)
        except ValueError:
            # The form is right, its salt is none.
            return False
