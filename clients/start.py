"""The console script `teamroom`. The gate starts without the shell, because harnesses wait for it before each tool."""

import sys

GATE = "gate"


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:2] == [GATE] and not {"-h", "--help"} & set(sys.argv[2:]):
        from teamroom.clients.gate.gate import main as run_gate

        sys.exit(run_gate(sys.argv[2:]))
    from teamroom.clients.shell.main import main as run_shell

    run_shell()


if __name__ == "__main__":
    main()
