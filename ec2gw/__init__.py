"""ec2gw: an EC2 endpoint whose instances are real virtual machines that boot from real volumes."""

__version__ = "0.1.0"
