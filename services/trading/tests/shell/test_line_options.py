from pathlib import Path

import pytest
from chassis.testing.certificates import Authority
from trading.storage.line_options import LineOptions

SET = "replicaSet=rs0"


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://127.0.0.1:20017/?directConnection=true&serverMonitoringMode=poll&retryWrites=false",
        f"mongodb://one:27017,two:27018/?{SET}&authSource=admin&w=majority&readPreference=secondary&compressors=zlib",
        "mongodb://router/?maxPoolSize=10",
        f"mongodb://user:pass@one/?{SET}&authMechanism=SCRAM-SHA-256",
        f"mongodb://user:pass@one/?{SET}&authMechanism=DEFAULT",
        f"mongodb://one/?{SET}&ssl=true",
    ],
)
def test_the_line_does_what_most_urls_ask_for(url: str) -> None:
    assert LineOptions.read(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "mongodb+srv://cluster.example.com/",
        "mongodb://one,two/",
        "mongodb://%2Ftmp%2Fmongodb.sock/",
        f"mongodb://user:pass@one/?{SET}&authMechanism=SCRAM-SHA-1",
        f"mongodb://user@one/?{SET}&authMechanism=MONGODB-X509&tls=true",
        f"mongodb://one/?{SET}&tls=true&tlsAllowInvalidHostnames=true",
        f"mongodb://one/?{SET}&tls=true&tlsInsecure=true",
        "mongodb://one/?loadBalanced=true",
        f"mongodb://one/?{SET}&timeoutMS=5000",
    ],
)
def test_whatever_else_a_url_asks_for_is_left_to_the_driver(url: str) -> None:
    assert LineOptions.read(url) is None


def test_an_option_that_nobody_knows_stops_no_start() -> None:
    with pytest.warns(UserWarning, match="unheardof"):
        assert LineOptions.read("mongodb://one/?unheardof=1") is not None


def test_a_file_of_tls_without_tls_is_left_to_the_driver(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(Authority().certificates("mongo").authority)
    assert LineOptions.read(f"mongodb://one/?tlsCAFile={authority}") is None
    assert LineOptions.read(f"mongodb://one/?tls=true&tlsCAFile={authority}") is not None


@pytest.mark.parametrize(
    ("rest", "database"), [("", "admin"), ("trading", "trading"), ("trading?authSource=people", "people")]
)
def test_a_user_is_looked_for_where_the_url_says(rest: str, database: str) -> None:
    options = LineOptions.read(f"mongodb://ann%40a:p%2Fss@one/{rest}")
    assert options is not None
    assert (options.username, options.password) == ("ann@a", "p/ss")
    assert options.authentication_database == database
    assert "p/ss" not in repr(options)
