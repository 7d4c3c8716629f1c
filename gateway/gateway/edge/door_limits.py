"""How large and how slow a request may be."""

BODY_BYTES_MAX = 64 * 1024  # the largest request there is, an order, has 500 bytes
BODY_SECONDS_MAX = 15.0  # 500 bytes over the worst mobile network take 5
HEAD_BYTES_MAX = 32 * 1024  # cookies and a token have 2 kB
HEADERS_MAX = 100  # a browser behind three proxies sends 40; each costs forty times its bytes, where it has few
HEAD_SECONDS_MAX = 10.0
REST_SECONDS_MAX = 5.0  # for the rest of a body that was refused: a client that still writes cannot read the reply
KEEP_ALIVE_SECONDS = 65  # longer than the 60 s of the usual proxies, which else reuse a connection we just closed
UNREAD_SECONDS_MAX = 30.0  # without a byte of a reply being taken: a tunnel has ended by then, or the person has gone
UNREAD_BYTES_MAX = 64 * 1024  # of a reply, beyond which its reader is waited for: where writing begins to wait
PIPELINED_MAX = 32  # behind a request that is being answered; browsers send none, and each costs twenty times its bytes
