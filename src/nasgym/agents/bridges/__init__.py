"""Agents of any origin behind one protocol: this package's own, those of other libraries, plug-ins."""
