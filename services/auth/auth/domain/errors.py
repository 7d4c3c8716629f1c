"""Why identity says no. Every one that a stranger can provoke is the same for known and unknown addresses."""

from chassis.errors import ErrorKind, InvalidArgument, ServiceError


class InvalidEmail(InvalidArgument):
    reason = "invalid_email"

    def __init__(self, *, rule: str) -> None:
        super().__init__("That is not an e-mail address that mail can be sent to.", field="email", rule=rule)


class InvalidName(InvalidArgument):
    reason = "invalid_name"

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message, field="name", rule=rule)


class WeakPassword(InvalidArgument):
    reason = "weak_password"

    def __init__(self, message: str, *, rule: str, **limits: str) -> None:
        super().__init__(message, field="password", rule=rule, **limits)


class MalformedCode(InvalidArgument):
    """Not a code of any kind that is asked for; costs no try."""

    reason = "malformed_code"

    def __init__(self) -> None:
        super().__init__("A code has six digits.", field="code", rule="six_digits")


class InvalidCredentials(ServiceError):
    """Unknown or unproven address, wrong password, no password: one answer."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is not right, or the address is not confirmed yet.")


class AccountLocked(ServiceError):
    """Too many failures for this address, whether or not it has an account."""

    kind = ErrorKind.EXHAUSTED
    reason = "account_locked"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            "Too many failed attempts. Sign-in is closed for a while.", retry_after_seconds=str(retry_after_seconds)
        )


class WrongPassword(ServiceError):
    """Signed in, but the password given to confirm it is not theirs."""

    kind = ErrorKind.FORBIDDEN
    reason = "wrong_password"

    def __init__(self) -> None:
        super().__init__("The present password is not right.")


class PasswordUnchanged(InvalidArgument):
    reason = "password_unchanged"

    def __init__(self) -> None:
        super().__init__("The new password is the present one.", field="new_password", rule="differs")


class InvalidCode(ServiceError):
    kind = ErrorKind.UNAUTHENTICATED
    reason = "invalid_code"

    def __init__(self, *, tries_left: int) -> None:
        super().__init__("The code is not right.", tries_left=str(tries_left))


class CodeExpired(ServiceError):
    """No code is live for the address: never sent, used, or too old."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "code_expired"

    def __init__(self) -> None:
        super().__init__("The code is no longer valid. Ask for a new one.")


class TooManyAttempts(ServiceError):
    """The code took its last wrong guess; only a new one helps."""

    kind = ErrorKind.EXHAUSTED
    reason = "too_many_attempts"

    def __init__(self) -> None:
        super().__init__("Too many wrong codes. Ask for a new one.")


class CodesTooOften(ServiceError):
    kind = ErrorKind.EXHAUSTED
    reason = "code_requested_too_often"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            "Codes were sent already. Wait before asking again.", retry_after_seconds=str(retry_after_seconds)
        )


class AccountFrozen(ServiceError):
    """Told only to who gave the right password."""

    kind = ErrorKind.FORBIDDEN
    reason = "account_frozen"

    def __init__(self) -> None:
        super().__init__("The account is frozen. Set a new password by a code to your mailbox to open it again.")


class FreezeLinkExpired(ServiceError):
    """Too old, made up, or a new password was set by a code to the mailbox since."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "freeze_link_expired"

    def __init__(self) -> None:
        super().__init__("This link is no longer good. Set a new password to end all sessions.")


class SessionNotFound(ServiceError):
    kind = ErrorKind.NOT_FOUND
    reason = "session_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such session.")


class MfaRequired(ServiceError):
    """The password was right; the challenge and a code of the second factor open the session."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "mfa_required"

    def __init__(self, *, challenge: str) -> None:
        super().__init__("Enter the code of your authenticator app, or a recovery code.", challenge=challenge)


class ChallengeExpired(ServiceError):
    """Too old, made up, or the password was changed since."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "challenge_expired"

    def __init__(self) -> None:
        super().__init__("That took too long. Sign in again.")


class WrongSignInCode(ServiceError):
    """At sign-in: wrong, or spent."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "invalid_code"

    def __init__(self) -> None:
        super().__init__("The code is not right.")


class WrongSecondFactor(ServiceError):
    """In a session, which goes on: the code is wrong, or spent."""

    kind = ErrorKind.FORBIDDEN
    reason = "invalid_code"

    def __init__(self) -> None:
        super().__init__("The code is not right.")


class SecondFactorLocked(ServiceError):
    """Too many wrong codes for this account."""

    kind = ErrorKind.EXHAUSTED
    reason = "second_factor_locked"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__("Too many wrong codes. Wait a while.", retry_after_seconds=str(retry_after_seconds))


class TwoFactorAlreadyEnabled(ServiceError):
    kind = ErrorKind.CONFLICT
    reason = "two_factor_already_enabled"

    def __init__(self) -> None:
        super().__init__("Two-factor sign-in is on already. Switch it off first.")


class TwoFactorNotSetUp(ServiceError):
    kind = ErrorKind.CONFLICT
    reason = "two_factor_not_set_up"

    def __init__(self) -> None:
        super().__init__("Set two-factor sign-in up first.")


class TwoFactorNotEnabled(ServiceError):
    kind = ErrorKind.CONFLICT
    reason = "two_factor_not_enabled"

    def __init__(self) -> None:
        super().__init__("Two-factor sign-in is not on.")


class StepUpRequired(ServiceError):
    """`two_factor` says whether there is a second factor to show (`enabled`), or one to set up first (`disabled`)."""

    kind = ErrorKind.FORBIDDEN
    reason = "step_up_required"

    def __init__(self, *, two_factor: str) -> None:
        super().__init__("Confirm this with a fresh code of your second factor.", two_factor=two_factor)


class InvalidApiKey(InvalidArgument):
    reason = "invalid_api_key"


class ApiKeyNotFound(ServiceError):
    kind = ErrorKind.NOT_FOUND
    reason = "api_key_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such API key.")


class TooManyApiKeys(ServiceError):
    kind = ErrorKind.CONFLICT
    reason = "too_many_api_keys"

    def __init__(self, *, maximum: int) -> None:
        super().__init__("You have as many API keys as one account may have. Delete one first.", maximum=str(maximum))


class InvalidRefreshToken(ServiceError):
    kind = ErrorKind.UNAUTHENTICATED
    reason = "invalid_refresh_token"

    def __init__(self) -> None:
        super().__init__("The session cannot be continued. Sign in again.")


class SessionEnded(ServiceError):
    """Signed out, revoked or too old."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "session_ended"

    def __init__(self) -> None:
        super().__init__("The session has ended. Sign in again.")


class RefreshTokenReused(ServiceError):
    """A spent token came back: somebody else may hold a copy, so the session was ended."""

    kind = ErrorKind.UNAUTHENTICATED
    reason = "refresh_token_reused"

    def __init__(self) -> None:
        super().__init__("The session was ended for safety. Sign in again.")


class UserNotFound(ServiceError):
    kind = ErrorKind.NOT_FOUND
    reason = "user_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such user.")


class UnknownRole(InvalidArgument):
    reason = "unknown_role"

    def __init__(self, *, known: str) -> None:
        super().__init__(f"There is no such role. There are: {known}.", field="role", rule="known_role")


class TooBusy(ServiceError):
    """More work waits than can be done in time. Nothing happened."""

    kind = ErrorKind.UNAVAILABLE
    reason = "too_busy"

    def __init__(self) -> None:
        super().__init__("Too many people sign in right now. Try again in a moment.", retry_after_seconds="1")
