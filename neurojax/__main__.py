"""`python -m neurojax VERB` is the console command `neurojax VERB`."""

import sys

from neurojax.main import main

if __name__ == "__main__":
    sys.exit(main())
