"""``python -m gahb``: the command line without an installed script."""

from gahb.cli import main

if __name__ == "__main__":
    main()
