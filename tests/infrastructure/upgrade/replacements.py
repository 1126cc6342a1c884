"""What an update must never replace: what would be lost with it, and what outside this stack is known by its name."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Properties = Mapping[str, Any]


def _of(*names: str) -> Callable[[Properties], object]:
    return lambda properties: {name: properties.get(name) for name in names}


def _keys(properties: Properties) -> object:
    """Return the keys of a table and of its indexes, with their types; an index more is no replacement."""
    types = {one["AttributeName"]: one["AttributeType"] for one in properties["AttributeDefinitions"]}
    schemas = {"": properties["KeySchema"]}
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        schemas |= {index["IndexName"]: index["KeySchema"] for index in properties.get(kind, [])}
    return {
        name: [(key["AttributeName"], key["KeyType"], types[key["AttributeName"]]) for key in schema]
        for name, schema in schemas.items()
    }


# Each type that holds something, with what replaces it when it changes ("Update requires: Replacement" in the
# CloudFormation reference), and what makes it worth as little as a new one: a secret is generated anew if the way in
# which it is generated changes.
STATEFUL: Final[Mapping[str, tuple[Callable[[Properties], object], ...]]] = {
    "AWS::DynamoDB::Table": (_of("TableName", "ImportSourceSpecification"), _keys),
    "AWS::SecretsManager::Secret": (_of("Name", "GenerateSecretString", "SecretString"),),
    "AWS::SNS::Topic": (_of("TopicName", "FifoTopic"),),
    "AWS::SQS::Queue": (_of("QueueName", "FifoQueue"),),
    "AWS::StepFunctions::StateMachine": (_of("StateMachineName", "StateMachineType"),),
    "AWS::ApiGateway::RestApi": (),
    "AWS::ApiGateway::Stage": (_of("RestApiId", "StageName"),),
}


def replacements(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the logical ids of what an update from one template to another would replace or remove."""
    for name, resource in old["Resources"].items():
        if resource["Type"] not in STATEFUL:
            continue
        successor = new["Resources"].get(name)
        if (
            successor is None
            or successor["Type"] != resource["Type"]
            or any(
                _lost(part(resource["Properties"]), part(successor["Properties"]))
                for part in STATEFUL[resource["Type"]]
            )
        ):
            yield name


def _lost(old: object, new: object) -> bool:
    """Tell whether something that was there is not there any more, or otherwise."""
    if isinstance(old, dict) and isinstance(new, dict):
        return any(name not in new or new[name] != value for name, value in old.items())
    return old != new
