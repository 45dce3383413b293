"""``python -m capf_lab`` is the command ``capf-lab``."""

import sys

from capf_lab.command_line import main

sys.exit(main())
