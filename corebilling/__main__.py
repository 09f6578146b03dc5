"""`python -m corebilling` is the `corebilling` command."""

from corebilling.cli import main

main()
