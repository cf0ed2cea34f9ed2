"""ec2gw's packaging: what it needs to run, and what its parts and its own work need besides."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', (HERE / "ec2gw" / "__init__.py").read_text(), re.MULTILINE)

POSTGRES = ["psycopg[binary]>=3.1"]

setup(
    name="ec2gw",
    version=VERSION,
    description="Your own EC2: real machines boot from real volumes on libvirt and LVM, through the API that AWS's clients speak",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["ec2gw", "ec2gw.*"]),
    package_data={"ec2gw.state": ["migrations/*", "migrations/versions/*.py"]},
    install_requires=[
        "aiohttp>=3.12",
        "alembic>=1.13",
        "boto3>=1.35",
        "click>=8.1",
        "cryptography>=42",
        "jmespath>=1.0",
        "lxml>=5",
        "orjson>=3.10",
        "prometheus-client>=0.20",
        "pydantic-settings>=2.3",
        "rich>=13",
        "SQLAlchemy>=2.0.30",
        "structlog>=24.1",
    ],
    extras_require={
        # Compiled against the host's libvirt: it needs the packages libvirt-dev, pkg-config, gcc and python3-dev.
        "libvirt": ["libvirt-python>=9", "pillow>=10"],
        "postgres": POSTGRES,
        "docs": ["mkdocs-material>=9.5"],
        "test": [
            "awscli>=1.36",
            "boto==2.49.0",
            "hypothesis>=6.100",
            "moto[ec2,server]>=5",
            "pillow>=10",
            "pytest>=8.1",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "six>=1.16",
            "time-machine>=2.14",
            *POSTGRES,
        ],
        "lint": [
            "botocore-stubs",
            "import-linter>=2",
            "lxml-stubs",
            "mypy>=1.13",
            "mypy-boto3-ec2",
            "ruff>=0.8",
        ],
    },
    entry_points={"console_scripts": ["ec2gw = ec2gw.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
    ],
)
