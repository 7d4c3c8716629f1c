"""What may be a password, and the one form in which it is hashed."""

import unicodedata

from auth.domain.common_passwords import COMMON_PASSWORDS
from auth.domain.email_address import EmailAddress
from auth.domain.errors import WeakPassword

PASSWORD_LENGTH_MIN = 8  # the product's rule
PASSWORD_LENGTH_MAX = 256  # room for any passphrase; above it somebody tests us
DISTINCT_CHARACTERS_MIN = 3  # "aaaaaaaa" and "abababab" are the first guesses of every tool
SEQUENCES = ("01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")


def normal_form(password: str) -> str:
    """NFKC (as NIST SP 800-63B recommends): a letter composed by one keyboard equals the one another keyboard sends.

    Case and spaces are kept: they are part of the secret.

    Raises:
        WeakPassword: longer than any password may be, so it cannot be right either.
    """
    if len(password) > PASSWORD_LENGTH_MAX:
        raise WeakPassword(
            f"A password has at most {PASSWORD_LENGTH_MAX} characters.",
            rule="max_length",
            limit=str(PASSWORD_LENGTH_MAX),
        )
    return unicodedata.normalize("NFKC", password)


def new_password(password: str, *, email: EmailAddress) -> str:
    """The form to hash of a password that somebody chose.

    Raises:
        WeakPassword: with the rule it breaks: length, or that it is among the first guesses.
    """
    normal = normal_form(password)
    # Both forms count: composing shortens, and one compatibility character may expand to eighteen.
    if min(len(password), len(normal)) < PASSWORD_LENGTH_MIN:
        raise WeakPassword(
            f"A password has at least {PASSWORD_LENGTH_MIN} characters.",
            rule="min_length",
            limit=str(PASSWORD_LENGTH_MIN),
        )
    guess = normal.casefold().strip()
    local_part = email.partition("@")[0]
    if (
        guess in COMMON_PASSWORDS
        or guess in {email, local_part}
        or len(set(guess)) < DISTINCT_CHARACTERS_MIN
        or any(guess in sequence for sequence in SEQUENCES)
    ):
        raise WeakPassword("That password is among the first that get guessed. Choose another.", rule="too_common")
    return normal
