"""One client's connection: who it is, what it subscribed to, how much it may ask."""

import asyncio
from enum import Enum

from chassis.clock import Clock
from chassis.identity import Caller

from gateway.admission.access_tokens import AccessToken
from gateway.admission.admission import Admission
from gateway.admission.limits import LocalLimits
from gateway.admission.policy import LimitClass
from gateway.edge.facts import RequestFacts
from gateway.errors import PublicError, invalid, permission_missing, unauthenticated
from gateway.views.times import datetime_text
from gateway.websocket.market_channels import MarketChannels
from gateway.websocket.messages import (
    MARKET_CHANNELS,
    PONG,
    PRICES,
    PRIVATE_CHANNELS,
    Authenticate,
    ClientMessage,
    Subscribe,
    Unsubscribe,
    error_message,
    read_message,
)
from gateway.websocket.outbox import Outbox, Send
from gateway.websocket.price_channel import PriceChannel
from gateway.websocket.private_channels import PrivateFeed, PrivateFeeds

MESSAGES_PER_MINUTE = 300  # of a client: five a second; a whole set of subscriptions is ten
SUBSCRIPTIONS_MAX = 64  # to channels of markets; of each other channel there is one
_UNAUTHENTICATED = 401


class CloseReason(Enum):
    """Codes from 4000 are ours; they follow HTTP's where one fits."""

    NOT_TEXT = (1003, "messages are JSON text")
    INTERNAL = (1011, "an internal error occurred")
    UNAUTHENTICATED = (4401, "not signed in")
    TOKEN_EXPIRED = (4401, "the access token has expired")
    SESSION_ENDED = (4401, "the session has ended")
    FORBIDDEN = (4403, "this origin may not act for a signed-in user")
    TOO_SLOW = (4408, "messages were not read in time")
    TOO_MANY_MESSAGES = (4429, "too many messages")
    TOO_MANY_CONNECTIONS = (4429, "too many connections from this address")
    TOO_OFTEN = (4429, "opened too often")

    @property
    def code(self) -> int:
        return self.value[0]

    @property
    def text(self) -> str:
        return self.value[1]


class SocketConnection:
    """`closing` holds the reason as soon as there is one to close."""

    def __init__(
        self,
        *,
        send: Send,
        facts: RequestFacts,
        admission: Admission,
        prices: PriceChannel,
        market_channels: MarketChannels,
        feeds: PrivateFeeds,
        clock: Clock,
        outbox_max: int,
    ) -> None:
        self._facts = facts
        self._market_channels = market_channels
        self._markets_read: set[tuple[str, str]] = set()
        self._admission = admission
        self._prices = prices
        self._feeds = feeds
        self._clock = clock
        self._limits = LocalLimits(keys_max=1)
        self._open_feeds: dict[str, PrivateFeed] = {}
        self._has_prices = False
        self._expiry: asyncio.TimerHandle | None = None
        self.token: AccessToken | None = None
        self.last_words: str | None = None
        self.closing: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        self.outbox = Outbox(send, messages_max=outbox_max, on_overflow=lambda: self.close(CloseReason.TOO_SLOW))

    def sign_in(self, token: AccessToken) -> None:
        """Speak for this user from now on, until the token ends; PublicError 400 where somebody else is signed in."""
        if self.token is not None and self.token.user_id != token.user_id:
            raise invalid("Another user is signed in here.", field="token", rule="same_user")
        self.token = token
        if self._expiry is not None:
            self._expiry.cancel()
        seconds = max(0.0, token.expires_at - self._clock.now().timestamp())
        self._expiry = asyncio.get_running_loop().call_later(seconds, self.close, CloseReason.TOKEN_EXPIRED)

    def close(self, reason: CloseReason) -> None:
        if not self.closing.done():
            self.closing.set_result(reason)

    def refuse(self, error: PublicError) -> None:
        """Tell the client, and go on."""
        self.outbox.put("error", error_message(error, self._facts.request_id))

    def end(self) -> None:
        """The connection is over: let go of everything."""
        if self._expiry is not None:
            self._expiry.cancel()
        if self._has_prices:
            self._prices.unsubscribe(self.outbox)
        for channel, market in self._markets_read:
            self._market_channels.of(channel).unsubscribe(market, self.outbox)
        for feed in self._open_feeds.values():
            feed.stop()
        self.closing.cancel()

    async def take(self, text: str) -> None:
        """Do what one message asks. PublicError where it cannot be done."""
        now = int(self._clock.monotonic() * 1_000_000)
        if not self._limits.take("", limit=MESSAGES_PER_MINUTE, now_microseconds=now).allowed:
            self.close(CloseReason.TOO_MANY_MESSAGES)
            return
        await self._do(read_message(text))

    async def _do(self, message: ClientMessage) -> None:
        if isinstance(message, Authenticate):
            await self._authenticate(message.token)
        elif isinstance(message, Subscribe):
            await self._subscribe(message)
        elif isinstance(message, Unsubscribe):
            self._unsubscribe(message.channel, message.market)
        else:
            self.outbox.put("pong", PONG)

    async def _authenticate(self, token: str) -> None:
        try:
            self.sign_in(await self._admission.check_token(token))
        except PublicError as error:
            if error.status != _UNAUTHENTICATED:
                raise
            self.last_words = error_message(error, self._facts.request_id)
            self.close(CloseReason.UNAUTHENTICATED)

    async def _subscribe(self, message: Subscribe) -> None:
        if message.channel in MARKET_CHANNELS:
            await self._subscribe_to_market(message)
            return
        if message.market is not None:
            raise invalid("This channel holds all markets.", field="market", rule="not_for_this_channel")
        if message.channel == PRICES:
            if message.after is not None:
                raise invalid("Prices begin with a snapshot.", field="after", rule="not_for_this_channel")
            self._has_prices = True
            self._prices.subscribe(self.outbox)
            return
        if self.token is None:
            raise unauthenticated("Sign in first: this channel is private.", reason="not_signed_in")
        permission = PRIVATE_CHANNELS[message.channel]
        if permission not in self.token.permissions:
            raise permission_missing(permission)
        await self._admission.count_subscription(self._facts.address, self.token, LimitClass.ACCOUNT)
        self._unsubscribe(message.channel, None)
        self._open_feeds[message.channel] = await self._feeds.open(
            message.channel,
            caller=Caller(
                service="gateway",
                user_id=self.token.user_id,
                session_id=self.token.session_id,
                request_id=self._facts.request_id,
                address=self._facts.address,
                permissions=self.token.permissions,
            ),
            outbox=self.outbox,
            after=message.after,
            now=lambda: datetime_text(self._clock.now()),
        )

    async def _subscribe_to_market(self, message: Subscribe) -> None:
        if message.market is None:
            raise invalid("Which market?", field="market", rule="required")
        if message.after is not None:
            raise invalid("This channel begins with a snapshot.", field="after", rule="not_for_this_channel")
        if len(self._markets_read) >= SUBSCRIPTIONS_MAX:
            raise invalid("Too many subscriptions.", field="channel", rule="maximum", maximum=str(SUBSCRIPTIONS_MAX))
        await self._market_channels.check(message.market)
        await self._admission.count_subscription(self._facts.address, None, LimitClass.MARKET_DATA)
        self._unsubscribe(message.channel, message.market)
        self._markets_read.add((message.channel, message.market))
        self._market_channels.of(message.channel).subscribe(message.market, self.outbox)

    def _unsubscribe(self, channel: str, market: str | None) -> None:
        if channel in MARKET_CHANNELS:
            # Without a market: of all.
            for read in [one for one in self._markets_read if one[0] == channel and market in {None, one[1]}]:
                self._markets_read.discard(read)
                self._market_channels.of(channel).unsubscribe(read[1], self.outbox)
        if channel == PRICES and self._has_prices:
            self._has_prices = False
            self._prices.unsubscribe(self.outbox)
        feed = self._open_feeds.pop(channel, None)
        if feed is not None:
            feed.stop()
