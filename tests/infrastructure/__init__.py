"""The template that the stack becomes, and what can be said of it without an AWS account."""
