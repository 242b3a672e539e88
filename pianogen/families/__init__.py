"""The model families, one file each, all behind the contract of `pianogen.continuation`."""
