package osys

import (
	"bytes"
	"strconv"
	"syscall"

	"remotec.dev/runtimestub/wire"
)

// spawn starts a child process. See wire.NrSpawn for the blobs.
func (t *thread) spawn(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	path, e := t.program(c.Blobs[0])
	if e != 0 {
		return 0, 0, e
	}
	argv, ok1 := splitStrings(c.Blobs[1])
	env, ok2 := splitStrings(c.Blobs[2])
	if !ok1 || !ok2 || bytes.IndexByte(c.Blobs[3], 0) >= 0 || len(c.Blobs[4])%4 != 0 {
		return 0, 0, syscall.EINVAL
	}
	sys, pidfd, e := sysProcAttr(c.Blobs[5])
	if e != 0 {
		return 0, 0, e
	}
	if sys.Foreground && t.os.reserved(uint64(uint32(sys.Ctty))) || sys.UseCgroupFD && t.os.reserved(uint64(uint32(sys.CgroupFD))) {
		return 0, 0, syscall.EBADF
	}
	attr := &syscall.ProcAttr{Dir: string(c.Blobs[3]), Env: env, Sys: sys}
	for b := c.Blobs[4]; len(b) > 0; b = b[4:] {
		fd := int32(le32(b))
		if t.os.reserved(uint64(uint32(fd))) {
			return 0, 0, syscall.EBADF
		}
		attr.Files = append(attr.Files, uintptr(fd))
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, 0, errno(err)
	}
	t.os.children.add(pid)
	return uint64(pid), uint64(*pidfd), 0
}

// sysProcAttr decodes blob 5 of a spawn. The pidfd it points to is filled in
// by ForkExec when one is wanted.
func sysProcAttr(b []byte) (*syscall.SysProcAttr, *int, syscall.Errno) {
	pidfd := new(int)
	*pidfd = -1
	if b == nil {
		return &syscall.SysProcAttr{}, pidfd, 0
	}
	a, err := wire.GetSpawnAttr(b)
	if err != nil {
		return nil, nil, syscall.EINVAL
	}
	if a.Ptrace {
		return nil, nil, syscall.ENOSYS
	}
	sys := &syscall.SysProcAttr{
		Chroot: a.Chroot, Setsid: a.Setsid, Setpgid: a.Setpgid, Setctty: a.Setctty, Noctty: a.Noctty,
		Ctty: int(a.Ctty), Foreground: a.Foreground, Pgid: int(a.Pgid), Pdeathsig: syscall.Signal(a.Pdeathsig),
		Cloneflags: uintptr(a.Cloneflags), Unshareflags: uintptr(a.Unshareflags),
		UidMappings: idMaps(a.UidMappings), GidMappings: idMaps(a.GidMappings),
		GidMappingsEnableSetgroups: a.GidMappingsEnableSetgroups,
		UseCgroupFD:                a.UseCgroupFD, CgroupFD: int(a.CgroupFD),
	}
	if a.HasCredential {
		sys.Credential = &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups, NoSetGroups: a.NoSetGroups}
	}
	for _, v := range a.AmbientCaps {
		sys.AmbientCaps = append(sys.AmbientCaps, uintptr(v))
	}
	if a.WantPidFD {
		sys.PidFD = pidfd
	}
	return sys, pidfd, 0
}

func idMaps(maps []wire.IDMap) (out []syscall.SysProcIDMap) {
	for _, m := range maps {
		out = append(out, syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return out
}

// program is the path of a file to execute.
func (t *thread) program(path []byte) (string, syscall.Errno) {
	switch {
	case path == nil:
		return "", syscall.EFAULT
	case bytes.IndexByte(path, 0) >= 0:
		return "", syscall.EINVAL
	case t.os.proc.isExe(path):
		return t.os.proc.runnable(), 0
	}
	return string(path), 0
}

// splitStrings takes apart a vector of strings: each ends with a zero.
func splitStrings(b []byte) ([]string, bool) {
	if len(b) == 0 {
		return []string{}, true
	}
	if b[len(b)-1] != 0 {
		return nil, false
	}
	var out []string
	for _, s := range bytes.Split(b[:len(b)-1], []byte{0}) {
		out = append(out, string(s))
	}
	return out, true
}

// exec replaces the session process by another program; it returns only on
// failure. syscall.Exec gives back the limit on descriptors that the process
// started with, and waits for threads being created; the kernel resets caught
// signals and keeps ignored ones, as it would for the program itself.
func (t *thread) exec(c *wire.Call) syscall.Errno {
	path, vec := c.Blobs[0], 1
	if c.Nr == sysExecveat {
		vec = 2
	}
	argv, ok1 := splitStrings(c.Blobs[vec])
	env, ok2 := splitStrings(c.Blobs[vec+1])
	if !ok1 || !ok2 {
		return syscall.EINVAL
	}
	if c.Nr == sysExecveat {
		var e syscall.Errno
		if path, e = t.execveatPath(c); e != 0 {
			return e
		}
	}
	name, e := t.program(path)
	if e != 0 {
		return e
	}
	if t.os.cfg.Exec != nil {
		name, argv = t.os.cfg.Exec(name, argv)
	}
	return errno(syscall.Exec(name, argv, env))
}

// execveatPath names the file of an execveat by a path, through /proc where it
// is relative to a descriptor: syscall.Exec knows nothing else.
func (t *thread) execveatPath(c *wire.Call) ([]byte, syscall.Errno) {
	const atFdcwd, emptyPath = -100, 0x1000
	dir, path, flags := int32(c.Args[0]), c.Blobs[1], c.Args[4]
	if flags&^emptyPath != 0 {
		return nil, syscall.EINVAL
	}
	if t.os.reserved(uint64(uint32(dir))) {
		return nil, syscall.EBADF
	}
	switch {
	case path == nil:
		return nil, syscall.EFAULT
	case len(path) == 0 && flags&emptyPath == 0:
		return nil, syscall.ENOENT
	case dir == atFdcwd || len(path) > 0 && path[0] == '/':
		return path, 0
	}
	name := "/proc/self/fd/" + strconv.Itoa(int(dir))
	if len(path) > 0 {
		name += "/" + string(path)
	}
	return []byte(name), 0
}
