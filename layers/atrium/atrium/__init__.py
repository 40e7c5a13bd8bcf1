"""Atrium: a projects API for teams. The only code that functions/ share.

Imports run one way: functions -> api -> store, credentials -> keys, ids, roles, models, documents, errors, settings.
Nothing below `api` knows HTTP; nothing above `store` knows DynamoDB.
"""

import gc
import os

# Until atrium.cold_start turns it on again.
if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    gc.disable()
