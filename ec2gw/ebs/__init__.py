"""The EBS direct APIs: a face of its own beside EC2's. It reads and writes the blocks of snapshots."""
