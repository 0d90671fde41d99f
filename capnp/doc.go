// Package capnp holds the schema of the API between a remote binary's runtime
// stub and a runtime server, remotec.capnp, and the Go code that is generated
// from it. docs/api.md tells the protocol. Package remotec.dev/runtimestub/wire
// reads and writes the same messages without this code.
package capnp

//go:generate ./generate.sh
