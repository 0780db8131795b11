"""The version, in one place: the API's documentation, the metrics and the package take it from here."""

VERSION = "0.2.0"
