# SPDX-License-Identifier: Apache-2.0
"""Requests read and answers written by the services' own models: no XML and no JSON by hand."""

import json
from functools import lru_cache
from urllib.parse import parse_qsl

from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import SERIALIZERS
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

# By the name in a signature's scope.
SERVICES = {
    "ec2": "ec2",
    "autoscaling": "autoscaling",
    "elasticloadbalancing": "elbv2",
    "sts": "sts",
    "ecs": "ecs",
    "servicediscovery": "servicediscovery",
}

# What each service calls the same thing: (EC2, other Query services, JSON).
CODES = {
    "throttle": ("RequestLimitExceeded", "Throttling", "ThrottlingException"),
    "clock": ("RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"),
    "expired": ("RequestExpired", "ExpiredToken", "ExpiredTokenException"),
    "denied": ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"),
    "internal": ("InternalError", "InternalFailure", "ServerException"),
    "InvalidClientTokenId": ("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"),
    "SignatureDoesNotMatch": (
        "AuthFailure",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    ),
}


class ApiError(Exception):
    """An error of the service. `code` is the service's own, or a key of CODES."""

    def __init__(self, code, message, status=400):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class _Answer(ServiceException):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


@lru_cache(None)
def model(service):
    return get_service_model(service)


def protocol(service):
    return model(service).metadata["protocol"]


def _code(code, service):
    flavour = {"ec2": 0, "query": 1}.get(protocol(service), 2)
    return CODES[code][flavour] if code in CODES else code


def action_of(service, headers, body):
    """The name of the operation that is asked for; the right content type is part of that."""
    kind = (headers["Content-Type"] or "").split(";")[0]
    if protocol(service) == "json":
        version = model(service).metadata["jsonVersion"]
        if kind != f"application/x-amz-json-{version}":
            raise ApiError("SerializationException", f"content type {kind!r}")
        prefix, _, action = (headers["X-Amz-Target"] or "").partition(".")
        if prefix != model(service).metadata["targetPrefix"]:
            raise ApiError("UnknownOperationException", f"target {headers['X-Amz-Target']!r}")
    else:
        if kind != "application/x-www-form-urlencoded":
            raise ApiError("MalformedQueryString", f"content type {kind!r}")
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        if fields.get("Version") != model(service).api_version:
            raise ApiError("NoSuchVersion", f"version {fields.get('Version')!r}")
        action = fields.get("Action")
    if action not in model(service).operation_names:
        raise ApiError("InvalidAction", f"no operation {action!r}")
    return action


def read(service, action, request):
    """The parameters, or an ApiError for one that is missing, unknown or of a wrong type."""
    operation = model(service).operation_model(action)
    json_body = protocol(service) == "json"
    values = [] if json_body else parse_qsl(request.body.decode(), keep_blank_values=True)
    parser = PROTOCOL_PARSERS[protocol(service)](operation, map_type=dict)
    params = parser.parse(
        {
            "method": request.method,
            "values": MultiDict(values),
            "headers": Headers(list(request.headers.items())),
            "body": request.body.decode(),
            "url_path": "/",
            "url_params": {},
        }
    )
    report = ParamValidator().validate(params, operation.input_shape)
    if report.has_errors():
        raise ApiError("MissingParameter", report.generate_report())
    _check_nothing_lost(service, operation, params, values, request.body)
    return params


def _check_nothing_lost(service, operation, params, values, body):
    """What was understood, written again by botocore, must be what was sent."""
    again = create_serializer(protocol(service), False).serialize_to_request(params, operation)
    if protocol(service) == "json":
        sent, understood = json.loads(body or b"{}"), json.loads(again["body"])
    else:
        sent = dict(values)
        understood = {key: str(value) for key, value in again["body"].items()}
        if len(sent) != len(values):
            raise ApiError("MalformedQueryString", "a parameter is there twice")
    if sent != understood:
        raise ApiError("UnknownParameter", f"sent {sent}, understood {understood}")


def write(service, action, result):
    """(status, headers, body) for a result, or for an ApiError."""
    status, answer = None, result
    if isinstance(result, ApiError):
        status = result.status
        answer = _Answer(_code(result.code, service), result.message)
    operation = model(service).operation_model(action)
    out = SERIALIZERS[protocol(service)](operation_model=operation).serialize(answer)
    body = out["body"] if isinstance(out["body"], bytes) else out["body"].encode()
    return status or out["status_code"], out["headers"], body
