from auth.storage.documents import LoginAttemptDocument
from auth.use_cases.ports import LoginAttempt


class MongoLoginAttempts:
    async def record(self, attempt: LoginAttempt) -> None:
        await LoginAttemptDocument(
            user_id=attempt.user_id,
            email_digest=attempt.email_digest,
            ip_address=attempt.address,
            succeeded=attempt.succeeded,
            reason=attempt.reason,
            timestamp=attempt.timestamp,
        ).insert()
