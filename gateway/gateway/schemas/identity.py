"""Sign-up, sign-in and what they answer."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.schemas.fields import (
    CODE_PATTERN,
    NAME_LENGTH_MAX,
    PASSWORD_LENGTH_MAX,
    SECOND_FACTOR_PATTERN,
    TOKEN_PATTERN,
    UUID_PATTERN,
    Email,
    Identifier,
    Moment,
    ReplyBody,
    RequestBody,
)

Delivery = Literal["cookie", "body"]
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX, json_schema_extra={"format": "password"})]
_DELIVERY = "`cookie`: HttpOnly cookies and a CSRF token, for browsers. `body`: tokens in the reply, for programs."


DeviceToken = Annotated[
    str,
    Field(
        pattern=TOKEN_PATTERN,
        description="From an earlier sign-in, for programs: failures of strangers then do not close the door for you, "
        "and a refresh whose reply was lost can be sent again within ten seconds.",
    ),
]
Code = Annotated[str, Field(pattern=CODE_PATTERN)]


class SignUp(RequestBody):
    email: Email
    password: Password
    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]


class ChangeProfile(RequestBody):
    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]


class VerifyEmail(RequestBody):
    email: Email
    code: Code
    delivery: Delivery = Field(default="cookie", description=_DELIVERY)
    device_token: DeviceToken | None = None


class ResendCode(RequestBody):
    email: Email


class LogIn(RequestBody):
    email: Email
    password: Password
    delivery: Delivery = Field(default="cookie", description=_DELIVERY)
    device_token: DeviceToken | None = None


SecondFactor = Annotated[
    str,
    Field(
        pattern=SECOND_FACTOR_PATTERN,
        description="Six digits of the authenticator app, or a recovery code.",
        examples=["123456"],
    ),
]


class AnswerChallenge(RequestBody):
    challenge: Annotated[
        str, Field(pattern=TOKEN_PATTERN, description="`details.challenge` of the `MFA_REQUIRED` that a sign-in got.")
    ]
    code: SecondFactor
    delivery: Delivery = Field(default="cookie", description=_DELIVERY)
    device_token: DeviceToken | None = None


class ShowSecondFactor(RequestBody):
    code: SecondFactor


class EnableTwoFactor(ShowSecondFactor):
    password: Password = Field(description="Yours, once more: a session alone must not put a factor in your way.")


class ProposedSecret(ReplyBody):
    """For the authenticator app, which counts only once a code of it was shown."""

    secret: str = Field(description="Base32, for typing.")
    otpauth_uri: str
    qr_rows: list[str] = Field(
        description="The URI as a QR code, row by row; `1` is dark. Leave four modules around it."
    )


class RecoveryCodes(ReplyBody):
    recovery_codes: list[str] = Field(description="Shown this once; each opens once.")


class SteppedUp(ReplyBody):
    expires_at: Moment


class ForgotPassword(RequestBody):
    email: Email


class ResetPassword(RequestBody):
    email: Email
    code: Code
    new_password: Password


class ChangePassword(RequestBody):
    current_password: Password
    new_password: Password


class Refresh(RequestBody):
    """Empty for browsers: their refresh token comes by cookie."""

    refresh_token: Annotated[str, Field(pattern=TOKEN_PATTERN)] | None = None
    device_token: DeviceToken | None = None
    delivery: Delivery | None = Field(
        default=None, description="As the token came, unless you say otherwise. " + _DELIVERY
    )


class LogOut(RequestBody):
    refresh_token: Annotated[str, Field(pattern=TOKEN_PATTERN)] | None = None


class Freeze(RequestBody):
    token: Annotated[str, Field(pattern=TOKEN_PATTERN)] | None = Field(
        default=None, description="What follows the # in the link of the mail. Not needed where you are signed in."
    )


class SessionPath(RequestBody):
    session_id: Annotated[str, Field(pattern=UUID_PATTERN)]


class Accepted(ReplyBody):
    status: Literal["accepted"]


class User(ReplyBody):
    id: Identifier
    email: str
    name: str
    email_verified: bool
    two_factor_enabled: bool
    created_at: Moment
    last_login: Moment | None
    roles: list[str]
    permissions: list[str]


class DeviceSession(ReplyBody):
    id: Identifier
    device: str = Field(description="What it calls itself; empty where it says nothing.")
    address: str = Field(description="Where it was used from last.")
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment = Field(description="Unless it is used again before.")
    current: bool


class SessionPage(ReplyBody):
    items: list[DeviceSession]
    next_cursor: None


class SignedIn(ReplyBody):
    """Tokens are null where they were delivered by cookie, the CSRF token where they were not. So is the device token
    after a refresh that did not show it: keep the one from the sign-in.
    """

    user: User
    session_id: Identifier
    token_type: Literal["Bearer"] | None
    access_token: str | None
    refresh_token: str | None
    csrf_token: str | None
    device_token: str | None
    expires_in: int = Field(description="Seconds until the access token ends.")
    refresh_expires_in: int = Field(description="Seconds until the refresh token ends.")


class KeySet(ReplyBody):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str | list[str]]]
