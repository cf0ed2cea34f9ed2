"""What touches the host: hypervisors and volume stores behind two small ports."""
