"""What does `python -m cronlite` do? What the command cronlite does."""

from cronlite.cli import main

if __name__ == "__main__":
    main()
