"""`python -m neurojax VERB` is the console command `neurojax VERB`."""

import sys

from neurojax.start import start

if __name__ == "__main__":
    sys.exit(start())
