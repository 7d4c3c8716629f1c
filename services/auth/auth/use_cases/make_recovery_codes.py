from uuid import UUID

from auth.domain.second_factor import RECOVERY_ALPHABET, RECOVERY_CODE_LENGTH, RECOVERY_CODES, shown_recovery_code
from auth.use_cases.crypto_ports import Digests, Randomness


class MakeRecoveryCodes:
    """Ten codes as they are shown once, and their digests as they are kept."""

    def __init__(self, *, digests: Digests, randomness: Randomness) -> None:
        self._digests = digests
        self._randomness = randomness

    def __call__(self, user_id: UUID) -> tuple[list[str], list[str]]:
        codes = [self._code() for _ in range(RECOVERY_CODES)]
        digests = [self._digests.of_recovery_code(user_id, code) for code in codes]
        return [shown_recovery_code(code) for code in codes], digests

    def _code(self) -> str:
        letters = (self._randomness.below(len(RECOVERY_ALPHABET)) for _ in range(RECOVERY_CODE_LENGTH))
        return "".join(RECOVERY_ALPHABET[letter] for letter in letters)
