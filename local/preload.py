"""What the functions' processes have in common, imported once before they are forked: modules only, no client, no
thread.
"""

import atrium.api.automation
import atrium.api.flat
import atrium.api.v1  # noqa: F401
