# SPDX-License-Identifier: Apache-2.0
"""boto3's clients for a simulator: what makes fleets, and what ours is compared with."""

import boto3
from botocore.config import Config

KEY_ID, SECRET = "AKIATEST", "secret"


def clients(url, region, key_id=KEY_ID, secret=SECRET, token=None, ca=None, attempts=5):
    """get("ec2") is a client of that service."""
    session = boto3.session.Session(key_id, secret, token, region_name=region)
    config = Config(
        inject_host_prefix=False,  # data-127.0.0.1 is nobody
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=20,
    )
    made = {}

    def get(service):
        if service not in made:
            made[service] = session.client(
                service, endpoint_url=url, config=config, verify=str(ca) if ca else None
            )
        return made[service]

    return get
