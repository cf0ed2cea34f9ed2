"""The engine: makes the records true on the host. It must not know any face."""
