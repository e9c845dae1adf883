# SPDX-License-Identifier: Apache-2.0
"""Who signed a request: Signature Version 4 as the services verify it, on botocore's own signer."""

import calendar
import hmac
import time
from datetime import datetime, timezone

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .wire import ApiError

SKEW_S = 300
AUTHORIZATION = "AWS4-HMAC-SHA256 "


class Identity:
    """A key that the account knows. `expires` is a time of the double's clock; None: never."""

    def __init__(self, key_id, secret, token=None, expires=None, role=None):
        self.key_id, self.secret, self.token = key_id, secret, token
        self.expires, self.role = expires, role


def _parts(header):
    if not header.startswith(AUTHORIZATION):
        raise ApiError("IncompleteSignature", "not AWS4-HMAC-SHA256", 400)
    fields = {}
    for part in header[len(AUTHORIZATION) :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    try:
        key_id, date, region, service, end = fields["Credential"].split("/")
        return key_id, (date, region, service, end), fields["SignedHeaders"], fields["Signature"]
    except (KeyError, ValueError):
        raise ApiError("IncompleteSignature", f"cannot read {header!r}", 400) from None


def scope_of(headers):
    """(key id, [date, region, service, "aws4_request"]) as claimed; nothing is verified."""
    if "Authorization" not in headers:
        raise ApiError("MissingAuthenticationToken", "the request is not signed", 403)
    key_id, scope, _, _ = _parts(headers["Authorization"])
    return key_id, scope


def _once(headers, name):
    values = headers.get_all(name) or []
    if len(values) > 1:
        raise ApiError("IncompleteSignature", f"{name} is there {len(values)} times", 400)
    return values[0] if values else None


def _check_signed(headers, signed):
    names = {name.lower() for name in headers.keys()}
    must = {"host", *(name for name in names if name.startswith("x-amz-"))}
    if missing := sorted(must - set(signed)):
        raise ApiError("SignatureDoesNotMatch", f"not signed: {missing}", 403)
    if signed != sorted(signed):
        raise ApiError("SignatureDoesNotMatch", "SignedHeaders are not sorted", 403)
    if absent := sorted(set(signed) - names):
        raise ApiError("SignatureDoesNotMatch", f"signed, but not there: {absent}", 403)


def _check_time(stamp, scope_date, now):
    try:
        signed_at = calendar.timegm(time.strptime(stamp or "", "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise ApiError("IncompleteSignature", f"x-amz-date is {stamp!r}", 400) from None
    if not stamp.startswith(scope_date):
        raise ApiError("SignatureDoesNotMatch", "the scope is of another day", 403)
    if abs(signed_at - now) > SKEW_S:
        here = datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        side = "expired" if signed_at < now else "not yet current"
        raise ApiError("clock", f"Signature {side}: {stamp} against {here}", 403)


def _check_token(identity, token, now):
    if identity.token != token:
        raise ApiError("InvalidClientTokenId", "the security token is not this key's", 403)
    if identity.expires is not None and now >= identity.expires:
        raise ApiError("expired", "The security token included in the request is expired", 400)


def verify(request, identities, region, now):
    """`request` has method, path, headers and body. Returns (Identity, service), or raises."""
    headers = request.headers
    if "Authorization" not in headers:
        raise ApiError("MissingAuthenticationToken", "the request is not signed", 403)
    authorization = _once(headers, "Authorization")
    key_id, (date, scope_region, service, end), signed, signature = _parts(authorization)
    identity = identities.get(key_id)
    if identity is None:
        raise ApiError("InvalidClientTokenId", f"no key {key_id}", 403)
    if (scope_region, end) != (region, "aws4_request"):
        raise ApiError("SignatureDoesNotMatch", f"scope {scope_region}/{end}, not {region}", 403)
    stamp = _once(headers, "X-Amz-Date")
    _check_signed(headers, signed.split(";"))

    copy = AWSRequest(request.method, f"http://{headers['Host']}{request.path}", data=request.body)
    for name in signed.split(";"):
        copy.headers[name] = _once(headers, name)
    copy.context["timestamp"] = stamp or ""
    signer = SigV4Auth(Credentials(key_id, identity.secret), service, region)
    text = signer.string_to_sign(copy, signer.canonical_request(copy))
    if not hmac.compare_digest(signer.signature(text, copy), signature):
        raise ApiError("SignatureDoesNotMatch", "the signature is another one", 403)
    _check_time(stamp, date, now)
    _check_token(identity, _once(headers, "X-Amz-Security-Token"), now)
    return identity, service
