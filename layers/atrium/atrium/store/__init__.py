"""The table, and what is kept in it. Nothing above this package knows DynamoDB."""
