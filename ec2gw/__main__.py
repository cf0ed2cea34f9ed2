"""`python -m ec2gw`."""

from ec2gw.cli import main

main()
