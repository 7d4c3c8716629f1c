from chassis.service import run

from auth.bootstrap import compose
from auth.settings import AuthSettings

if __name__ == "__main__":
    run(AuthSettings, compose)
