# SPDX-License-Identifier: Apache-2.0
"""Fleets in the double, one class for each source, all with the same few verbs. Addresses are
10.KIND.0.NUMBER, where nobody is: no test sends a connection there."""

PORT = 8080


class Fleet:
    """`add()` and `take()` change it; `addresses()` is what has to be served. `actions` are the
    calls that its source cannot do without, the paged one first."""

    actions = ()
    paged = True

    def __init__(self, strict, net, name="back", count=0):
        self.strict, self.account = strict, strict.account
        self.net, self.name, self.numbers = net, name, []
        self._next = 0
        self.set_up()
        self.add(count)

    def set_up(self):
        pass

    def host(self, number):
        return f"10.{self.net}.{number // 256}.{number % 256}"

    def addresses(self):
        return sorted(f"{self.host(number)}:{PORT}" for number in self.numbers)

    def add(self, count=1):
        with self.account.lock:
            for _ in range(count):
                self.put(self._next)
                self.numbers.append(self._next)
                self._next += 1

    def take(self, count=1):
        """The oldest leave."""
        with self.account.lock:
            for number in self.numbers[:count]:
                self.drop(number)
            del self.numbers[:count]

    def pool(self, **more):
        mapping = {**self.mapping(), "interval": "1s", **more}
        return {"name": self.name, "discover": {self.kind: mapping}}


class Instances(Fleet):
    kind, actions = "ec2", ("DescribeInstances",)

    def mapping(self):
        return {"tags": {"role": self.name}, "port": PORT}

    def id(self, number):
        return f"i-{self.net:04x}{number:013x}"

    def put(self, number):
        self.account.instances[self.id(number)] = {
            "InstanceId": self.id(number),
            "State": {"Code": 16, "Name": "running"},
            "PrivateIpAddress": self.host(number),
            "Placement": {"AvailabilityZone": f"{self.account.region}a"},
            "Tags": [{"Key": "role", "Value": self.name}],
        }

    def drop(self, number):
        del self.account.instances[self.id(number)]


class Group(Instances):
    kind = "asg"
    actions = ("DescribeAutoScalingGroups", "DescribeInstances")
    paged = False  # its one group

    def set_up(self):
        self.account.groups[self.name] = {
            "AutoScalingGroupName": self.name,
            "MinSize": 0,
            "MaxSize": 100,
            "DesiredCapacity": 1,
            "DefaultCooldown": 300,
            "AvailabilityZones": [f"{self.account.region}a"],
            "HealthCheckType": "EC2",
            "CreatedTime": "2026-01-01T00:00:00Z",
            "Instances": self.members(),
        }

    def mapping(self):
        return {"groups": [self.name], "port": PORT}

    def members(self):
        return self.account.groups.get(self.name, {}).get("Instances", [])

    def put(self, number):
        super().put(number)
        self.account.instances[self.id(number)]["Tags"] = []
        self.members().append(
            {
                "InstanceId": self.id(number),
                "AvailabilityZone": f"{self.account.region}a",
                "LifecycleState": "InService",
                "HealthStatus": "Healthy",
                "ProtectedFromScaleIn": False,
            }
        )

    def drop(self, number):
        super().drop(number)
        self.members()[:] = [m for m in self.members() if m["InstanceId"] != self.id(number)]

    def move(self, number, state):
        for member in self.members():
            if member["InstanceId"] == self.id(number):
                member["LifecycleState"] = state


class TargetGroup(Fleet):
    kind, actions, paged = "elbv2", ("DescribeTargetHealth",), False

    def set_up(self):
        self.arn = self.account.arn("elasticloadbalancing", f"targetgroup/{self.name}/0123")
        self.health = []
        group = {
            "TargetGroupArn": self.arn,
            "TargetGroupName": self.name,
            "Protocol": "TCP",
            "Port": PORT,
            "VpcId": "vpc-1",
            "TargetType": "ip",
        }
        self.account.target_groups[self.arn] = {"TargetGroup": group, "Health": self.health}

    def mapping(self):
        return {"target_group": self.arn}

    def put(self, number):
        self.health.append(
            {
                "Target": {"Id": self.host(number), "Port": PORT},
                "HealthCheckPort": str(PORT),
                "TargetHealth": {"State": "healthy"},
            }
        )

    def drop(self, number):
        self.health[:] = [h for h in self.health if h["Target"]["Id"] != self.host(number)]


class Tasks(Fleet):
    kind, actions = "ecs", ("ListTasks", "DescribeTasks", "DescribeServices")

    def set_up(self):
        self.cluster = self.account.arn("ecs", "cluster/prod")
        self.deployment = f"ecs-svc/{self.net:019}"
        self.definition = self.account.arn("ecs", f"task-definition/{self.name}:1")
        mapping = {"containerPort": PORT, "hostPort": PORT, "protocol": "tcp"}
        self.account.task_definitions[self.definition] = {
            "taskDefinitionArn": self.definition,
            "networkMode": "awsvpc",
            "containerDefinitions": [{"name": "app", "portMappings": [mapping]}],
        }
        self.account.services["prod", self.name] = {
            "serviceArn": self.account.arn("ecs", f"service/prod/{self.name}"),
            "serviceName": self.name,
            "clusterArn": self.cluster,
            "status": "ACTIVE",
            "deployments": [{"id": self.deployment, "status": "PRIMARY"}],
            "deploymentController": {"type": "ECS"},
        }

    def mapping(self):
        return {"cluster": "prod", "service": self.name, "port": PORT}

    def arn(self, number):
        return self.account.arn("ecs", f"task/prod/{self.net:08x}{number:024x}")

    def put(self, number):
        address = {"name": "privateIPv4Address", "value": self.host(number)}
        self.account.tasks[self.arn(number)] = {
            "taskArn": self.arn(number),
            "clusterArn": self.cluster,
            "taskDefinitionArn": self.definition,
            "group": f"service:{self.name}",
            "startedBy": self.deployment,
            "desiredStatus": "RUNNING",
            "lastStatus": "RUNNING",
            "healthStatus": "UNKNOWN",
            "availabilityZone": f"{self.account.region}a",
            "attachments": [
                {"type": "ElasticNetworkInterface", "status": "ATTACHED", "details": [address]}
            ],
            "containers": [{"name": "app", "lastStatus": "RUNNING", "networkBindings": []}],
        }

    def drop(self, number):
        del self.account.tasks[self.arn(number)]

    def bridged(self):
        """Behind ports that hosts choose, from now on."""
        definition = self.account.task_definitions[self.definition]
        definition["networkMode"] = "bridge"
        definition["containerDefinitions"][0]["portMappings"][0]["hostPort"] = 0

    def task(self, number):
        return self.account.tasks[self.arn(number)]


class Names(Fleet):
    kind, actions, paged = "cloudmap", ("DiscoverInstances",), False

    def set_up(self):
        self.service = {"revision": 1, "instances": []}
        self.account.namespaces["internal", self.name] = self.service

    def mapping(self):
        return {"namespace": "internal", "service": self.name}

    def put(self, number, name=None):
        self.service["revision"] += 1
        self.service["instances"].append(
            {
                "InstanceId": name or f"task-{number}",
                "NamespaceName": "internal",
                "ServiceName": self.name,
                "HealthStatus": "HEALTHY",
                "Attributes": {
                    "AWS_INSTANCE_IPV4": self.host(number),
                    "AWS_INSTANCE_PORT": str(PORT),
                },
            }
        )

    def drop(self, number):
        self.service["revision"] += 1
        every, host = self.service["instances"], self.host(number)
        every[:] = [i for i in every if i["Attributes"]["AWS_INSTANCE_IPV4"] != host]

    def touch(self):
        """Another revision of the same."""
        self.service["revision"] += 1


class Local(Names):
    """Cloud Map instances at addresses of this machine, where somebody may be."""

    def __init__(self, strict, addresses, name="back"):
        self.at = dict(enumerate(addresses))
        super().__init__(strict, 5, name, count=len(addresses))

    def put(self, number, name=None):
        super().put(number, name)
        host, port = self.at[number]
        attributes = self.service["instances"][-1]["Attributes"]
        attributes.update(AWS_INSTANCE_IPV4=host, AWS_INSTANCE_PORT=str(port))

    def addresses(self):
        return sorted(f"{host}:{port}" for host, port in map(self.at.get, self.numbers))

    def leave(self, address):
        self.service["revision"] += 1
        self.service["instances"][:] = [
            i
            for i in self.service["instances"]
            if i["Attributes"]["AWS_INSTANCE_PORT"] != str(address[1])
        ]


KINDS = (Instances, Group, TargetGroup, Tasks, Names)


def one_of_each(strict, count):
    """A fleet of every kind, each in a net and a pool of its own."""
    return [
        kind(strict, net, f"pool-{kind.kind}", count) for net, kind in enumerate(KINDS, start=1)
    ]
