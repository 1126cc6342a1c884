"""`make accept`: everything once on a real AWS account, and then nothing of it is left."""
