from auth.domain.audit_chain import AuditStream
from auth.use_cases.audit_ports import AuditTrail, DeferredAudit
from auth.use_cases.ports import Transactions

BATCH_MAX = 500  # entries of one transaction, which must end within its deadline: five indexes each


class ChainDeferred:
    """Gives entries that wait their place in the chain, in the order in which they came, each once."""

    def __init__(self, *, deferred: DeferredAudit, audit_trail: AuditTrail, transactions: Transactions) -> None:
        self._deferred = deferred
        self._audit_trail = audit_trail
        self._transactions = transactions

    async def __call__(self) -> bool:
        """Whether more may wait."""

        async def chain() -> int:
            waiting = await self._deferred.oldest(BATCH_MAX)
            await self._audit_trail.append(AuditStream.AUTH, waiting)
            await self._deferred.remove([entry.id for entry in waiting])
            return len(waiting)

        # Mostly nothing waits, and then no transaction is needed to see it.
        return bool(await self._deferred.oldest(1)) and await self._transactions.run(chain) == BATCH_MAX
