"""The stack in an AWS emulator on this machine; no AWS account is touched."""

from emulator.deployment import Deployment, deploy_and_leave, deployed
from emulator.process import Emulator, EmulatorError

__all__ = ["Deployment", "Emulator", "EmulatorError", "deploy_and_leave", "deployed"]
