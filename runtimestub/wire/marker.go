package wire

// Marker precedes the API version in every remote binary: the stub holds it
// as an initialised variable, followed by the version in decimal and a NUL,
// so that a server can tell a remote binary from any other without running
// it. It starts with a byte that no text has.
const Marker = "\xffremotec stub\x00api="
