"""Atrium: a projects API for teams. The only code that functions/ share.

Imports run one way: functions -> api -> store, credentials -> keys, ids, roles, models, documents, errors, settings.
Nothing below `api` knows HTTP; nothing above `store` knows DynamoDB.
"""

from atrium import cold_start

cold_start.begin()
