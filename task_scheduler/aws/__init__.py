"""The AWS engine: DynamoDB keeps, Step Functions waits, SNS delivers."""
