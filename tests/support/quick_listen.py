"""`teamroom listen` that is quick to give up and to try again: `python -m tests.support.quick_listen WORD…`."""

import sys

from teamroom.clients.listener import listen, supervised, webhook
from teamroom.clients.shell.main import main as run_shell

START_SECONDS = 5.0
FAILED_SECONDS = (0.3, 0.3)
CALL_SECONDS = 3.0


def main() -> None:
    """Listen until a signal ends it."""
    supervised.START_SECONDS, listen.FAILED_SECONDS = START_SECONDS, FAILED_SECONDS
    webhook.CALL_SECONDS, webhook.AGAIN_SECONDS = CALL_SECONDS, FAILED_SECONDS[0]
    sys.argv = ["teamroom", "listen", *sys.argv[1:]]
    run_shell()


if __name__ == "__main__":
    main()
