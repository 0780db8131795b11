"""What the stack promises while nothing is wrong: it starts from nothing, works, is watched, keeps strangers out."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import httpx
from PIL import Image

from deploy.local.sample import draw_sample
from pipeline.routing import OUTBOUND_QUEUES, QUEUES
from tests.compose.failed import expect
from tests.compose.load import LoadGenerator, wait_until
from tests.compose.project import PORTS, Project

SIZES = {"small": (120, 160), "medium": (480, 640), "large": (1200, 1600)}  # of the upright sample, 3 by 4
SAMPLE = "sample.jpg"
ONE_SHOTS = {"secrets", "configuration"}
LISTENERS = {"redis": 6379, "gateway": 8001, "frontend": 8000, "flower": 5555, "prometheus": 9090, "grafana": 3000}
# Prints which of the services in `targets` (name, address, port) take a connection, through any interface: a socket
# that is bound to one (SO_BINDTODEVICE) also reaches addresses to which no route leads.
REACH = """
import itertools, json, socket
from concurrent.futures import ThreadPoolExecutor
def reach(way):
    (name, address, port), (_, interface) = way
    with socket.socket() as connection:
        connection.settimeout(3)
        try:
            if interface:
                connection.setsockopt(socket.SOL_SOCKET, 25, interface.encode())
            connection.connect((address, port))
        except OSError:
            return None
    return name
ways = itertools.product(targets, [(0, ""), *socket.if_nameindex()])
with ThreadPoolExecutor(100) as pool:
    print(json.dumps(sorted({name for name in pool.map(reach, ways) if name})))
"""


def start(project: Project) -> str:
    """Publish a version, and start from nothing but its `compose.yml`, without a file `.env`."""
    project.publish("1.0.0")
    project.fetch("1.0.0")
    project.start()
    states = {found["Config"]["Labels"]["com.docker.compose.service"]: found for found in project.containers()}
    healthy = {name for name, found in states.items() if found["State"].get("Health", {}).get("Status") == "healthy"}
    expect(set(states) - healthy == ONE_SHOTS, f"not healthy: {set(states) - healthy}")
    sizes = project.compose("images", "--format", "json").stdout
    image = next(found for found in json.loads(sizes) if found["Repository"] == f"{project.namespace}/darkroom")
    return f"{len(healthy)} containers healthy; the image has {image['Size'] / 1e6:.0f} MB"


def upload(load: LoadGenerator, folder: Path) -> str:
    """Upload a photo as the page does; its stages and previews."""
    photo = draw_sample(folder / SAMPLE)
    job = load.job(load.upload(photo.read_bytes()), wait=60)
    expect(job["status"] == "done", f"the sample ended {job['status']}: {job}")
    for name, content in load.previews(job["task_id"]).items():
        with Image.open(io.BytesIO(content)) as preview:
            expect(preview.size == SIZES[name], f"{name} is {preview.size}")
    stages = ", ".join(f"{name} {stage['state']}" for name, stage in job["stages"].items())
    return f"{stages}; {', '.join(f'{name} {width}x{height}' for name, (width, height) in SIZES.items())}"


def check_published_ports(project: Project) -> str:
    """What is published is there, on the loopback address, and nothing else is."""
    for service, path in (("frontend", "/"), ("gateway", "/docs")):
        status = httpx.get(project.url(service) + path).status_code
        expect(status == httpx.codes.OK, f"{service}{path} answers {status}")
    bindings = [
        binding
        for found in project.containers()
        for bound in found["NetworkSettings"]["Ports"].values()
        for binding in bound or []
    ]
    expect({binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, f"published elsewhere: {bindings}")
    expect(len(bindings) == len(PORTS), f"published: {bindings}")
    return f"{len(bindings)} ports, all on 127.0.0.1"


def check_prometheus_targets(project: Project) -> str:
    """Prometheus reaches every process, each container of a pool."""
    expected = len(project.containers("gateway")) + 3  # nginx, Flower and itself
    expected += project.environment.get("COMPOSE_PROFILES") == "backups"
    expected += sum(len(project.containers(f"worker-{queue}")) for queue in QUEUES)

    def up() -> Counter[str]:
        found = httpx.get(f"{project.url('prometheus')}/api/v1/targets").json()["data"]["activeTargets"]
        healthy = Counter(str(target["scrapePool"]) for target in found if target["health"] == "up")
        return healthy if healthy.total() == len(found) == expected else Counter()

    found = wait_until(up, f"{expected} targets up", 90)
    rules = httpx.get(f"{project.url('prometheus')}/api/v1/rules").json()["data"]["groups"]
    expect(bool(rules), "Prometheus has no rules")
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))


def check_tools(project: Project) -> str:
    """Flower lists every worker, Grafana has its dashboards; the passwords are those that `secrets show` tells."""
    lines = project.compose("run", "--rm", "-T", "secrets", "show").stdout.decode().splitlines()
    logins = {line.split()[0]: (line.split()[2], line.split()[4]) for line in lines}

    def workers() -> set[str]:
        answer = httpx.get(f"{project.url('flower')}/workers", params={"json": 1}, auth=logins["flower"])
        online = {worker["hostname"].split("@")[0] for worker in answer.json()["data"] if worker["status"]}
        return online if online == set(QUEUES) else set()

    wait_until(workers, "every worker in Flower", 60)
    boards = len(list((project.tree / "deploy" / "grafana" / "dashboards").glob("*.json")))
    health = httpx.get(f"{project.url('grafana')}/api/health").json()
    expect(health["database"] == "ok", f"Grafana says {health}")
    if "version" in health:
        found = httpx.get(f"{project.url('grafana')}/api/search", params={"type": "dash-db"}, auth=logins["grafana"])
        expect(len(found.raise_for_status().json()) == boards, f"Grafana has {found.json()}, not {boards} dashboards")
    else:  # an image that only reads what is provisioned
        expect(health.get("dashboards") == boards, f"Grafana has {health}, not {boards} dashboards")
    return f"Flower lists {len(QUEUES)} pools, Grafana has {boards} dashboards"


def check_access(project: Project) -> str:
    """Nobody comes in without a password, and those with one can do no more than they must."""
    refused = ["Flower"]
    for auth in (None, ("darkroom", "darkroom")):
        status = httpx.get(project.url("flower"), auth=auth).status_code
        expect(status == httpx.codes.UNAUTHORIZED, f"Flower answers {status} to {auth}")
    if "version" in httpx.get(f"{project.url('grafana')}/api/health").json():
        for auth in (None, ("admin", "admin")):
            status = httpx.get(f"{project.url('grafana')}/api/org", auth=auth).status_code
            expect(status == httpx.codes.UNAUTHORIZED, f"Grafana answers {status} to {auth}")
        refused.append("Grafana")
    redis = "import redis; from pipeline.settings import Settings; "
    trials = {
        "Redis": f"{redis} redis.Redis('redis').get('validate')",
        "FLUSHALL": f"{redis} redis.Redis.from_url(Settings().redis_url).flushall()",
        "CONFIG": f"{redis} redis.Redis.from_url(Settings().redis_url).config_get('*')",
        "writing into the image": "open('/app/gateway/app.py', 'a')",
        "going out from a worker": "import socket; socket.create_connection(('192.0.2.1', 80), 3)",
    }
    if project.has_mongo_users:
        trials["MongoDB"] = "import pymongo; pymongo.MongoClient('mongo').darkroom.jobs.find_one()"
        trials["other databases"] = (
            "import pymongo; from pipeline.settings import Settings; "
            "pymongo.MongoClient(Settings().mongo_url).admin.command('shutdown')"
        )
    for what, code in trials.items():
        expect(project.python("worker-finalize", code).returncode != 0, f"not refused: {what}")
    return ", ".join([*refused, *trials])


def check_ways_out(project: Project) -> str:
    """Of the workers, those of `fetch` and `notify` alone have a route to other hosts. No packet is sent."""
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    having = {queue for queue in QUEUES if project.python(f"worker-{queue}", code).returncode == 0}
    expect(having == set(OUTBOUND_QUEUES), f"a route to the outside have {having}")
    return ", ".join(sorted(having))


def check_separation(project: Project) -> str:
    """A worker opens connections to the stores, and to nothing that serves people."""
    targets = [
        (service, network["IPAddress"], port)
        for service, port in LISTENERS.items()
        for found in project.containers(service)
        for network in found["NetworkSettings"]["Networks"].values()
    ]
    done = project.python("worker-finalize", f"targets = {targets!r}{REACH}")
    reached = json.loads(done.stdout or "null")
    expect(reached == ["redis"], f"a worker reaches {reached} {done.stderr.decode(errors='replace')[-500:]}")
    return f"redis; not {', '.join(service for service in LISTENERS if service not in reached)}"


def check_settings(project: Project) -> str:
    """`check` finds no mistake in a stack that runs, and names one in `.env` before anything is replaced."""
    found = project.compose("run", "--rm", "-T", "check").stdout.decode().splitlines()
    mistaken = project.site / ".env"
    mistaken.write_text("DARKROOM_LIMITS__PIXEL=1\n")
    try:
        failed = project.compose("run", "--rm", "-T", "check", check=False)
    finally:
        mistaken.unlink()
    said = (failed.stdout + failed.stderr).decode()
    expect(failed.returncode != 0 and "DARKROOM_LIMITS__PIXELS" in said, f"a typo is answered {said[-500:]}")
    return f"{len(found)} lines, no error; a typo is told"


def check_redis_denials(project: Project) -> str:
    """Redis refused no command for want of rights since its start, neither ours nor those that it replayed."""
    code = (
        "import json, redis; from pipeline.settings import Settings; "
        "print(json.dumps(redis.Redis.from_url(Settings().redis_url).info('errorstats')))"
    )
    errors = json.loads(project.python("gateway", code).stdout)
    expect("errorstat_NOPERM" not in errors, f"Redis' access list is too narrow: {errors}")
    return "none"
