"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ec2gw.state.records

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "address",
        sa.Column("public_ip", sa.String(), nullable=False),
        sa.Column("association_id", sa.String(), nullable=True),
        sa.Column("interface_id", sa.String(), nullable=True),
        sa.Column("private_address", sa.String(), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("association_id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("interface_id", "private_address"),
        sa.UniqueConstraint("public_ip"),
    )
    with op.batch_alter_table("address", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_address_account_id"), ["account_id"], unique=False)

    op.create_table(
        "attachment",
        sa.Column("volume_id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("delete_on_termination", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attach_time", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.Column("wished_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("volume_id"),
        sa.UniqueConstraint("instance_id", "slot"),
    )
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attachment_instance_id"), ["instance_id"], unique=False)

    op.create_table(
        "change",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("ids", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "client_token",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("response", sa.JSON(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "action", "token"),
    )
    with op.batch_alter_table("client_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_client_token_created_at"), ["created_at"], unique=False)

    op.create_table(
        "console",
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_table(
        "dhcp_options",
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("dhcp_options", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dhcp_options_account_id"), ["account_id"], unique=False)

    op.create_table(
        "fast_restore",
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("enabled_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "zone", "account_id"),
    )
    with op.batch_alter_table("fast_restore", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fast_restore_account_id"), ["account_id"], unique=False)

    op.create_table(
        "image",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("architecture", sa.String(), nullable=False),
        sa.Column("virtualization_type", sa.String(), nullable=False),
        sa.Column("root_device_name", sa.String(), nullable=True),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("source_instance_id", sa.String(), nullable=True),
        sa.Column("source_image_id", sa.String(), nullable=True),
        sa.Column("deprecated_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("protection", sa.String(), nullable=False),
        sa.Column("protected_until", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("launched_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_image_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_image_state"), ["state"], unique=False)

    op.create_table(
        "image_snapshot",
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "snapshot_id"),
    )
    with op.batch_alter_table("image_snapshot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_image_snapshot_snapshot_id"), ["snapshot_id"], unique=False)

    op.create_table(
        "import_task",
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("theirs", sa.Boolean(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=True),
        sa.Column("ended_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("import_task", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_import_task_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_import_task_state"), ["state"], unique=False)

    op.create_table(
        "instance",
        sa.Column("reservation_id", sa.String(), nullable=False),
        sa.Column("launch_index", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("key_name", sa.String(), nullable=True),
        sa.Column("root_device_name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_reason_code", sa.String(), nullable=True),
        sa.Column("state_reason", sa.String(), nullable=True),
        sa.Column("transition_reason", sa.String(), nullable=False),
        sa.Column("launched_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.Column("wished_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("impaired_since", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("boots", sa.Integer(), nullable=False),
        sa.Column("ran", sa.Boolean(), nullable=False),
        sa.Column("grace", sa.Integer(), nullable=False),
        sa.Column("user_data", sa.String(), nullable=True),
        sa.Column("client_token", sa.String(), nullable=False),
        sa.Column("disable_api_termination", sa.Boolean(), nullable=False),
        sa.Column("disable_api_stop", sa.Boolean(), nullable=False),
        sa.Column("shutdown_behavior", sa.String(), nullable=False),
        sa.Column("monitoring", sa.Boolean(), nullable=False),
        sa.Column("ebs_optimized", sa.Boolean(), nullable=False),
        sa.Column("architecture", sa.String(), nullable=False),
        sa.Column("virtualization_type", sa.String(), nullable=False),
        sa.Column("scratch", sa.JSON(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=True),
        sa.Column("threads", sa.Integer(), nullable=True),
        sa.Column("placement_group", sa.String(), nullable=True),
        sa.Column("partition", sa.Integer(), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("instance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instance_account_id"), ["account_id"], unique=False)
        batch_op.create_index("ix_instance_account_state", ["account_id", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_instance_placement_group"), ["placement_group"], unique=False)
        batch_op.create_index(batch_op.f("ix_instance_reservation_id"), ["reservation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_instance_state"), ["state"], unique=False)

    op.create_table(
        "internet_gateway",
        sa.Column("vpc_id", sa.String(), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("vpc_id"),
    )
    with op.batch_alter_table("internet_gateway", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_internet_gateway_account_id"), ["account_id"], unique=False)

    op.create_table(
        "key_pair",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("account_id", "name"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("key_pair", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_key_pair_account_id"), ["account_id"], unique=False)

    op.create_table(
        "launch_template",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("default", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("account_id", "name"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("launch_template", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_launch_template_account_id"), ["account_id"], unique=False)

    op.create_table(
        "launch_template_version",
        sa.Column("template_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("template_id", "version"),
    )
    with op.batch_alter_table("launch_template_version", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_launch_template_version_account_id"), ["account_id"], unique=False)

    op.create_table(
        "network_acl",
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("network_acl", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_network_acl_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_network_acl_vpc_id"), ["vpc_id"], unique=False)

    op.create_table(
        "permission",
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("grantee", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "grantee"),
    )
    with op.batch_alter_table("permission", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_permission_grantee"), ["grantee"], unique=False)

    op.create_table(
        "placement_group",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("partitions", sa.Integer(), nullable=True),
        sa.Column("spread_level", sa.String(), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("account_id", "name"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("placement_group", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_placement_group_account_id"), ["account_id"], unique=False)

    op.create_table(
        "root_replacement",
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("old_volume_id", sa.String(), nullable=False),
        sa.Column("new_volume_id", sa.String(), nullable=False),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=True),
        sa.Column("snapshot_id", sa.String(), nullable=True),
        sa.Column("pristine_id", sa.String(), nullable=True),
        sa.Column("delete_old", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("ended_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("root_replacement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_root_replacement_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_root_replacement_instance_id"), ["instance_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_root_replacement_new_volume_id"), ["new_volume_id"], unique=False)

    op.create_table(
        "route_table",
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("route_table", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_route_table_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_route_table_vpc_id"), ["vpc_id"], unique=False)

    op.create_table(
        "screen",
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_table(
        "security_group",
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("vpc_id", "name"),
    )
    with op.batch_alter_table("security_group", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_security_group_account_id"), ["account_id"], unique=False)

    op.create_table(
        "security_group_rule",
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("egress", sa.Boolean(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("from_port", sa.Integer(), nullable=True),
        sa.Column("to_port", sa.Integer(), nullable=True),
        sa.Column("cidr", sa.String(), nullable=True),
        sa.Column("cidr6", sa.String(), nullable=True),
        sa.Column("peer_id", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("security_group_rule", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_security_group_rule_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_security_group_rule_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_security_group_rule_peer_id"), ["peer_id"], unique=False)

    op.create_table(
        "setting",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name"),
    )
    op.create_table(
        "snapshot",
        sa.Column("volume_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("encrypted", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("cut", sa.Boolean(), nullable=False),
        sa.Column("at_rest_of", sa.String(), nullable=True),
        sa.Column("set_id", sa.String(), nullable=True),
        sa.Column("completed_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("lock", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshot_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshot_at_rest_of"), ["at_rest_of"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshot_origin"), ["origin"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshot_set_id"), ["set_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshot_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_snapshot_volume_id"), ["volume_id"], unique=False)

    op.create_table(
        "subnet",
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("cidr", sa.String(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("public_addresses", sa.Boolean(), nullable=False),
        sa.Column("name_options", sa.JSON(), nullable=False),
        sa.Column("route_table_id", sa.String(), nullable=True),
        sa.Column("route_association_id", sa.String(), nullable=True),
        sa.Column("acl_id", sa.String(), nullable=False),
        sa.Column("acl_association_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("acl_association_id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("route_association_id"),
    )
    with op.batch_alter_table("subnet", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subnet_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_subnet_acl_id"), ["acl_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_subnet_route_table_id"), ["route_table_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_subnet_vpc_id"), ["vpc_id"], unique=False)

    op.create_table(
        "tag",
        sa.Column("resource_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "key"),
    )
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.create_index("ix_tag_account_key_value", ["account_id", "key", "value"], unique=False)

    op.create_table(
        "upload",
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("written_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("checksum", sa.LargeBinary(), nullable=True),
        sa.Column("staged", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id"),
    )
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_upload_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_upload_staged"), ["staged"], unique=False)

    op.create_table(
        "upload_block",
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", "number"),
    )
    op.create_table(
        "volume",
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("iops", sa.Integer(), nullable=True),
        sa.Column("throughput", sa.Integer(), nullable=True),
        sa.Column("initialization_rate", sa.Integer(), nullable=True),
        sa.Column("encrypted", sa.Boolean(), nullable=False),
        sa.Column("auto_enable_io", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("volume", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_volume_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_volume_snapshot_id"), ["snapshot_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_volume_state"), ["state"], unique=False)

    op.create_table(
        "volume_modification",
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("ended_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("volume_modification", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_volume_modification_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_volume_modification_state"), ["state"], unique=False)

    op.create_table(
        "vpc",
        sa.Column("blocks", sa.JSON(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("tenancy", sa.String(), nullable=False),
        sa.Column("dhcp_options_id", sa.String(), nullable=False),
        sa.Column("dns_support", sa.Boolean(), nullable=False),
        sa.Column("dns_hostnames", sa.Boolean(), nullable=False),
        sa.Column("usage_metrics", sa.Boolean(), nullable=False),
        sa.Column("route_table_id", sa.String(), nullable=False),
        sa.Column("route_association_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("route_association_id"),
    )
    with op.batch_alter_table("vpc", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vpc_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vpc_dhcp_options_id"), ["dhcp_options_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vpc_route_table_id"), ["route_table_id"], unique=False)

    op.create_table(
        "access_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("access_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_key_account_id"), ["account_id"], unique=False)

    op.create_table(
        "interface",
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("vpc_id", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("source_dest_check", sa.Boolean(), nullable=False),
        sa.Column("attachment_id", sa.String(), nullable=True),
        sa.Column("instance_id", sa.String(), nullable=True),
        sa.Column("device_index", sa.Integer(), nullable=True),
        sa.Column("delete_on_termination", sa.Boolean(), nullable=False),
        sa.Column("attachment_state", sa.String(), nullable=True),
        sa.Column("attach_time", ec2gw.state.records.UTCDateTime(timezone=True), nullable=True),
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("created_at", ec2gw.state.records.UTCDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["vpc_id"],
            ["vpc.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("attachment_id"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("instance_id", "device_index"),
        sa.UniqueConstraint("mac"),
    )
    with op.batch_alter_table("interface", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_interface_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_interface_instance_id"), ["instance_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_interface_subnet_id"), ["subnet_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_interface_vpc_id"), ["vpc_id"], unique=False)

    op.create_table(
        "route",
        sa.Column("route_table_id", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("gateway_id", sa.String(), nullable=True),
        sa.Column("interface_id", sa.String(), nullable=True),
        sa.Column("instance_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["route_table_id"],
            ["route_table.id"],
        ),
        sa.PrimaryKeyConstraint("route_table_id", "destination"),
    )
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_route_gateway_id"), ["gateway_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_route_interface_id"), ["interface_id"], unique=False)

    op.create_table(
        "interface_address",
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("interface_id", sa.String(), nullable=False),
        sa.Column("primary", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["interface_id"],
            ["interface.id"],
        ),
        sa.PrimaryKeyConstraint("subnet_id", "address"),
    )
    with op.batch_alter_table("interface_address", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_interface_address_interface_id"), ["interface_id"], unique=False)

    op.create_table(
        "interface_group",
        sa.Column("interface_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["security_group.id"],
        ),
        sa.ForeignKeyConstraint(
            ["interface_id"],
            ["interface.id"],
        ),
        sa.PrimaryKeyConstraint("interface_id", "group_id"),
    )
    with op.batch_alter_table("interface_group", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_interface_group_group_id"), ["group_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("interface_group", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_interface_group_group_id"))

    op.drop_table("interface_group")
    with op.batch_alter_table("interface_address", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_interface_address_interface_id"))

    op.drop_table("interface_address")
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_route_interface_id"))
        batch_op.drop_index(batch_op.f("ix_route_gateway_id"))

    op.drop_table("route")
    with op.batch_alter_table("interface", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_interface_vpc_id"))
        batch_op.drop_index(batch_op.f("ix_interface_subnet_id"))
        batch_op.drop_index(batch_op.f("ix_interface_instance_id"))
        batch_op.drop_index(batch_op.f("ix_interface_account_id"))

    op.drop_table("interface")
    with op.batch_alter_table("access_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_key_account_id"))

    op.drop_table("access_key")
    with op.batch_alter_table("vpc", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vpc_route_table_id"))
        batch_op.drop_index(batch_op.f("ix_vpc_dhcp_options_id"))
        batch_op.drop_index(batch_op.f("ix_vpc_account_id"))

    op.drop_table("vpc")
    with op.batch_alter_table("volume_modification", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_volume_modification_state"))
        batch_op.drop_index(batch_op.f("ix_volume_modification_account_id"))

    op.drop_table("volume_modification")
    with op.batch_alter_table("volume", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_volume_state"))
        batch_op.drop_index(batch_op.f("ix_volume_snapshot_id"))
        batch_op.drop_index(batch_op.f("ix_volume_account_id"))

    op.drop_table("volume")
    op.drop_table("upload_block")
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_upload_staged"))
        batch_op.drop_index(batch_op.f("ix_upload_parent_id"))

    op.drop_table("upload")
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.drop_index("ix_tag_account_key_value")

    op.drop_table("tag")
    with op.batch_alter_table("subnet", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_subnet_vpc_id"))
        batch_op.drop_index(batch_op.f("ix_subnet_route_table_id"))
        batch_op.drop_index(batch_op.f("ix_subnet_acl_id"))
        batch_op.drop_index(batch_op.f("ix_subnet_account_id"))

    op.drop_table("subnet")
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshot_volume_id"))
        batch_op.drop_index(batch_op.f("ix_snapshot_state"))
        batch_op.drop_index(batch_op.f("ix_snapshot_set_id"))
        batch_op.drop_index(batch_op.f("ix_snapshot_origin"))
        batch_op.drop_index(batch_op.f("ix_snapshot_at_rest_of"))
        batch_op.drop_index(batch_op.f("ix_snapshot_account_id"))

    op.drop_table("snapshot")
    op.drop_table("setting")
    with op.batch_alter_table("security_group_rule", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_security_group_rule_peer_id"))
        batch_op.drop_index(batch_op.f("ix_security_group_rule_group_id"))
        batch_op.drop_index(batch_op.f("ix_security_group_rule_account_id"))

    op.drop_table("security_group_rule")
    with op.batch_alter_table("security_group", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_security_group_account_id"))

    op.drop_table("security_group")
    op.drop_table("screen")
    with op.batch_alter_table("route_table", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_route_table_vpc_id"))
        batch_op.drop_index(batch_op.f("ix_route_table_account_id"))

    op.drop_table("route_table")
    with op.batch_alter_table("root_replacement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_root_replacement_new_volume_id"))
        batch_op.drop_index(batch_op.f("ix_root_replacement_instance_id"))
        batch_op.drop_index(batch_op.f("ix_root_replacement_account_id"))

    op.drop_table("root_replacement")
    with op.batch_alter_table("placement_group", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_placement_group_account_id"))

    op.drop_table("placement_group")
    with op.batch_alter_table("permission", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_permission_grantee"))

    op.drop_table("permission")
    with op.batch_alter_table("network_acl", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_network_acl_vpc_id"))
        batch_op.drop_index(batch_op.f("ix_network_acl_account_id"))

    op.drop_table("network_acl")
    with op.batch_alter_table("launch_template_version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_launch_template_version_account_id"))

    op.drop_table("launch_template_version")
    with op.batch_alter_table("launch_template", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_launch_template_account_id"))

    op.drop_table("launch_template")
    with op.batch_alter_table("key_pair", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_key_pair_account_id"))

    op.drop_table("key_pair")
    with op.batch_alter_table("internet_gateway", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_internet_gateway_account_id"))

    op.drop_table("internet_gateway")
    with op.batch_alter_table("instance", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instance_state"))
        batch_op.drop_index(batch_op.f("ix_instance_reservation_id"))
        batch_op.drop_index(batch_op.f("ix_instance_placement_group"))
        batch_op.drop_index("ix_instance_account_state")
        batch_op.drop_index(batch_op.f("ix_instance_account_id"))

    op.drop_table("instance")
    with op.batch_alter_table("import_task", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_import_task_state"))
        batch_op.drop_index(batch_op.f("ix_import_task_account_id"))

    op.drop_table("import_task")
    with op.batch_alter_table("image_snapshot", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_image_snapshot_snapshot_id"))

    op.drop_table("image_snapshot")
    with op.batch_alter_table("image", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_image_state"))
        batch_op.drop_index(batch_op.f("ix_image_account_id"))

    op.drop_table("image")
    with op.batch_alter_table("fast_restore", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_fast_restore_account_id"))

    op.drop_table("fast_restore")
    with op.batch_alter_table("dhcp_options", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dhcp_options_account_id"))

    op.drop_table("dhcp_options")
    op.drop_table("console")
    with op.batch_alter_table("client_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_client_token_created_at"))

    op.drop_table("client_token")
    op.drop_table("change")
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attachment_instance_id"))

    op.drop_table("attachment")
    with op.batch_alter_table("address", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_address_account_id"))

    op.drop_table("address")
    op.drop_table("account")
