"""The console script `teamroom`, and what harnesses need of it as a hook.

The gate starts without the shell, because harnesses wait for it before each tool. A listener in a hook ends with 2 to
wake its harness, and with nothing else: the shell's own 2, for a wrong command line, would wake it again and again.
"""

import gc
import sys

GATE, LISTENER, ONCE = "gate", "listen", "--once"

HARNESS_WAKES = 2
"""The exit code of a hook that wakes its harness."""


def main() -> None:
    """Run the command line of this process."""
    words = sys.argv[1:]
    if words[:1] == [GATE] and not {"-h", "--help"} & set(words):
        from teamroom.clients.gate.gate import main as run_gate

        sys.exit(run_gate(words[1:]))
    gc.disable()  # loading only adds objects; long-running programs turn it on again
    from teamroom.clients.session.failure import FAILED, USAGE, WAKES
    from teamroom.clients.shell.main import main as run_shell

    try:
        run_shell()
    except SystemExit as ending:
        if words[:1] != [LISTENER] or ONCE not in words or not isinstance(ending.code, int):
            raise
        sys.exit({WAKES: HARNESS_WAKES, USAGE: FAILED}.get(ending.code, ending.code))


if __name__ == "__main__":
    main()
