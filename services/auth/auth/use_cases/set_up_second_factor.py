from dataclasses import dataclass, field
from uuid import UUID

from chassis.identity import NotSignedIn, current_caller

from auth.domain.errors import TwoFactorAlreadyEnabled
from auth.domain.second_factor import SECRET_BYTES
from auth.use_cases.crypto_ports import AppCodes, Randomness, Seal
from auth.use_cases.ports import SecondFactors, Users
from auth.use_cases.prove_second_factor import SECRET_PURPOSE


@dataclass(frozen=True, slots=True)
class ProposedSecret:
    """For the app: typed, as a URI, or as the rows of a QR code."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    qr_rows: tuple[str, ...] = field(repr=False)


class SetUpSecondFactor:
    """Makes a secret for the caller's app. It counts for nothing until a code of it is shown; a new one replaces it."""

    def __init__(
        self,
        *,
        users: Users,
        second_factors: SecondFactors,
        app_codes: AppCodes,
        seal: Seal,
        randomness: Randomness,
    ) -> None:
        self._users = users
        self._second_factors = second_factors
        self._app_codes = app_codes
        self._seal = seal
        self._randomness = randomness

    async def __call__(self) -> ProposedSecret:
        """Raises NotSignedIn, TwoFactorAlreadyEnabled."""
        user = await self._users.by_id(UUID(current_caller().required_user()))
        if user is None:
            raise NotSignedIn
        secret = self._randomness.bytes(SECRET_BYTES)
        sealed = self._seal.close(secret, purpose=SECRET_PURPOSE, owner=str(user.id))
        if not await self._second_factors.propose(user.id, sealed):
            raise TwoFactorAlreadyEnabled
        uri = self._app_codes.uri(secret, user.email)
        return ProposedSecret(self._app_codes.shown_secret(secret), uri, self._app_codes.qr_rows(uri))
