# SPDX-License-Identifier: Apache-2.0
"""What an account has, in the shapes of the API, and the operations that read it.

A method is an operation; its answer is cut into pages where the real one's is. Limits of the real
services are errors here: 1,000 a page, 200 filter values, batches of 100 tasks and 50 instances.
"""

import fnmatch
import threading

from .pages import Pages
from .wire import ApiError

ACCOUNT = "123456789012"

# Filters of DescribeInstances that look at one field.
PLAIN_FILTERS = {
    "instance-id": "InstanceId",
    "private-ip-address": "PrivateIpAddress",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}


def _limit(params, key, most, least=1):
    value = params.get(key)
    if value is not None and not least <= value <= most:
        raise ApiError("InvalidParameterValue", f"{key} is {value}, not {least} to {most}")
    return value


def _at_most(params, key, most):
    if len(params.get(key) or []) > most:
        raise ApiError("InvalidParameterException", f"more than {most} in {key}")
    return params.get(key) or []


def _tail(arn):
    return arn.rsplit("/", 1)[-1]


class Account:
    """Everything is public: a test puts and takes what it likes, holding `lock` for several
    changes that must be seen at once."""

    def __init__(self, region="eu-west-1"):
        self.region, self.lock, self.pages = region, threading.RLock(), Pages()
        self.page_size = None  # of every operation, smaller than what was asked for
        self.instances = {}  # id: Instance of DescribeInstances
        self.zones = {f"{region}{c}": f"euw1-az{i}" for i, c in enumerate("abc", 1)}
        self.groups = {}  # name: AutoScalingGroup, its Instances included
        self.lifecycle = []  # (action, parameters) as they came
        self.target_groups = {}  # ARN: {"TargetGroup": .., "Health": [TargetHealthDescription]}
        self.services = {}  # (cluster, service): Service
        self.tasks = {}  # ARN: Task with "clusterArn" and "group" service:NAME
        self.missing = set()  # ARNs that ListTasks gives and DescribeTasks does not know
        self.container_instances = {}  # ARN: ContainerInstance
        self.task_definitions = {}  # ARN: TaskDefinition
        self.namespaces = {}  # (namespace, service): {"revision": n, "instances": [..]}

    def arn(self, service, rest):
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{rest}"

    def _cut(self, items, params, key, limit, fault):
        sizes = [size for size in (limit, self.page_size) if size]
        return self.pages.cut(items, params, key, min(sizes, default=None), fault)

    # ---- EC2 ----

    def DescribeInstances(self, params, fault):
        limit = _limit(params, "MaxResults", 1000, 5)
        ids = params.get("InstanceIds")
        if limit and ids:
            raise ApiError("InvalidParameterCombination", "InstanceIds together with MaxResults")
        filters = params.get("Filters") or []
        if sum(len(each["Values"]) for each in filters) > 200:
            raise ApiError("FilterLimitExceeded", "more than 200 filter values")
        if unknown := sorted(set(ids or []) - set(self.instances)):
            raise ApiError("InvalidInstanceID.NotFound", f"no {unknown}")
        found = [self.instances[i] for i in sorted(ids or self.instances)]
        found = [i for i in found if all(self._passes(i, each) for each in filters)]
        page, token = self._cut(found, params, "NextToken", limit, fault)
        return {
            "Reservations": [{"ReservationId": "r-1", "Instances": [i]} for i in page],
            "NextToken": token,
        }

    @staticmethod
    def _passes(instance, each):
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        name = each["Name"]
        if name.startswith("tag:"):
            value = tags.get(name[4:])
        elif name == "instance-state-name":
            value = instance["State"]["Name"]
        elif name in PLAIN_FILTERS:
            value = instance.get(PLAIN_FILTERS[name])
        else:
            raise ApiError("InvalidParameterValue", f"no filter {name}")
        return value is not None and any(fnmatch.fnmatchcase(value, p) for p in each["Values"])

    def DescribeAvailabilityZones(self, params, fault):
        return {
            "AvailabilityZones": [
                {"ZoneName": name, "ZoneId": zone, "RegionName": self.region, "State": "available"}
                for name, zone in self.zones.items()
            ]
        }

    # ---- Auto Scaling ----

    def DescribeAutoScalingGroups(self, params, fault):
        limit = _limit(params, "MaxRecords", 100) or 50
        names = params.get("AutoScalingGroupNames")
        found = [group for name, group in sorted(self.groups.items()) if not names or name in names]
        for each in params.get("Filters") or []:
            found = [group for group in found if self._group_passes(group, each)]
        page, token = self._cut(found, params, "NextToken", limit, fault)
        return {"AutoScalingGroups": page, "NextToken": token}

    @staticmethod
    def _group_passes(group, each):
        if not each["Name"].startswith("tag:"):
            raise ApiError("ValidationError", f"no filter {each['Name']}")
        tags = {tag["Key"]: tag["Value"] for tag in group.get("Tags", [])}
        return tags.get(each["Name"][4:]) in each["Values"]

    def DescribeAutoScalingInstances(self, params, fault):
        ids = _at_most(params, "InstanceIds", 50)
        limit = _limit(params, "MaxRecords", 50) or 50
        found = [
            {**instance, "AutoScalingGroupName": name, "AvailabilityZone": f"{self.region}a"}
            for name, group in sorted(self.groups.items())
            for instance in group["Instances"]
            if not ids or instance["InstanceId"] in ids
        ]
        page, token = self._cut(found, params, "NextToken", limit, fault)
        return {"AutoScalingInstances": page, "NextToken": token}

    def DescribeLifecycleHooks(self, params, fault):
        group = self.groups.get(params["AutoScalingGroupName"])
        if group is None:
            raise ApiError("ValidationError", "AutoScalingGroup name not found")
        return {"LifecycleHooks": group.get("LifecycleHooks", [])}

    def _held(self, params):
        """The instance whose end waits for this hook."""
        group = self.groups.get(params["AutoScalingGroupName"], {})
        hooks = [hook["LifecycleHookName"] for hook in group.get("LifecycleHooks", [])]
        for each in group.get("Instances", []):
            held = each["LifecycleState"] == "Terminating:Wait"
            if held and each["InstanceId"] == params.get("InstanceId"):
                if params["LifecycleHookName"] in hooks:
                    return each
        raise ApiError("ValidationError", "No active Lifecycle Action found with that instance ID")

    def RecordLifecycleActionHeartbeat(self, params, fault):
        self._held(params)
        self.lifecycle.append(("heartbeat", params))
        return {}

    def CompleteLifecycleAction(self, params, fault):
        held = self._held(params)
        self.lifecycle.append((params["LifecycleActionResult"], params))
        held["LifecycleState"] = "Terminating:Proceed"
        return {}

    # ---- Elastic Load Balancing ----

    def DescribeTargetGroups(self, params, fault):
        names, arns = params.get("Names"), params.get("TargetGroupArns")
        if names and arns:
            raise ApiError("ValidationError", "Names together with TargetGroupArns")
        found = [
            each["TargetGroup"]
            for arn, each in sorted(self.target_groups.items())
            if (not names or each["TargetGroup"]["TargetGroupName"] in names)
            and (not arns or arn in arns)
        ]
        if (names or arns) and not found:
            raise ApiError("TargetGroupNotFound", "One or more target groups not found")
        page, token = self._cut(found, params, "Marker", params.get("PageSize"), fault)
        return {"TargetGroups": page, "NextMarker": token}

    def DescribeTargetHealth(self, params, fault):
        group = self.target_groups.get(params["TargetGroupArn"])
        if group is None:
            raise ApiError("TargetGroupNotFound", "One or more target groups not found")
        empty = fault and fault.kind == "empty"
        return {"TargetHealthDescriptions": [] if empty else group["Health"]}

    # ---- ECS ----

    def _cluster(self, params):
        return _tail(params.get("cluster") or "default")

    def ListTasks(self, params, fault):
        limit = _limit(params, "maxResults", 100) or 100
        wanted, group = params.get("desiredStatus", "RUNNING"), params.get("serviceName")
        found = [
            arn
            for arn, task in sorted(self.tasks.items())
            if _tail(task["clusterArn"]) == self._cluster(params)
            and task["desiredStatus"] == wanted
            and (not group or task["group"] == f"service:{_tail(group)}")
        ]
        page, token = self._cut(found, params, "nextToken", limit, fault)
        return {"taskArns": page, "nextToken": token}

    def DescribeTasks(self, params, fault):
        asked = _at_most(params, "tasks", 100)
        known = [arn for arn in asked if arn in self.tasks and arn not in self.missing]
        return {
            "tasks": [self.tasks[arn] for arn in known],
            "failures": [
                {"arn": arn, "reason": "MISSING"} for arn in asked if arn not in known
            ],
        }

    def DescribeServices(self, params, fault):
        asked = _at_most(params, "services", 10)
        found = {(self._cluster(params), _tail(name)): name for name in asked}
        return {
            "services": [self.services[key] for key in found if key in self.services],
            "failures": [
                {"arn": name, "reason": "MISSING"}
                for key, name in found.items()
                if key not in self.services
            ],
        }

    def DescribeContainerInstances(self, params, fault):
        asked = _at_most(params, "containerInstances", 100)
        every = self.container_instances
        return {
            "containerInstances": [every[arn] for arn in asked if arn in every],
            "failures": [{"arn": a, "reason": "MISSING"} for a in asked if a not in every],
        }

    def DescribeTaskDefinition(self, params, fault):
        found = self.task_definitions.get(params["taskDefinition"])
        if found is None:
            raise ApiError("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": found}

    # ---- Cloud Map ----

    def _discover(self, params):
        key = (params["NamespaceName"], params["ServiceName"])
        if key not in self.namespaces:
            raise ApiError("ServiceNotFound", f"no {key}")
        return self.namespaces[key]

    def DiscoverInstancesRevision(self, params, fault):
        return {"InstancesRevision": self._discover(params)["revision"]}

    def DiscoverInstances(self, params, fault):
        limit = _limit(params, "MaxResults", 1000) or 100
        service, health = self._discover(params), params.get("HealthStatus", "ALL")
        found = [
            each
            for each in service["instances"]
            if health == "ALL" or each["HealthStatus"] in (health, "UNKNOWN")
        ]
        if fault and fault.kind == "empty":
            found = []
        return {"Instances": found[:limit], "InstancesRevision": service["revision"]}
