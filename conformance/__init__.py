"""What can an EC2 endpoint do? Recorded and live clients tell it stories and judge the answers. It knows only the wire.

Nothing here may import the gateway: the suite aims at any endpoint, and whatever it knew of one would blind it.
"""
