"""`python -m ergosum`."""

import sys

from ergosum.cli import main

if __name__ == "__main__":
    sys.exit(main())
