"""One call through the gate with Python's standard library, and a refusal told from data.

DIR: where certs/ is. TOKEN: a purpose token. GATE: the gate's address.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

directory, token = os.environ["DIR"], os.environ["TOKEN"]
gate = os.environ.get("GATE", "https://localhost:8443")

tls = ssl.create_default_context(cafile=f"{directory}/certs/ca.pem")
tls.load_cert_chain(f"{directory}/certs/clients/minzheng-aid.pem", f"{directory}/certs/clients/minzheng-aid.key")
# No proxy of the environment: the gate has to see this program's own certificate.
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), urllib.request.ProxyHandler({}))

query = urllib.parse.urlencode({"area": os.environ.get("AREA", "341091"), "size": 2})
request = urllib.request.Request(f"{gate}/population/residents?{query}", headers={"Authorization": f"Bearer {token}"})
try:
    with opener.open(request, timeout=30) as reply:
        # A reply that was cut off raises IncompleteRead here.
        body = json.load(reply)
except urllib.error.HTTPError as refusal:
    problem = json.load(refusal)
    sys.exit(f"{problem['code']}: {problem['detail']} ({problem['request_id']})")

print(reply.status, reply.headers["Pinegate-Grant"])
for record in body["data"]:
    print(json.dumps(record, ensure_ascii=False))
