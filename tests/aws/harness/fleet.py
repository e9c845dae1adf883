# SPDX-License-Identifier: Apache-2.0
"""Fleets in Moto, made and changed with boto3. Each maker says what `discover:` it is found by, and
sees() what boto3 sees of it: the oracle that the proxy is held against, as dicts of what is
compared."""

import json

PORT = 8080
IMAGE = "ami-12c6146b"  # one that Moto has


class Instances:
    """EC2 instances with the tag role=NAME."""

    fields = ("id", "address", "zone", "weight", "backup")

    def __init__(self, moto, name="web"):
        self.moto, self.name, self.ec2 = moto, name, moto.client("ec2")
        subnets = self.ec2.describe_subnets()["Subnets"]
        self.subnets = [s["SubnetId"] for s in sorted(subnets, key=lambda s: s["AvailabilityZone"])]

    def discover(self, **more):
        return {"ec2": {"tags": {"role": self.name}, "port": PORT, "interval": "1s", **more}}

    def launch(self, count, subnet=0, **tags):
        every = [{"Key": k, "Value": str(v)} for k, v in {"role": self.name, **tags}.items()]
        made = self.ec2.run_instances(
            ImageId=IMAGE,
            InstanceType="t3.micro",
            MinCount=count,
            MaxCount=count,
            SubnetId=self.subnets[subnet],
            TagSpecifications=[{"ResourceType": "instance", "Tags": every}],
        )
        return [each["InstanceId"] for each in made["Instances"]]

    def terminate(self, ids):
        self.ec2.terminate_instances(InstanceIds=ids)

    def stop(self, ids):
        self.ec2.stop_instances(InstanceIds=ids)

    def retag(self, ids, **tags):
        self.ec2.create_tags(
            Resources=ids, Tags=[{"Key": k, "Value": str(v)} for k, v in tags.items()]
        )

    def described(self, page=1000, **filters):
        wanted = {"tag:role": self.name, "instance-state-name": "running", **filters}
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": name, "Values": [value]} for name, value in wanted.items()],
            PaginationConfig={"PageSize": page},
        )
        return [i for p in pages for r in p["Reservations"] for i in r["Instances"]]

    def sees(self):
        zones = zone_ids(self.ec2)
        return [instance_target(each, zones) for each in self.described()]


def zone_ids(ec2):
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    return {zone["ZoneName"]: zone["ZoneId"] for zone in zones}


def instance_target(instance, zones, port=PORT):
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return {
        "id": instance["InstanceId"],
        "address": f"{instance['PrivateIpAddress']}:{tags.get('port', port)}",
        "zone": zones[instance["Placement"]["AvailabilityZone"]],
        "weight": int(tags.get("weight", 100)),
        "backup": tags.get("backup", "false") == "true",
    }


class Group:
    """An Auto Scaling group."""

    fields = ("id", "address", "zone")

    def __init__(self, moto, name="workers", size=3):
        self.name, self.asg = name, moto.client("autoscaling")
        self.instances = Instances(moto)
        launch = f"launch-{name}"
        self.asg.create_launch_configuration(
            LaunchConfigurationName=launch, ImageId=IMAGE, InstanceType="t3.micro"
        )
        self.asg.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName=launch,
            MinSize=0,
            MaxSize=200,
            DesiredCapacity=size,
            VPCZoneIdentifier=",".join(self.instances.subnets[:2]),
        )

    def discover(self, **more):
        return {"asg": {"groups": [self.name], "port": PORT, "interval": "1s", **more}}

    def resize(self, size):
        self.asg.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=size)

    def standby(self, ids):
        self.asg.enter_standby(
            InstanceIds=ids,
            AutoScalingGroupName=self.name,
            ShouldDecrementDesiredCapacity=True,
        )

    def in_service(self):
        pages = self.asg.get_paginator("describe_auto_scaling_instances").paginate()
        return [
            each["InstanceId"]
            for page in pages
            for each in page["AutoScalingInstances"]
            if each["AutoScalingGroupName"] == self.name and each["LifecycleState"] == "InService"
        ]

    def sees(self):
        zones = zone_ids(self.instances.ec2)
        found, ids = [], self.in_service()
        for start in range(0, len(ids), 100):
            answer = self.instances.ec2.describe_instances(InstanceIds=ids[start : start + 100])
            found += [i for r in answer["Reservations"] for i in r["Instances"]]
        running = [i for i in found if i["State"]["Name"] == "running"]
        return [instance_target(each, zones) for each in running]


class Tasks:
    """Tasks of an ECS service in awsvpc mode. Moto starts none by itself, so we do."""

    fields = ("id", "address")

    def __init__(self, moto, cluster="prod", service="api"):
        self.cluster, self.service, self.ecs = cluster, service, moto.client("ecs")
        ec2 = moto.client("ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]
        groups = ec2.describe_security_groups()["SecurityGroups"]
        group = next(g["GroupId"] for g in groups if g.get("VpcId") == subnet["VpcId"])
        self.network = {
            "awsvpcConfiguration": {"subnets": [subnet["SubnetId"]], "securityGroups": [group]}
        }
        moto.hold_state("ecs::task")
        self.ecs.create_cluster(clusterName=cluster)
        container = {
            "name": "app",
            "image": "app",
            "memory": 128,
            "portMappings": [{"containerPort": PORT, "name": "http"}],
        }
        self.definition = self.ecs.register_task_definition(
            family=service,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[container],
        )["taskDefinition"]["taskDefinitionArn"]
        created = self.ecs.create_service(
            cluster=cluster,
            serviceName=service,
            taskDefinition=self.definition,
            desiredCount=0,
            launchType="FARGATE",
            networkConfiguration=self.network,
        )
        self.deployment = created["service"]["deployments"][0]["id"]

    def discover(self, **more):
        mapping = {"cluster": self.cluster, "service": self.service, "port": PORT}
        return {"ecs": {**mapping, "interval": "1s", **more}}

    def start(self, count):
        made = []
        while len(made) < count:
            answer = self.ecs.run_task(
                cluster=self.cluster,
                taskDefinition=self.definition,
                launchType="FARGATE",
                count=min(count - len(made), 10),
                networkConfiguration=self.network,
                group=f"service:{self.service}",
                startedBy=self.deployment,
            )
            made += [task["taskArn"] for task in answer["tasks"]]
        return made

    def stop(self, arns):
        for arn in arns:
            self.ecs.stop_task(cluster=self.cluster, task=arn)

    def sees(self):
        pages = self.ecs.get_paginator("list_tasks").paginate(
            cluster=self.cluster, serviceName=self.service
        )
        arns = [arn for page in pages for arn in page["taskArns"]]
        tasks = []
        for start in range(0, len(arns), 100):
            answer = self.ecs.describe_tasks(cluster=self.cluster, tasks=arns[start : start + 100])
            assert not answer["failures"]
            tasks += answer["tasks"]
        return [
            {"id": task["taskArn"], "address": f"{_eni_address(task)}:{PORT}"}
            for task in tasks
            if (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING")
        ]


class HostTasks:
    """Tasks on instances of ours, with the instance's own address and port."""

    fields = ("address",)

    def __init__(self, moto, cluster="prod", service="api"):
        self.cluster, self.service, self.ecs = cluster, service, moto.client("ecs")
        self.instances = Instances(moto)
        moto.hold_state("ecs::task")
        self.ecs.create_cluster(clusterName=cluster)
        ports = [{"containerPort": PORT, "hostPort": PORT}]
        self.definition = self.ecs.register_task_definition(
            family=service,
            networkMode="host",
            containerDefinitions=[
                {"name": "app", "image": "app", "memory": 128, "cpu": 1, "portMappings": ports}
            ],
        )["taskDefinition"]["taskDefinitionArn"]
        self.ecs.create_service(
            cluster=cluster,
            serviceName=service,
            taskDefinition=self.definition,
            desiredCount=0,
            launchType="EC2",
        )

    def discover(self, **more):
        mapping = {"cluster": self.cluster, "service": self.service, "port": PORT}
        return {"ecs": {**mapping, "interval": "1s", **more}}

    def start(self, count):
        """Each on an instance of its own."""
        ids = self.instances.launch(count)
        for each in ids:
            self.ecs.register_container_instance(
                cluster=self.cluster, instanceIdentityDocument=json.dumps({"instanceId": each})
            )
        every = self.ecs.list_container_instances(cluster=self.cluster)["containerInstanceArns"]
        deployment = self.ecs.describe_services(cluster=self.cluster, services=[self.service])
        self.ecs.start_task(
            cluster=self.cluster,
            taskDefinition=self.definition,
            containerInstances=every,
            group=f"service:{self.service}",
            startedBy=deployment["services"][0]["deployments"][0]["id"],
        )
        return ids


def _eni_address(task):
    details = task["attachments"][0]["details"]
    return next(d["value"] for d in details if d["name"] == "privateIPv4Address")


class TargetGroup:
    """An ELBv2 target group of addresses or of instances."""

    fields = ("address",)

    def __init__(self, moto, kind="ip", name="front"):
        self.kind, self.name, self.elb = kind, name, moto.client("elbv2")
        self.instances = Instances(moto)
        vpc = self.instances.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.arn = self.elb.create_target_group(
            Name=name, Protocol="TCP", Port=PORT, VpcId=vpc, TargetType=kind
        )["TargetGroups"][0]["TargetGroupArn"]

    def discover(self, **more):
        return {"elbv2": {"target_group": self.name, "interval": "1s", **more}}

    def register(self, targets):
        """(id, port) each."""
        self.elb.register_targets(
            TargetGroupArn=self.arn, Targets=[{"Id": i, "Port": p} for i, p in targets]
        )

    def deregister(self, targets):
        self.elb.deregister_targets(
            TargetGroupArn=self.arn, Targets=[{"Id": i, "Port": p} for i, p in targets]
        )

    def sees(self):
        answer = self.elb.describe_target_health(TargetGroupArn=self.arn)
        usable = [
            (each["Target"]["Id"], each["Target"]["Port"])
            for each in answer["TargetHealthDescriptions"]
            if each["TargetHealth"]["State"] in ("healthy", "unavailable", "unused")
        ]
        if self.kind == "ip":
            return [{"address": f"{host}:{port}"} for host, port in usable]
        ids = sorted({each for each, _ in usable})
        answer = self.instances.ec2.describe_instances(InstanceIds=ids) if ids else {}
        host = {
            i["InstanceId"]: i["PrivateIpAddress"]
            for r in answer.get("Reservations", [])
            for i in r["Instances"]
        }
        return [{"address": f"{host[each]}:{port}"} for each, port in usable]


class Names:
    """Instances of a Cloud Map service."""

    fields = ("id", "address", "zone", "weight")

    def __init__(self, moto, namespace="internal", service="api"):
        self.namespace, self.service = namespace, service
        self.map, self.ec2 = moto.client("servicediscovery"), moto.client("ec2")
        self.map.create_http_namespace(Name=namespace)
        found = self.map.list_namespaces()["Namespaces"]
        where = next(each["Id"] for each in found if each["Name"] == namespace)
        made = self.map.create_service(Name=service, NamespaceId=where, Type="HTTP")
        self.id = made["Service"]["Id"]

    def discover(self, **more):
        mapping = {"namespace": self.namespace, "service": self.service}
        weight = {"from_attributes": {"weight": "weight"}}
        return {"cloudmap": {**mapping, **weight, "interval": "1s", **more}}

    def register(self, name, host, port=PORT, **attributes):
        every = {"AWS_INSTANCE_IPV4": host, "AWS_INSTANCE_PORT": str(port), **attributes}
        self.map.register_instance(ServiceId=self.id, InstanceId=name, Attributes=every)

    def deregister(self, name):
        self.map.deregister_instance(ServiceId=self.id, InstanceId=name)

    def sees(self):
        answer = self.map.discover_instances(
            NamespaceName=self.namespace,
            ServiceName=self.service,
            MaxResults=1000,
            HealthStatus="HEALTHY",
        )
        zones = zone_ids(self.ec2)
        return [
            _named(each["InstanceId"], each["Attributes"], zones) for each in answer["Instances"]
        ]


def _named(name, attributes, zones):
    return {
        "id": name,
        "address": f"{attributes['AWS_INSTANCE_IPV4']}:{attributes['AWS_INSTANCE_PORT']}",
        "zone": zones.get(attributes.get("AVAILABILITY_ZONE")),
        "weight": int(attributes.get("weight", 100)),
    }
