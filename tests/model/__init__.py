"""The log protocol as small explicit-state models: docs/model.md says what each covers and how large it is."""
