from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.failures import error_of
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from cryptovault.trading.v1 import events_pb2, trading_pb2
from exchange_over_grpc import Exchange, buy, logged_events, rest, running_exchange
from shell_factory import PRICE, UNIT
from trading.api import order_entry
from trading.api.order_entry import ANSWERS_PER_MESSAGE_MAX
from trading.projector import fold, journal_reader
from trading.storage.journal import MongoJournal

ANN = Caller("gateway", "ann", "session", "request-1", "203.0.113.7")
BOB = Caller("gateway", "bob", "session", "request-2", "203.0.113.8")


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as running:
        yield running


async def test_an_order_travels_the_whole_way_and_is_read_back(exchange: Exchange) -> None:
    paid = await exchange.pay("ann", "1000", "practice:ann")
    assert not paid.replayed
    assert (await exchange.pay("ann", "1000", "practice:ann")).transfer_id == paid.transfer_id
    (answer,) = await exchange.ask(exchange.request("ann", "k", **buy("100.10", client_order_id="mine")))
    order = answer.result.order
    assert (order.status, order.market, order.quote_quantity) == ("filled", "BTC-USD", "100.1")
    assert len(answer.result.fills) == 1
    assert {balance.asset for balance in answer.result.balances} == {"BTC", "USD"}
    with use_caller(ANN):
        read = await exchange.queries.GetOrder(
            trading_pb2.GetOrderRequest(order_id=order.id, at_least_batch=answer.result.batch)
        )
        by_client_id = await exchange.queries.GetOrderByClientId(
            trading_pb2.GetOrderByClientIdRequest(client_order_id="mine")
        )
        balances = await exchange.trading.GetBalances(trading_pb2.GetBalancesRequest())
    assert not read.behind
    assert read.order == by_client_id.order == order
    assert list(read.fills) == list(answer.result.fills)
    assert [(b.asset, b.available) for b in balances.balances] == [
        (b.asset, b.available) for b in answer.result.balances
    ]
    assert (balances.batch, balances.sequence) == (answer.result.batch, 3)
    with use_caller(BOB), pytest.raises(RemoteError) as refusal:
        await exchange.queries.GetOrder(trading_pb2.GetOrderRequest(order_id=order.id))
    assert refusal.value.reason == "order_not_found"


async def test_a_hundred_parallel_requests_with_one_key_are_one_order(exchange: Exchange) -> None:
    await exchange.pay("ann", "10000", "practice:ann")
    answers = await exchange.ask(*(exchange.request("ann", "k", **buy("100.10")) for _ in range(100)))
    assert len({answer.result.order.id for answer in answers}) == 1
    assert sum(not answer.result.replayed for answer in answers) == 1


async def test_commands_that_share_a_message_are_each_answered_in_their_order(exchange: Exchange) -> None:
    await exchange.pay("ann", "10000", "practice:ann")
    message, wrong, repeat, last = (
        exchange.request("ann", "k1", **buy("100.10")),
        exchange.request("ann", "k2", **buy("x")),
        exchange.request("ann", "k1", **buy("100.10")),
        exchange.request("ann", "k3", **buy("200")),
    )
    message.further.extend((wrong, repeat, last))
    first, refused, again, second = await exchange.ask(message)
    assert refused.failure.reason == "invalid_argument"
    assert again.result.replayed
    assert again.result.order.id == first.result.order.id
    assert second.result.order.id > first.result.order.id


async def test_many_answers_travel_in_few_messages(exchange: Exchange) -> None:
    await exchange.pay("ann", "10000", "practice:ann")
    message, *further = (exchange.request("ann", f"k{number}", **buy("2")) for number in range(100))
    message.further.extend(further)
    call: Any = exchange.trading.EnterOrders()
    await call.write(message)
    sizes: list[int] = []
    while sum(sizes) < 100:
        sizes.append(1 + len((await call.read()).further))
    await call.done_writing()
    assert max(sizes) == ANSWERS_PER_MESSAGE_MAX
    assert len(sizes) < 50


async def test_what_is_wrong_is_refused_in_band(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    place = trading_pb2.PlaceOrder
    good: dict[str, Any] = {"market": "BTC-USD", "side": "buy", "type": "market"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"place_order": place(**{**good, "market": "XXX-USD"}, quantity="1")}, "unknown_market"),
        ({"place_order": place(**{**good, "side": "BUY"}, quantity="1")}, "invalid_argument"),
        ({"place_order": place(**{**good, "type": "stop"}, quantity="1")}, "invalid_order"),
        ({"place_order": place(**{**good, "type": "iceberg"}, quantity="1")}, "invalid_argument"),
        ({"amend_order": trading_pb2.AmendOrder(order_id="1", quantity="1")}, "invalid_argument"),
        ({"amend_order": trading_pb2.AmendOrder(order_id="0" * 36, quantity="1")}, "order_not_open"),
        ({"amend_order": trading_pb2.AmendOrder(order_id="0" * 36, price="0")}, "invalid_argument"),
        *(
            ({"place_order": place(**good, quantity=text)}, "invalid_argument")
            for text in ("NaN", "1e400", "-0", "-1", "1\n", "\u0661", "1_000", ".5")
        ),
        ({"place_order": place(**good, quantity="1." + "1" * 18)}, "invalid_lot"),
        ({"place_order": place(**good, quantity="0.00000000")}, "invalid_order"),
        ({"place_order": place(**good, quote_quantity="100000")}, "insufficient_funds"),
        ({"place_order": place(**good, quantity="1", client_order_id="ü")}, "invalid_argument"),
        ({"cancel_order": trading_pb2.CancelOrder(order_id="1")}, "invalid_argument"),
        ({"cancel_order": trading_pb2.CancelOrder(order_id="0" * 36)}, "order_not_open"),
        ({}, "invalid_argument"),
        ({"deadline_milliseconds": 1, **buy("10")}, "deadline_exceeded"),
    ]
    requests = [exchange.request("ann", f"key-{index}", **case) for index, (case, _) in enumerate(cases)]
    answers = await exchange.ask(*requests, exchange.request("", "k", **buy("10")))
    assert [answer.failure.reason for answer in answers] == [*(reason for _, reason in cases), "not_signed_in"]
    assert exchange.shell.state.order_number == 0


async def test_a_stream_with_too_much_unanswered_hears_so_at_once(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_entry, "IN_FLIGHT_MAX", 2)
    await exchange.pay("ann", "1000", "practice:ann")
    requests = [exchange.request("ann", f"{index}", **buy("10")) for index in range(4)]
    requests[0].further.extend(requests[1:])
    answers = await exchange.ask(requests[0])
    assert [answer.failure.reason for answer in answers] == ["", "", "overloaded", "overloaded"]
    # No client has asked for too much: the public door must not say so.
    refusals = [error_of(answer.failure) for answer in answers[2:]]
    assert all(isinstance(refusal, RemoteError) and refusal.kind is ErrorKind.UNAVAILABLE for refusal in refusals)
    (later,) = await exchange.ask(exchange.request("ann", "later", **buy("10")))
    assert later.result.order.status == "filled"


async def test_an_order_that_nobody_can_be_asked_about_is_refused(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    requests = [exchange.request("ann", f"k{number}", **buy("100")) for number in range(2)]
    requests[0].principal.session_id = ""
    requests[1].principal.request_id = ""
    answers = await exchange.ask(*requests)
    assert [(answer.failure.reason, answer.failure.details["field"]) for answer in answers] == [
        ("invalid_argument", "principal")
    ] * 2


async def test_the_live_events_and_the_log_say_the_same(exchange: Exchange) -> None:
    watching: Any = exchange.trading.WatchEvents(trading_pb2.WatchEventsRequest())
    await watching.read()  # the stream is open
    await exchange.pay("ann", "10000", "practice:ann")
    await exchange.pay("bob", "10000", "practice:bob")
    low = f"{(PRICE // UNIT) - 500}"
    await exchange.ask(
        exchange.request("bob", "1", **rest("buy", "0.001", low)),
        exchange.request("ann", "2", **buy("100")),
        exchange.request("bob", "3", **rest("buy", "0.002", low)),
        exchange.request("ann", "4", **rest("sell", "0.001", str(PRICE // UNIT + 500))),
    )
    exchange.shell.tick(PRICE - 600 * UNIT)  # crosses bob's orders
    await eventually(lambda: exchange.shell.balance("bob", "BTC")[0] == 300_000)
    await exchange.ask(exchange.request("ann", "5", cancel_orders=trading_pb2.CancelOrders()))
    logged = {caller.user_id: await logged_events(exchange, caller) for caller in (ANN, BOB)}
    live: dict[str | None, list[trading_pb2.UserEvent]] = {"ann": [], "bob": []}
    while any(len(live[user]) < len(events) for user, events in logged.items()):
        for event in (await watching.read()).user_events:
            live[event.user_id].append(event)
    assert live == logged
    assert [event.order.status for event in live["bob"]] == ["", "open", "open", "filled", "filled"]
    assert [event.order.status for event in live["ann"]] == ["", "open", "filled", "open", "cancelled"]


async def test_the_log_of_an_order_that_waited_and_was_amended_says_what_was_live(exchange: Exchange) -> None:
    watching: Any = exchange.trading.WatchEvents(trading_pb2.WatchEventsRequest())
    await watching.read()  # the stream is open
    await exchange.pay("ann", "10000", "practice:ann")
    await exchange.pay("bob", "10000", "practice:bob")
    high, low = str(PRICE // UNIT + 500), str(PRICE // UNIT - 500)
    stop = trading_pb2.PlaceOrder(
        market="BTC-USD", side="buy", type="stop_limit", quantity="0.002", price=high, stop_price=high
    )
    (placed, resting) = await exchange.ask(
        exchange.request("bob", "1", place_order=stop), exchange.request("ann", "2", **rest("buy", "0.01", low))
    )
    amend = trading_pb2.AmendOrder
    for key, quantity in (("3", "0.006"), ("4", "0.004")):
        change = amend(order_id=resting.result.order.id, quantity=quantity, price=f"{low}.5" if key == "4" else "")
        await exchange.ask(exchange.request("ann", key, amend_order=change))
    await exchange.ask(
        exchange.request("bob", "5", amend_order=amend(order_id=placed.result.order.id, quantity="0.001"))
    )
    exchange.shell.tick(PRICE + 510 * UNIT)  # reaches the stop price; the house asks more than the limit
    await eventually(lambda: exchange.shell.state.orders[placed.result.order.id].status.value == "open")
    exchange.shell.tick(PRICE + 400 * UNIT)  # and now less
    await eventually(lambda: placed.result.order.id not in exchange.shell.state.orders)
    await exchange.ask(exchange.request("ann", "6", cancel_orders=trading_pb2.CancelOrders()))
    logged = {caller.user_id: await logged_events(exchange, caller) for caller in (ANN, BOB)}
    live: dict[str | None, list[trading_pb2.UserEvent]] = {"ann": [], "bob": []}
    while any(len(live[user]) < len(events) for user, events in logged.items()):
        for event in (await watching.read()).user_events:
            live[event.user_id].append(event)
    assert live == logged
    told = {
        user: [(event.order.status, event.order.quantity, event.order.price) for event in events[1:]]
        for user, events in live.items()
    }
    assert told["ann"] == [
        ("open", "0.01", low), ("open", "0.006", low), ("open", "0.004", f"{low}.5"),
        ("cancelled", "0.004", f"{low}.5"),
    ]  # fmt: skip
    assert told["bob"] == [
        ("new", "0.002", high), ("new", "0.001", high), ("open", "0.001", high), ("filled", "0.001", high),
    ]  # fmt: skip
    assert {event.order.stop_price for event in live["bob"][1:]} == {high}


async def test_others_hear_that_an_order_was_amended_and_triggered(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    stop = str(PRICE // UNIT + 500)
    order = trading_pb2.PlaceOrder(market="BTC-USD", side="buy", type="stop", quantity="0.002", stop_price=stop)
    (placed,) = await exchange.ask(exchange.request("ann", "1", place_order=order))
    order_id = placed.result.order.id
    change = trading_pb2.AmendOrder(order_id=order_id, quantity="0.001")
    await exchange.ask(exchange.request("ann", "2", amend_order=change))
    exchange.shell.tick(PRICE + 500 * UNIT)
    await eventually(lambda: not exchange.shell.state.orders)
    head = exchange.shell.state.batch_number
    request = trading_pb2.ReadJournalRequest(after_batch=placed.result.batch - 1, limit=20, wait_milliseconds=1_000)
    batches: list[Any] = []
    while not batches or batches[-1].number < head:
        request.after_batch = batches[-1].number if batches else placed.result.batch - 1
        batches += (await exchange.journal.ReadJournal(request)).batches
    events = [event for batch in batches for event in batch.events]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["order_placed", "order_amended", "order_triggered", "traded", "order_closed"]
    assert (events[0].order_placed.stop_price, events[1].order_amended.quantity) == (stop, "0.001")
    assert events[2].order_triggered.reference_price == stop
    assert {events[1].order_amended.user_id, events[2].order_triggered.user_id} == {"ann"}


async def test_the_journal_is_read_in_whole_batches_with_closed_orders(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    (answer,) = await exchange.ask(exchange.request("ann", "k", **buy("100.10")))
    after = 0
    found: list[Any] = []
    while after < answer.result.batch:
        request = trading_pb2.ReadJournalRequest(after_batch=after, limit=2, wait_milliseconds=500)
        reply = await exchange.journal.ReadJournal(request)
        assert [batch.number for batch in reply.batches] == list(range(after + 1, after + 1 + len(reply.batches)))
        found += reply.batches
        after = found[-1].number
    events = [event for batch in found for event in batch.events if not event.HasField("operator_acted")]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["transferred", "order_placed", "traded", "order_closed"]
    # Who asked is told of what was asked for; what follows from it was asked by nobody.
    request_id = f"request-{exchange.correlation}"
    assert events[1].actor == events_pb2.Actor(user_id="ann", credential_id="s", request_id=request_id)
    assert [event.HasField("actor") for event in events] == [True, True, False, False]
    (trade,) = [event.traded for batch in found for event in batch.events if event.HasField("traded")]
    assert (trade.market, trade.tape_sequence, trade.taker_side) == ("BTC-USD", 1, "buy")
    assert Decimal(trade.price) * Decimal(trade.quantity) == Decimal(trade.notional) > 0
    closed = found[-1].events[-1].order_closed
    assert (closed.status, closed.order_id) == ("filled", answer.result.order.id)
    assert closed.fees == answer.result.order.fees[0].amount
    request = trading_pb2.ReadJournalRequest(after_batch=after, wait_milliseconds=30)
    assert not (await exchange.journal.ReadJournal(request)).batches


async def test_closed_orders_are_told_alike_from_memory_and_from_rows(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    for index in range(3):
        (answer,) = await exchange.ask(exchange.request("ann", f"{index}", **buy("100")))
    assert await exchange.projector.reached(answer.result.batch, 5.0)
    from_memory = await exchange.journal.ReadJournal(trading_pb2.ReadJournalRequest(limit=50))
    assert len(exchange.projector.fold.recently_closed) == 3
    exchange.projector.fold.recently_closed.clear()
    monkeypatch.setattr(journal_reader, "ORDERS_PER_READ", 2)
    from_rows = await exchange.journal.ReadJournal(trading_pb2.ReadJournalRequest(limit=50))
    assert from_rows == from_memory
    assert sum(event.HasField("order_closed") for batch in from_rows.batches for event in batch.events) == 3


async def test_memory_keeps_only_the_newest_closed_orders(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "RECENTLY_CLOSED_MAX", 2)
    await exchange.pay("ann", "1000", "practice:ann")
    answers = [(await exchange.ask(exchange.request("ann", f"{index}", **buy("100"))))[0] for index in range(3)]
    assert await exchange.projector.reached(answers[-1].result.batch, 5.0)
    assert list(exchange.projector.fold.recently_closed) == [answer.result.order.id for answer in answers[1:]]


async def test_orders_and_fills_come_in_pages_newest_first(exchange: Exchange) -> None:
    await exchange.pay("ann", "10000", "practice:ann")
    answers = await exchange.ask(*(exchange.request("ann", f"{index}", **buy("100")) for index in range(5)))
    newest_first = [answer.result.order.id for answer in reversed(answers)]
    batch = answers[-1].result.batch
    with use_caller(ANN):
        orders, fills, cursor, fill_cursor = [], [], "", ""
        for _ in range(3):
            page = await exchange.queries.ListOrders(
                trading_pb2.ListOrdersRequest(limit=2, cursor=cursor, at_least_batch=batch)
            )
            fill_page = await exchange.queries.ListFills(
                trading_pb2.ListFillsRequest(limit=2, cursor=fill_cursor, market="BTC-USD")
            )
            orders += [order.id for order in page.orders]
            fills += [fill.order_id for fill in fill_page.fills]
            cursor, fill_cursor = page.next_cursor, fill_page.next_cursor
        assert (cursor, fill_cursor) == ("", "")
        none = await exchange.queries.ListOrders(trading_pb2.ListOrdersRequest(status="open"))
        assert not none.orders
        with pytest.raises(RemoteError):
            await exchange.queries.ListOrders(trading_pb2.ListOrdersRequest(cursor="%"))
    assert orders == fills == newest_first


async def test_pages_lose_and_repeat_nothing_among_orders_of_one_moment(exchange: Exchange) -> None:
    await exchange.pay("ann", "10000", "practice:ann")
    requests = [exchange.request("ann", f"{index}", **rest("buy", "0.001", "59000")) for index in range(7)]
    requests[0].further.extend(requests[1:])
    answers = await exchange.ask(requests[0])
    moments = {answer.result.order.created_at.ToMilliseconds() for answer in answers}
    assert len(moments) == 1  # they shared a message, and so a batch
    newest_first = [answer.result.order.id for answer in reversed(answers)]
    assert await exchange.projector.stored(answers[-1].result.batch, 10)
    for limit in (1, 2, 3):
        found, cursor = [], ""
        with use_caller(ANN):
            while not found or cursor:
                page = await exchange.queries.ListOrders(
                    trading_pb2.ListOrdersRequest(limit=limit, cursor=cursor, at_least_batch=answers[-1].result.batch)
                )
                found += [order.id for order in page.orders]
                cursor = page.next_cursor
        assert found == newest_first


async def test_another_persons_order_and_its_fills_are_not_there(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    (answer,) = await exchange.ask(exchange.request("ann", "k", **buy("100", client_order_id="mine")))
    order_id, batch = answer.result.order.id, answer.result.batch
    assert await exchange.projector.stored(batch, 10)
    with use_caller(replace(ANN, user_id="bob")):
        for lookup in (
            exchange.queries.GetOrder(trading_pb2.GetOrderRequest(order_id=order_id, at_least_batch=batch)),
            exchange.queries.GetOrderByClientId(trading_pb2.GetOrderByClientIdRequest(client_order_id="mine")),
        ):
            with pytest.raises(RemoteError) as refusal:
                await lookup
            assert refusal.value.reason == "order_not_found"
        assert not (await exchange.queries.ListOrders(trading_pb2.ListOrdersRequest())).orders
        for fills in (trading_pb2.ListFillsRequest(order_id=order_id), trading_pb2.ListFillsRequest()):
            assert not (await exchange.queries.ListFills(fills)).fills


async def test_a_read_that_asks_for_more_than_there_is_says_it_is_behind(exchange: Exchange) -> None:
    with use_caller(ANN):
        reply = await exchange.queries.ListOrders(trading_pb2.ListOrdersRequest(at_least_batch=10**6), timeout=0.4)
    assert reply.behind


async def test_the_book_shows_the_house_around_the_newest_tick(exchange: Exchange) -> None:
    book = await exchange.trading.GetBook(trading_pb2.GetBookRequest(market="BTC-USD", depth=3))
    assert book.bids[0].price == "59970"
    assert book.asks[0].price == "60030"
    markets = await exchange.trading.ListMarkets(trading_pb2.ListMarketsRequest())
    assert len(markets.markets) == 20
    with pytest.raises(RemoteError):
        await exchange.trading.GetBook(trading_pb2.GetBookRequest(market="NO-USD"))


async def test_a_watcher_that_does_not_keep_up_is_closed(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading.api.watch.BUFFERED_BATCHES_MAX", 0)
    watching: Any = exchange.trading.WatchEvents(trading_pb2.WatchEventsRequest())
    await watching.read()
    await exchange.pay("ann", "1000", "practice:ann")
    with pytest.raises(RemoteError) as refusal:
        await watching.read()
    assert refusal.value.reason == "watcher_too_slow"
