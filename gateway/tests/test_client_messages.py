"""What a client says over the WebSocket, read strictly."""

import pytest
from gateway.errors import PublicError
from gateway.websocket.messages import read_message


@pytest.mark.parametrize(
    ("text", "field", "rule"),
    [
        ("[]", "body", "object"),
        ("{}", "op", "required"),
        ('{"op":"dance"}', "op", "one_of"),
        ('{"op":5}', "op", "one_of"),
        ('{"op":"subscribe"}', "channel", "required"),
        ('{"op":"subscribe","channel":"nothing"}', "channel", "one_of"),
        ('{"op":"auth","token":5}', "token", "string"),
        ('{"op":"ping","extra":1}', "extra", "unknown_field"),
    ],
)
def test_an_error_names_the_field_as_the_client_wrote_it(text: str, field: str, rule: str) -> None:
    with pytest.raises(PublicError) as refused:
        read_message(text)
    details = refused.value.body(request_id="x")["details"]
    assert (details["field"], details["rule"]) == (field, rule)
