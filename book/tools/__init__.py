"""The tools that build and check the book; run one with `python -m book.tools.NAME`."""
