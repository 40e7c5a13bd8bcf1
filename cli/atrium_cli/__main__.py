"""The program `atrium`."""

from atrium_cli.app import app


def main() -> None:
    app(prog_name="atrium")


if __name__ == "__main__":
    main()
