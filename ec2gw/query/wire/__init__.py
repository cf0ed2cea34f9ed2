"""Between the wire and the dicts of a boto3 caller: `reading` what is asked, `writing` what is answered."""

from __future__ import annotations

from ec2gw.query.wire.reading import DEEPEST_NAME as DEEPEST_NAME
from ec2gw.query.wire.reading import HIGHEST_INDEX as HIGHEST_INDEX
from ec2gw.query.wire.reading import LONGEST_NAME as LONGEST_NAME
from ec2gw.query.wire.reading import MOST_PARAMETERS as MOST_PARAMETERS
from ec2gw.query.wire.reading import Parameters as Parameters
from ec2gw.query.wire.reading import heading as heading
from ec2gw.query.wire.reading import read as read
from ec2gw.query.wire.writing import Part as Part
from ec2gw.query.wire.writing import sayable as sayable
from ec2gw.query.wire.writing import write as write
from ec2gw.query.wire.writing import write_error as write_error
