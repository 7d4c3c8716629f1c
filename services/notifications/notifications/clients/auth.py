"""Where to reach a user: auth knows."""

import grpc
from chassis.errors import ErrorKind, RemoteError
from cryptovault.auth.v1 import auth_pb2, auth_pb2_grpc

from notifications.use_cases.ports import Contact, NoContact


class AuthContacts:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = auth_pb2_grpc.AuthServiceStub(channel)

    async def find(self, user_id: str) -> Contact:
        """Raises NoContact; RemoteError (UNAVAILABLE) while auth does not answer."""
        try:
            response = await self._stub.GetContact(auth_pb2.GetContactRequest(user_id=user_id))
        except RemoteError as error:
            if error.kind in {ErrorKind.NOT_FOUND, ErrorKind.INVALID}:
                raise NoContact(user_id) from error
            raise
        return Contact(response.email, response.name)
