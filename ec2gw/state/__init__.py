"""What is written down: records, sessions, migrations. The only floor that knows SQL."""

from ec2gw.state import journal as journal
from ec2gw.state import networks as networks
