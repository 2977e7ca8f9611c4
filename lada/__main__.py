"""``python -m lada``: the `lada` command."""

from lada.cli import main

if __name__ == "__main__":
    main()
