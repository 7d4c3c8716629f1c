"""How many files this process may have open: each connection is one of them."""

import resource

from chassis.logs import get_logger

OWN_FILES_MAX = 256  # listening, Redis, the services behind, and those that are being opened anew

log = get_logger(__name__)


def connections_that_fit(wanted: int) -> int:
    """So many of `wanted` connections as the system lets this process have; its own limit is raised for them.

    Usual is 1,024, of which four addresses could take all: then nobody else comes in, and the way to Redis and the
    services cannot be opened again where it broke.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    needed = wanted + OWN_FILES_MAX
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    fit = max(1, min(wanted, allowed - OWN_FILES_MAX))
    if fit < wanted:
        log.warning(
            "Fewer connections than set: the system allows no more open files", event="connections_limited",
            wanted=wanted, connections=fit, open_files=hard,
        )  # fmt: skip
    return fit
