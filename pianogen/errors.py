"""What can go wrong that a user can mend; every message says what, where and what to do.

PianogenError
  MidiFileError     a MIDI file that cannot be read or written
  DataError         a corpus or a prepared folder that cannot be used
  CheckpointError   weights that cannot be loaded
  ConfigError       a setting out of range
"""


class PianogenError(Exception):
    """Base of every error this package raises on purpose."""


class MidiFileError(PianogenError):
    """A MIDI file cannot be read or written."""


class DataError(PianogenError):
    """A corpus or a prepared data folder is missing, empty or of another version."""


class CheckpointError(PianogenError):
    """A checkpoint is missing, damaged or made for another grid."""


class ConfigError(PianogenError):
    """A setting is out of its range."""
