# SPDX-License-Identifier: Apache-2.0
"""Roles that are assumed: by a key, in chains, or with a web identity's token."""

from datetime import datetime, timezone

from .account import ACCOUNT
from .wire import ApiError


class SecurityTokens:
    """`roles` maps an ARN to what assuming it takes: {"external_id": .., "web_token": ..}."""

    def __init__(self, strict):
        self.strict, self.roles = strict, {}
        self.lifetime_s = 3600

    def _issue(self, params):
        lifetime = min(params.get("DurationSeconds", 3600), self.lifetime_s)
        identity = self.strict.issue(lifetime, role=params["RoleArn"])
        return {
            "Credentials": {
                "AccessKeyId": identity.key_id,
                "SecretAccessKey": identity.secret,
                "SessionToken": identity.token,
                "Expiration": datetime.fromtimestamp(identity.expires, timezone.utc),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": f"AROA:{params['RoleSessionName']}",
                "Arn": f"{params['RoleArn']}/{params['RoleSessionName']}",
            },
        }

    def _role(self, params):
        role = self.roles.get(params["RoleArn"])
        if role is None:
            raise ApiError("AccessDenied", f"not allowed to assume {params['RoleArn']}", 403)
        return role

    def AssumeRole(self, params, identity):
        role = self._role(params)
        if role.get("external_id") != params.get("ExternalId"):
            raise ApiError("AccessDenied", "the external id is another one", 403)
        if role.get("from_role") not in (None, identity.role):
            raise ApiError("AccessDenied", f"only from {role['from_role']}", 403)
        return self._issue(params)

    def AssumeRoleWithWebIdentity(self, params, identity):
        if self._role(params).get("web_token") != params["WebIdentityToken"]:
            raise ApiError("InvalidIdentityToken", "the token is not this role's")
        return self._issue(params)

    def GetCallerIdentity(self, params, identity):
        who = identity.role or f"arn:aws:iam::{ACCOUNT}:user/strict"
        return {"Account": ACCOUNT, "UserId": identity.key_id, "Arn": who}
