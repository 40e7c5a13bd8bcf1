"""The table: its client, its calls, the guard under each call, and the unit of work. Nothing above knows DynamoDB."""
