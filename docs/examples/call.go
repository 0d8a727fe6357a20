// One call through the gate with Go's standard library, and a refusal told from data.
//
// DIR: where certs/ is. TOKEN: a purpose token. GATE: the gate's address.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	log.SetFlags(0)
	certs := os.Getenv("DIR") + "/certs/"
	authority, err := os.ReadFile(certs + "ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	own, err := tls.LoadX509KeyPair(certs+"clients/minzheng-aid.pem", certs+"clients/minzheng-aid.key")
	if err != nil {
		log.Fatal(err)
	}
	// No Proxy here: the gate has to see this program's own certificate.
	client := &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}},
			ForceAttemptHTTP2: true,
		},
	}

	url := setting("GATE", "https://localhost:8443") + "/population/residents?size=2&area=" + setting("AREA", "341091")
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	reply, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer reply.Body.Close()

	decoder := json.NewDecoder(reply.Body)
	if reply.StatusCode != http.StatusOK {
		var problem struct{ Code, Detail, Request_id string }
		if err := decoder.Decode(&problem); err != nil {
			log.Fatal(reply.Status, ": ", err)
		}
		log.Fatalf("%s: %s (%s)", problem.Code, problem.Detail, problem.Request_id)
	}
	var body struct{ Data []json.RawMessage }
	// A reply that was cut off is an error here.
	if err := decoder.Decode(&body); err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.StatusCode, reply.Header.Get("Pinegate-Grant"))
	for _, record := range body.Data {
		fmt.Println(string(record))
	}
}
