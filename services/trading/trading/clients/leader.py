"""The leader, as the projector asks it to stop something."""

import grpc
from cryptovault.trading.v1 import operator_pb2, operator_pb2_grpc

FREEZE_DEADLINE_SECONDS = 2.0  # a command on the exchange's one sequence


class GrpcLeader:
    """Over a channel that finds out which replica leads."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = operator_pb2_grpc.TradingOperatorServiceStub(channel)

    async def freeze(self, asset: str, reason: str) -> None:
        await self._stub.FreezeAsset(
            operator_pb2.FreezeAssetRequest(asset=asset, reason=reason), timeout=FREEZE_DEADLINE_SECONDS
        )
