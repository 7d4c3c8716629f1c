"""One key per mailbox: the same address however it was typed, and the only form that is stored, compared and mailed."""

import unicodedata
from typing import NewType

from email_validator import EmailNotValidError, validate_email

from auth.domain.errors import InvalidEmail

EmailAddress = NewType("EmailAddress", str)

TYPED_LENGTH_MAX = 320  # before any parsing; RFC 5321 allows 254, the rest is room for spaces and composed letters


def email_address(typed: str) -> EmailAddress:
    """The canonical form of an address: outer spaces gone, NFKC, lower case, domain in ASCII (IDNA 2008).

    Since the canonical form is also where mail goes, a look-alike that folds onto another's address proves nothing
    to who typed it: the code reaches the owner. Letters outside ASCII before the @ are refused, our mail provider
    cannot deliver to them. Tags (`+x`) and dots are kept: only the mailbox's own provider knows what they mean.

    Raises:
        InvalidEmail: no mail could be sent there.
    """
    if len(typed) > TYPED_LENGTH_MAX:
        raise InvalidEmail(rule="max_length")
    # Folding may undo composition, so compose again: the result is a fixed point.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", typed).casefold()).strip()
    try:
        parts = validate_email(
            folded, check_deliverability=False, allow_smtputf8=False, strict=True, test_environment=True
        )
    except EmailNotValidError as error:
        raise InvalidEmail(rule="syntax") from error
    return EmailAddress(f"{parts.local_part}@{parts.ascii_domain}".lower())
