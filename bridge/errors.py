"""What can go wrong that a user can mend; every message says what, where and what to do.

BridgeError
  PresetError    a preset that cannot be used (every fault at once, with file and line)
  ControlsError  a map of controls that cannot be used (every fault at once, with file and line)
  PortError      a MIDI port that is missing or cannot be opened
  ModelError     the model process does not start
  LogError       a session log that cannot be read
"""


class BridgeError(Exception):
    """Base of every error this package raises on purpose."""


class PresetError(BridgeError):
    """A preset file cannot be used."""


class ControlsError(BridgeError):
    """A map of controls cannot be used."""


class PortError(BridgeError):
    """A MIDI port is missing or cannot be opened."""


class ModelError(BridgeError):
    """The model process cannot be started."""


class LogError(BridgeError):
    """A session log cannot be read."""
