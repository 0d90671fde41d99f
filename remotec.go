// Package remotec carries the sources that are part of the tool as data: what
// is compiled into every remote binary, and what decides how it is compiled.
package remotec

import "embed"

// Stub holds the packages that are linked into every remote binary,
// runtimestub and runtimestub/wire.
//
//go:embed runtimestub/*.go runtimestub/wire/*.go
var Stub embed.FS

// Builder holds the sources that decide what a build produces. Their hash is
// part of the tool's identity in the build cache: a change of anything else,
// the runtime server for instance, does not make every remote binary stale.
//
//go:embed internal/instrument internal/linkname internal/toolexec internal/goosremote
var Builder embed.FS
