package runtimestub

import (
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// spawnRequest is what package syscall hands over for a child: the type
// remoteSpawnRequest of the file that remotec adds to it.
type spawnRequest struct {
	argv0 string
	argv  []string
	env   []string
	dir   string
	files []uintptr
	sys   *sysProcAttr
}

// sysProcAttr is syscall.SysProcAttr; a test compares the two.
type sysProcAttr struct {
	Chroot                     string
	Credential                 *credential
	Ptrace                     bool
	Setsid                     bool
	Setpgid                    bool
	Setctty                    bool
	Noctty                     bool
	Ctty                       int
	Foreground                 bool
	Pgid                       int
	Pdeathsig                  int
	Cloneflags                 uintptr
	Unshareflags               uintptr
	UidMappings                []sysProcIDMap
	GidMappings                []sysProcIDMap
	GidMappingsEnableSetgroups bool
	AmbientCaps                []uintptr
	UseCgroupFD                bool
	CgroupFD                   int
	PidFD                      *int
}

type credential struct {
	Uid         uint32
	Gid         uint32
	Groups      []uint32
	NoSetGroups bool
}

type sysProcIDMap struct{ ContainerID, HostID, Size int }

// onSpawn starts a child of the session process. It runs on the stack of
// the calling goroutine, so it may allocate.
func onSpawn(p unsafe.Pointer) (pid, pidfd int, errno uintptr) {
	req := (*spawnRequest)(p)
	files := make([]byte, 4*len(req.files))
	for i, fd := range req.files {
		if fd == 0 {
			wantStdin()
		}
		if fd == ^uintptr(0) {
			fd = 0xffffffff
		}
		*(*uint32)(unsafe.Pointer(&files[4*i])) = uint32(fd)
	}
	call := wire.Call{Nr: wire.NrSpawn}
	call.Blobs = wire.Blobs{[]byte(req.argv0), zeroTerminated(req.argv), zeroTerminated(req.env),
		[]byte(req.dir), files, wire.PutSpawnAttr(spawnAttr(req.sys))}
	var r wire.Reply
	blocking(func() {
		l := currentLink()
		l.do(&call, &r)
		if r.Errno == 0 && int64(r.R2) >= 0 {
			setHanded(r.R2, l.takeFD(0))
		}
	})
	if r.Errno != 0 {
		return 0, -1, uintptr(r.Errno)
	}
	return int(r.R1), int(int64(r.R2)), 0
}

func zeroTerminated(list []string) []byte {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	b := make([]byte, 0, n)
	for _, s := range list {
		b = append(append(b, s...), 0)
	}
	return b
}

func spawnAttr(s *sysProcAttr) *wire.SpawnAttr {
	a := &wire.SpawnAttr{
		Chroot: s.Chroot, Ptrace: s.Ptrace, Setsid: s.Setsid, Setpgid: s.Setpgid, Setctty: s.Setctty,
		Noctty: s.Noctty, Foreground: s.Foreground, GidMappingsEnableSetgroups: s.GidMappingsEnableSetgroups,
		UseCgroupFD: s.UseCgroupFD, WantPidFD: s.PidFD != nil,
		Ctty: int32(s.Ctty), Pgid: int32(s.Pgid), Pdeathsig: int32(s.Pdeathsig), CgroupFD: int32(s.CgroupFD),
		Cloneflags: uint64(s.Cloneflags), Unshareflags: uint64(s.Unshareflags),
		UidMappings: idMaps(s.UidMappings), GidMappings: idMaps(s.GidMappings),
	}
	if c := s.Credential; c != nil {
		a.HasCredential, a.UID, a.GID, a.NoSetGroups = true, c.Uid, c.Gid, c.NoSetGroups
		a.Groups = append([]uint32(nil), c.Groups...)
	}
	for _, c := range s.AmbientCaps {
		a.AmbientCaps = append(a.AmbientCaps, uint64(c))
	}
	return a
}

func idMaps(list []sysProcIDMap) []wire.IDMap {
	var out []wire.IDMap
	for _, m := range list {
		out = append(out, wire.IDMap{ContainerID: int64(m.ContainerID), HostID: int64(m.HostID), Size: int64(m.Size)})
	}
	return out
}
