"""`python -m lmbook.cli`, the same as `lmbook`."""

from lmbook.cli import main

if __name__ == "__main__":
    main(prog_name="lmbook")
