"""Time-based one-time passwords (RFC 6238) and their QR code, by pyotp and segno."""

import base64
import hmac

import pyotp
import segno

from auth.domain.email_address import EmailAddress

ISSUER = "CryptoVault"


class AppCodes:
    """SHA-1 and six digits: what every app reads, whatever the URI says (the hash is only a keyed mix here)."""

    def is_code_of_step(self, secret: bytes, code: str, step: int) -> bool:
        return hmac.compare_digest(_totp(secret).generate_otp(step), code)

    def uri(self, secret: bytes, email: EmailAddress) -> str:
        return _totp(secret).provisioning_uri(name=email, issuer_name=ISSUER)

    def shown_secret(self, secret: bytes) -> str:
        return base64.b32encode(secret).decode()

    def qr_rows(self, text: str) -> tuple[str, ...]:
        """The code's modules, row by row: `1` is dark. Without the quiet zone of four modules around it."""
        return tuple("".join("1" if module else "0" for module in row) for row in segno.make(text, error="m").matrix)


def _totp(secret: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(base64.b32encode(secret).decode())
