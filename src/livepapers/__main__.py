"""`python -m livepapers` is `livepapers`."""

from livepapers.cli.main import main

if __name__ == "__main__":
    main()
