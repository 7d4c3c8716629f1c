"""`python -m gateway`: the public door, until SIGTERM or SIGINT."""

from chassis.service import run

from gateway.bootstrap import compose
from gateway.settings import GatewaySettings

if __name__ == "__main__":
    run(GatewaySettings, compose)
