import pytest
from trading.storage.scram import ScramClient, ScramRefused

# The example of RFC 7677, section 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def client(username: str = "user") -> ScramClient:
    return ScramClient(username, "pencil", NONCE)


def test_the_conversation_is_that_of_the_rfc() -> None:
    scram = client()
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert scram.proof(SERVER_FIRST) == PROOF
    scram.check(SERVER_FINAL)


def test_a_name_with_the_marks_of_the_protocol_is_escaped() -> None:
    assert client("a=b,c").first() == b"n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO"


@pytest.mark.parametrize("last", [b"", b"e=other-error", SERVER_FINAL.replace(b"v=6", b"v=7"), b"\xff"])
def test_a_server_that_does_not_know_the_password_is_refused(last: bytes) -> None:
    scram = client()
    scram.proof(SERVER_FIRST)
    with pytest.raises(ScramRefused):
        scram.check(last)


def test_a_server_that_skips_the_proof_is_refused() -> None:
    with pytest.raises(ScramRefused):
        client().check(b"v=")


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b"rOprNGfwEbeRWgbNEkqO%", b"somebodyElsesNonce%"),
        (b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", b""),
        (b"i=4096", b"i=1"),
        (b"i=4096", b"i=1000001"),
        (b"i=4096", b"i=-5000"),
        (b"W22Z", b"(no)"),
        (SERVER_FIRST, b""),
        (SERVER_FIRST, b"\xff\xfe"),
    ],
)
def test_an_answer_that_no_honest_server_gives_is_refused(said: bytes, instead: bytes) -> None:
    with pytest.raises(ScramRefused):
        client().proof(SERVER_FIRST.replace(said, instead))
