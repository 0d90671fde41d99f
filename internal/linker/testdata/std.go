// A program that draws in much of the standard library.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	_ "embed"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"unique"
)

type point struct {
	X, Y int
	Tags map[string][]string `json:",omitempty"`
}

var page = template.Must(template.New("page").Parse(`<p>{{range .}}{{.X}},{{.Y}};{{end}}</p>`))

//go:embed std.go
var source string

func main() {
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(point{1, 2, map[string][]string{"path": strings.Split(r.URL.Path, "/")}})
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	server.Client().Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS13

	var got []point
	for i := range 20 {
		resp, err := server.Client().Get(fmt.Sprintf("%s/a/%d", server.URL, i))
		if err != nil {
			log.Fatal(err)
		}
		var p point
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		got = append(got, p)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(got); err != nil {
		log.Fatal(err)
	}
	var back []point
	if err := gob.NewDecoder(&buf).Decode(&back); err != nil {
		log.Fatal(err)
	}
	var html strings.Builder
	if err := page.Execute(&html, back[:2]); err != nil {
		log.Fatal(err)
	}
	same := unique.Make("a"+back[3].Tags["path"][1]) == unique.Make("aa")
	fmt.Println(html.String(), back[19].Tags["path"], same, netip.MustParseAddr("fe80::1%lo").Zone(),
		sha256.Sum256([]byte(source[:3])) != [32]byte{})
}
