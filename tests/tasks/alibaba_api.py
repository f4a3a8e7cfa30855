"""A local HTTP server that answers as Alibaba Cloud's API does: operation -> body, or HTTP status and error code.

Bodies have the shape and the field names of the API reference's examples (RDS 2014-08-15, PolarDB 2017-08-01, R-KVStore
2015-01-01, DDS 2015-12-01, VPC 2016-04-28, STS 2015-04-01).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Query = Mapping[str, str]
Answer = Mapping[str, Any] | tuple[int, str] | Callable[[Query], Any]


@dataclass
class Api:
    """The server: what it answers, and what it was asked.

    Attributes:
        asked: Operation, query and headers of every request.
    """

    answers: dict[str, Answer]
    url: str = ""
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def operations(self) -> list[str]:
        """What was asked, in order."""
        return [operation for operation, _, _ in self.asked]

    def answer(self, operation: str, query: dict[str, str]) -> tuple[int, Mapping[str, Any]]:
        """HTTP status and body."""
        found = self.answers.get(operation, (404, "InvalidAction.NotFound"))
        if callable(found):
            found = found(query)
        if isinstance(found, tuple):
            status, code = found
            told = {"HostId": "rds.aliyuncs.com", "Recommend": "https://api.alibabacloud.com/troubleshoot"}
            return status, {"RequestId": "77C1", **told, "Code": code, "Message": "Nur für Menschen."}
        return 200, {"RequestId": "777C4593-8053-427B-99E2-105593277CAB", **found}


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[Api]:
    """The API for as long as the block lasts. An operation that is answered with `MUTE` is never answered."""
    api = Api(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            operation = self.headers["x-acs-action"]
            query = dict(parse_qsl(urlsplit(self.path).query))
            api.asked.append((operation, query, dict(self.headers)))
            if api.answers.get(operation) is MUTE:
                api.release.wait(30)
                return
            status, body = api.answer(operation, query)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json;charset=utf-8")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.release.set()
        server.shutdown()
        server.server_close()


MUTE: Mapping[str, Any] = {"mute": True}

GROUP_VPC = "vpc-group"

RDS: dict[str, Answer] = {
    "DescribeDBInstanceAttribute": {
        "Items": {
            "DBInstanceAttribute": [
                {
                    "DBInstanceId": "pgm-bp1example",
                    "RegionId": "cn-hangzhou",
                    "DBInstanceStatus": "Running",
                    "LockMode": "Unlock",
                    "Engine": "PostgreSQL",
                    "VpcId": "vpc-bp1",
                    "InstanceNetworkType": "VPC",
                    "ReadOnlyDBInstanceIds": {"ReadOnlyDBInstanceId": []},
                }
            ]
        }
    },
    "DescribeDBInstanceNetInfo": {
        "InstanceNetworkType": "VPC",
        "SecurityIPMode": "normal",
        "DBInstanceNetInfos": {
            "DBInstanceNetInfo": [
                {
                    "ConnectionString": "pgm-bp1example.pg.rds.aliyuncs.com",
                    "ConnectionStringType": "Normal",
                    "IPAddress": "172.16.0.10",
                    "IPType": "Private",
                    "Port": "5432",
                    "VPCId": "vpc-bp1",
                    "VSwitchId": "vsw-bp1",
                },
                {
                    "ConnectionString": "pgm-bp1examplepub.pg.rds.aliyuncs.com",
                    "ConnectionStringType": "Normal",
                    "IPAddress": "47.96.0.10",
                    "IPType": "Public",
                    "Port": "5433",
                    "VPCId": "",
                    "VSwitchId": "",
                },
            ]
        },
    },
    "DescribeDBInstanceIPArrayList": {
        "Items": {
            "DBInstanceIPArray": [
                {
                    "DBInstanceIPArrayName": "default",
                    "DBInstanceIPArrayAttribute": "",
                    "SecurityIPType": "IPv4",
                    "SecurityIPList": "10.1.0.0/24,47.97.0.1",
                },
                {
                    "DBInstanceIPArrayName": "hdm_security_ips",
                    "DBInstanceIPArrayAttribute": "hidden",
                    "SecurityIPType": "IPv4",
                    "SecurityIPList": "100.104.0.0/16",
                },
            ]
        }
    },
    "DescribeSecurityGroupConfiguration": {
        "DBInstanceName": "pgm-bp1example",
        "Items": {"EcsSecurityGroupRelation": []},
    },
    "DescribeDBInstanceSSL": {
        "SSLEnabled": "on",
        "ForceEncryption": "1",
        "SSLExpireTime": "2099-10-11T08:16:43Z",
        "RequireUpdate": "No",
        "ConnectionString": "pgm-bp1example.pg.rds.aliyuncs.com",
    },
}

POLARDB: dict[str, Answer] = {
    "DescribeDBClusterAttribute": {
        "DBClusterId": "pc-bp1example",
        "DBClusterStatus": "Running",
        "LockMode": "Unlock",
        "RegionId": "cn-hangzhou",
        "VPCId": "vpc-bp1",
        "DBType": "MySQL",
    },
    "DescribeDBClusterEndpoints": {
        "Items": [
            {
                "DBEndpointId": "pe-primary",
                "EndpointType": "Primary",
                "AddressItems": [
                    {
                        "ConnectionString": "pc-bp1example.mysql.polardb.rds.aliyuncs.com",
                        "NetType": "Private",
                        "Port": "3306",
                        "IPAddress": "172.16.0.11",
                        "VPCId": "vpc-bp1",
                        "VSwitchId": "vsw-bp1",
                    }
                ],
            },
            {
                "DBEndpointId": "pe-readers",
                "EndpointType": "Custom",
                "ReadWriteMode": "ReadOnly",
                "AddressItems": [
                    {
                        "ConnectionString": "readers.mysql.polardb.rds.aliyuncs.com",
                        "NetType": "Private",
                        "Port": "3307",
                        "VPCId": "vpc-bp1",
                    }
                ],
            },
            {
                "DBEndpointId": "pe-team",
                "EndpointType": "Custom",
                "ReadWriteMode": "ReadWrite",
                "AddressItems": [
                    {"ConnectionString": "team.mysql.polardb.rds.aliyuncs.com", "NetType": "Private", "Port": "3306"}
                ],
            },
        ]
    },
    "DescribeDBClusterAccessWhitelist": {
        "Items": {
            "DBClusterIPArray": [
                {"DBClusterIPArrayName": "default", "DBClusterIPArrayAttribute": "", "SecurityIps": "10.1.0.0/24"}
            ]
        },
        "DBClusterSecurityGroups": {
            "DBClusterSecurityGroup": [{"SecurityGroupId": "sg-bp1", "SecurityGroupName": "sg_bp1"}]
        },
    },
    "DescribeDBClusterSSL": {
        "Items": [{"DBEndpointId": "pe-primary", "SSLEnabled": "Disabled", "SSLExpireTime": ""}],
    },
}

REDIS: dict[str, Answer] = {
    "DescribeInstanceAttribute": {
        "Instances": {
            "DBInstanceAttribute": [
                {
                    "InstanceId": "r-bp1example",
                    "RegionId": "cn-hangzhou",
                    "InstanceStatus": "Normal",
                    "VpcId": "vpc-bp1",
                    "NetworkType": "VPC",
                }
            ]
        }
    },
    "DescribeDBInstanceNetInfo": {
        "InstanceNetworkType": "VPC",
        "NetInfoItems": {
            "InstanceNetInfo": [
                {
                    "ConnectionString": "r-bp1example.redis.rds.aliyuncs.com",
                    "Port": "6379",
                    "DBInstanceNetType": "2",
                    "IPType": "Private",
                    "VPCId": "vpc-bp1",
                    "IPAddress": "172.16.0.12",
                },
                {
                    "ConnectionString": "r-bp1examplepd.redis.rds.aliyuncs.com",
                    "Port": "6379",
                    "DBInstanceNetType": "0",
                    "IPType": "Public",
                    "VPCId": "",
                },
            ]
        },
    },
    "DescribeSecurityIps": {
        "SecurityIpGroups": {
            "SecurityIpGroup": [
                {"SecurityIpGroupName": "default", "SecurityIpGroupAttribute": "", "SecurityIpList": "127.0.0.1"}
            ]
        }
    },
    "DescribeSecurityGroupConfiguration": {"Items": {"EcsSecurityGroupRelation": []}},
    "DescribeInstanceSSL": {
        "InstanceId": "r-bp1example",
        "CertCommonName": "r-bp1example.redis.rds.aliyuncs.com",
        "SSLEnabled": "Enable",
        "SSLExpiredTime": "2099-10-11T08:16:43Z",
    },
}

MONGODB: dict[str, Answer] = {
    "DescribeDBInstanceAttribute": {
        "DBInstances": {
            "DBInstance": [
                {
                    "DBInstanceId": "dds-bp1example",
                    "RegionId": "cn-hangzhou",
                    "DBInstanceStatus": "Running",
                    "DBInstanceType": "replicate",
                    "LockMode": "Unlock",
                    "VPCId": "vpc-bp1",
                }
            ]
        }
    },
    "DescribeReplicaSetRole": {
        "DBInstanceId": "dds-bp1example",
        "ReplicaSets": {
            "ReplicaSet": [
                {
                    "ReplicaSetRole": "Primary",
                    "ConnectionDomain": "dds-bp1example1.mongodb.rds.aliyuncs.com",
                    "ConnectionPort": "3717",
                    "NetworkType": "VPC",
                },
                {
                    "ReplicaSetRole": "Primary",
                    "ConnectionDomain": "dds-bp1example1-pub.mongodb.rds.aliyuncs.com",
                    "ConnectionPort": "3717",
                    "NetworkType": "Public",
                },
            ]
        },
    },
    "DescribeSecurityIps": {
        "SecurityIps": "10.1.0.0/24",
        "SecurityIpGroups": {
            "SecurityIpGroup": [
                {"SecurityIpGroupName": "default", "SecurityIpGroupAttribute": "", "SecurityIpList": "10.1.0.0/24"}
            ]
        },
    },
    "DescribeSecurityGroupConfiguration": {"Items": {"RdsEcsSecurityGroupRel": []}},
    "DescribeDBInstanceSSL": {
        "SSLStatus": "Closed",
        "ForceEncryption": "0",
        "SSLExpiredTime": "",
        "CertCommonName": "",
    },
}


def _vswitches(query: Query) -> Mapping[str, Any]:
    known = {
        GROUP_VPC: ("vsw-group", "10.1.0.0/24"),
        "vpc-bp1": ("vsw-bp1", "172.16.0.0/24"),
    }
    rows = [known[query["VpcId"]]] if query["VpcId"] in known else []
    return {
        "PageNumber": 1,
        "PageSize": 50,
        "TotalCount": len(rows),
        "VSwitches": {
            "VSwitch": [
                {
                    "VSwitchId": id_,
                    "CidrBlock": cidr,
                    "VpcId": query["VpcId"],
                    "Status": "Available",
                    "RouteTable": {"RouteTableId": f"vtb-{id_}", "RouteTableType": "System"},
                }
                for id_, cidr in rows
            ]
        },
    }


VPC: dict[str, Answer] = {
    "DescribeVSwitches": _vswitches,
    "DescribeNatGateways": {
        "PageNumber": 1,
        "PageSize": 50,
        "TotalCount": 1,
        "NatGateways": {
            "NatGateway": [
                {
                    "NatGatewayId": "ngw-bp1",
                    "VpcId": GROUP_VPC,
                    "RegionId": "cn-hangzhou",
                    "Status": "Available",
                    "NatType": "Enhanced",
                    "NetworkType": "internet",
                    "BusinessStatus": "Normal",
                    "SnatTableIds": {"SnatTableId": ["stb-bp1"]},
                }
            ]
        },
    },
    "DescribeSnatTableEntries": {
        "PageNumber": 1,
        "PageSize": 50,
        "TotalCount": 1,
        "SnatTableEntries": {
            "SnatTableEntry": [
                {
                    "SnatEntryId": "snat-bp1",
                    "SnatTableId": "stb-bp1",
                    "NatGatewayId": "ngw-bp1",
                    "SnatIp": "47.97.0.1",
                    "SourceVSwitchId": "vsw-group",
                    "SourceCIDR": "10.1.0.0/24",
                    "Status": "Available",
                }
            ]
        },
    },
    "DescribeEipAddresses": {
        "PageNumber": 1,
        "PageSize": 50,
        "TotalCount": 1,
        "EipAddresses": {
            "EipAddress": [
                {
                    "AllocationId": "eip-bp1",
                    "IpAddress": "47.97.0.1",
                    "Status": "InUse",
                    "InstanceId": "ngw-bp1",
                    "InstanceType": "Nat",
                    "RegionId": "cn-hangzhou",
                }
            ]
        },
    },
    "DescribeRouteEntryList": {
        "TotalCount": 1,
        "RouteEntrys": {
            "RouteEntry": [
                {
                    "DestinationCidrBlock": "10.0.0.0/8",
                    "RouteTableId": "vtb-vsw-group",
                    "Status": "Available",
                    "Type": "Custom",
                    "NextHops": {"NextHop": [{"NextHopId": "cen-bp1", "NextHopType": "Attachment"}]},
                }
            ]
        },
    },
}

STS: dict[str, Answer] = {
    "AssumeRole": {
        "AssumedRoleUser": {"Arn": "acs:ram::1234:role/reader/headwater", "AssumedRoleId": "34458433936495:headwater"},
        "Credentials": {
            "AccessKeyId": "STS.L4aBSCSJVMuKg5U1vFDw",
            "AccessKeySecret": "wyLTSmsyPGP1ohvvw8xYgB29dlGI8KMiH2pKCNZ9",
            "SecurityToken": "CAESrAIIARKAAShQquMnLIlbvEcIxO6wCoqJufs8sWwieUxu45hS9AvKNEte8KRUWiJWJ6Y",
            "Expiration": "2099-04-09T11:52:19Z",
        },
    }
}
