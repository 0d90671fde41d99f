package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// nearName is the abstract unix socket beside a TCP port, followed by the
// port: programs on the same host prefer it, because descriptors can travel
// over it.
const nearName = "@remotec-serve-"

// socket is a listening socket.
type socket struct {
	fd   int
	unix bool
}

// listener is all that a master listens on.
type listener struct {
	addr    string // as clients name it
	token   string // that TCP clients must present
	sockets []socket
	cleanup []string // files to remove
	once    sync.Once
}

// listen opens the sockets for addr. They are blocking ones: the goroutines
// that accept have a thread each, and frames are read with plain calls.
func listen(addr, token string) (*listener, error) {
	l := &listener{addr: addr, token: token}
	var err error
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		err = l.unix(path)
	} else {
		err = l.tcp(addr)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close stops listening and removes the files.
func (l *listener) close() {
	l.once.Do(func() {
		for _, s := range l.sockets {
			syscall.Shutdown(s.fd, syscall.SHUT_RDWR) // wakes accept
			syscall.Close(s.fd)
		}
		for _, name := range l.cleanup {
			os.Remove(name)
		}
	})
}

func (l *listener) unix(path string) error {
	if path == "" {
		return errors.New("listening on unix: no path")
	}
	if err := removeStale(path); err != nil {
		return err
	}
	fd, err := listenUnix(path)
	if err != nil {
		return err
	}
	l.sockets = append(l.sockets, socket{fd, true})
	if path[0] != '@' {
		l.cleanup = append(l.cleanup, path)
		// Peers are checked too; this keeps others from filling the queue.
		return os.Chmod(path, 0o600)
	}
	return nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	if st.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listening on unix:%s: the file exists and is not a socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("listening on unix:%s: another server is there", path)
	}
	return os.Remove(path)
}

func listenUnix(path string) (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err == nil {
		err = syscall.Listen(fd, syscall.SOMAXCONN)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, fmt.Errorf("listening on unix:%s: %w", path, err)
	}
	return fd, nil
}

func (l *listener) tcp(addr string) error {
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w; want host:port or unix:/path", addr, err)
	}
	if !at.IP.IsLoopback() && l.token == "" {
		return fmt.Errorf("listening on %s: an address that other machines reach needs a token: set one with -token or REMOTEC_TOKEN, or use a loopback address", addr)
	}
	fd, port, err := listenTCP(at)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	l.sockets = append(l.sockets, socket{fd, false})
	host, _, _ := net.SplitHostPort(addr)
	l.addr = net.JoinHostPort(host, strconv.Itoa(port))
	near, err := listenUnix(nearName + strconv.Itoa(port))
	if err != nil {
		return err
	}
	l.sockets = append(l.sockets, socket{near, true})
	if l.token != "" {
		return nil
	}
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand
	l.token = hex.EncodeToString(b)
	name, err := TokenFile(port)
	if err != nil {
		return err
	}
	l.cleanup = append(l.cleanup, name)
	os.Remove(name) // of a server that had the port before
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(l.token)
	return errors.Join(err, f.Close())
}

func listenTCP(at *net.TCPAddr) (fd, port int, err error) {
	addr := at.AddrPort()
	ip := addr.Addr().Unmap()
	family := syscall.AF_INET6
	var sa syscall.Sockaddr = &syscall.SockaddrInet6{Port: at.Port, Addr: ip.As16()}
	switch {
	case !ip.IsValid():
		sa = &syscall.SockaddrInet6{Port: at.Port} // all addresses, of IPv4 too
	case ip.Is4():
		family, sa = syscall.AF_INET, &syscall.SockaddrInet4{Port: at.Port, Addr: ip.As4()}
	}
	fd, err = syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, sa)
	}
	if err == nil {
		err = syscall.Listen(fd, syscall.SOMAXCONN)
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, 0, err
	}
	switch v := name.(type) {
	case *syscall.SockaddrInet4:
		port = v.Port
	case *syscall.SockaddrInet6:
		port = v.Port
	}
	return fd, port, nil
}

// TokenFile is where the server on a TCP port of this host leaves its token
// for programs and tools of the same user. The directory is made when it is
// missing, and refused where another user could have made it.
func TokenFile(port int) (string, error) {
	dir := fmt.Sprintf("/tmp/remotec-%d", os.Getuid())
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || st.Mode().Perm()&0o077 != 0 || !ok || int(sys.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is to hold tokens and is not a directory of this user's alone: remove it", dir)
	}
	return filepath.Join(dir, "tcp-"+strconv.Itoa(port)+".token"), nil
}

// addrString writes a socket address for people.
func addrString(sa syscall.Sockaddr) string {
	switch v := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(v.Addr), uint16(v.Port)).String()
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(v.Addr).Unmap(), uint16(v.Port)).String()
	}
	return onHost
}

// onHost stands for the address of a unix socket's peer.
const onHost = "this host"
