"""`python -m ergosum`."""

import sys

from ergosum.cli import main

sys.exit(main())
