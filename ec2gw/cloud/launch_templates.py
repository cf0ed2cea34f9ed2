"""The verbs of launch templates and their versions. Only this module changes their records; it must not know what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids
from ec2gw.state import records
from ec2gw.state.records import LaunchTemplate, LaunchTemplateVersion
from ec2gw.state.session import Transaction

MOST_TEMPLATES = 5_000  # of an account (EC2 User Guide, "Launch template restrictions")
MOST_VERSIONS = 10_000  # of a template
LONGEST_DESCRIPTION = 255
LATEST, DEFAULT = "$Latest", "$Default"
_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def create(tx: Transaction, account_id: str, name: str, data: Mapping[str, Any], description: str | None) -> LaunchTemplate:
    """A new template with its first version (API_CreateLaunchTemplate)."""
    if not _NAME.fullmatch(name):
        raise errors.Malformed("malformed-id", kind="launch-template-name", id=name[:128])
    if _named(tx, account_id, name):
        raise errors.Duplicate("template-name-taken")
    if (tx.db.scalar(select(func.count()).where(LaunchTemplate.account_id == account_id)) or 0) >= MOST_TEMPLATES:
        raise errors.LimitExceeded("template-limit")
    template = LaunchTemplate(id=ids.new("lt"), account_id=account_id, created_at=tx.now, name=name, default=1, latest=0, made=0)
    tx.db.add(template)
    tx.db.flush()
    add_version(tx, template, data, description)
    return template


def add_version(
    tx: Transaction, template: LaunchTemplate, data: Mapping[str, Any], description: str | None
) -> LaunchTemplateVersion:
    """The next version of a template. It does not become the default one."""
    if len(description or "") > LONGEST_DESCRIPTION:
        why = f"At most {LONGEST_DESCRIPTION} characters."
        raise errors.Invalid("invalid-value", value="...", parameter="versionDescription", why=why)
    of_template = select(func.count()).where(LaunchTemplateVersion.template_id == template.id)
    if (tx.db.scalar(of_template) or 0) >= MOST_VERSIONS:
        raise errors.LimitExceeded("template-version-limit")
    template.made += 1
    template.latest = template.made
    version = LaunchTemplateVersion(
        id=f"{template.id}.{template.latest}",
        account_id=template.account_id,
        created_at=tx.now,
        template_id=template.id,
        version=template.latest,
        description=description,
        data=dict(data),
    )
    tx.db.add(version)
    tx.db.flush()
    return version


def find(tx: Transaction, account_id: str, id: str | None, name: str | None) -> LaunchTemplate:
    """The account's template of an id, or of a name."""
    if id is not None:
        return lookup.one(tx, LaunchTemplate, "lt", account_id, id)
    template = _named(tx, account_id, name or "")
    if template is None:
        raise errors.NotFound("not-found", kind="launch-template-name", ids=[(name or "")[:128]])
    return template


def number(template: LaunchTemplate, selector: str) -> int | None:
    """The number that a selector means: `$Latest`, `$Default` or a number itself; None where it is no selector."""
    if selector in (LATEST, DEFAULT):
        return template.latest if selector == LATEST else template.default
    return int(selector) if _NUMBER.fullmatch(selector) else None


def version(tx: Transaction, template: LaunchTemplate, selector: str) -> LaunchTemplateVersion:
    """The version that a selector means. Raises NotFound."""
    wanted = number(template, selector)
    row = select(LaunchTemplateVersion).where(
        LaunchTemplateVersion.template_id == template.id, LaunchTemplateVersion.version == wanted
    )
    found = tx.db.scalars(row).one_or_none() if wanted is not None else None
    if found is None:
        raise errors.NotFound("template-version-unknown", version=selector[:32], template=template.id)
    return found


def choose(tx: Transaction, template: LaunchTemplate, selector: str) -> None:
    """Make a version the default one (API_ModifyLaunchTemplate)."""
    try:
        template.default = version(tx, template, selector).version
    except errors.NotFound:
        raise errors.NotFound("template-version-absent", version=selector[:32]) from None


def delete(tx: Transaction, template: LaunchTemplate) -> None:
    """Forget a template with all its versions (API_DeleteLaunchTemplate)."""
    tx.db.execute(sql_delete(LaunchTemplateVersion).where(LaunchTemplateVersion.template_id == template.id))
    records.forget_tags(tx.db, template.id)
    tx.db.delete(template)
    tx.db.flush()


def delete_version(tx: Transaction, template: LaunchTemplate, selector: str) -> LaunchTemplateVersion:
    """Forget one version, but never the default one (API_DeleteLaunchTemplateVersions)."""
    found = version(tx, template, selector)
    if found.version == template.default:
        raise errors.InUse("template-version-default", version=found.version, template=template.id)
    tx.db.delete(found)
    tx.db.flush()
    left = select(func.max(LaunchTemplateVersion.version)).where(LaunchTemplateVersion.template_id == template.id)
    template.latest = tx.db.scalars(left).one()
    return found


def _named(tx: Transaction, account_id: str, name: str) -> LaunchTemplate | None:
    row = select(LaunchTemplate).where(LaunchTemplate.account_id == account_id, LaunchTemplate.name == name)
    return tx.db.scalars(row).one_or_none()
