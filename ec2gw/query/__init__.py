"""The EC2 Query face: hears a signed request, shows the record in AWS's XML."""
