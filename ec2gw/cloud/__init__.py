"""Every verb that may change a record, one transaction each: the only writer of records. It must not know a face or a host."""
