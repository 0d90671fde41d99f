#!/usr/bin/env bash
# Generates remotec.capnp.go from remotec.capnp, into this directory or the one
# given. It needs the capnp compiler; the plugin for Go is built from the module
# that go.mod names.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-.}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/capnpc-go" capnproto.org/go/capnp/v3/capnpc-go
std=$(go list -m -f '{{.Dir}}' capnproto.org/go/capnp/v3)/std
PATH=$tmp:$PATH capnp compile -I"$std" -ogo:"$out" remotec.capnp
