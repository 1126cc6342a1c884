"""The AWS side of Task Scheduler as CDK code: settings in, one CloudFormation template out."""
