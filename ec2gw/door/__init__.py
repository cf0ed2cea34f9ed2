"""What the faces share at their doors: bytes within limits, who signed them, requests that come twice. It knows no face."""
