"""Atrium: a projects API for teams. The only code that functions/ share.

Imports run one way: functions -> api | automation -> store -> the modules beside it. Neither `store` nor a module
beside it knows how requests arrive and are answered; nothing outside of `store` knows DynamoDB.
"""

from atrium import cold_start

cold_start.begin()
