package wire

// IDMap maps a range of user or group ids into a namespace.
type IDMap struct {
	ContainerID, HostID, Size int64
}

// SpawnAttr says how NrSpawn is to start a child: the fields of
// syscall.SysProcAttr on Linux. Ptrace is answered with ENOSYS: the tracer
// would be the session's thread, and ptrace itself is not carried.
type SpawnAttr struct {
	Chroot                     string // "" none
	HasCredential              bool
	NoSetGroups                bool
	Ptrace                     bool
	Setsid                     bool
	Setpgid                    bool
	Setctty                    bool
	Noctty                     bool
	Foreground                 bool
	GidMappingsEnableSetgroups bool
	UseCgroupFD                bool
	WantPidFD                  bool // R2 of the reply is to be a pidfd
	UID, GID                   uint32
	Groups                     []uint32
	Ctty                       int32
	Pgid                       int32
	Pdeathsig                  int32
	CgroupFD                   int32
	Cloneflags                 uint64
	Unshareflags               uint64
	UidMappings                []IDMap
	GidMappings                []IDMap
	AmbientCaps                []uint64
}

// Layout of a SpawnAttr, little endian: uint32 flags (the bools in order, bit
// 0 first), uid, gid, ctty, pgid, pdeathsig, cgroup descriptor; counts of
// groups, user maps, group maps, capabilities; length of chroot; uint64
// cloneflags, unshareflags; then the groups (4 bytes each), the maps (24), the
// capabilities (8) and chroot.
const spawnHeader = 12*4 + 2*8

func (a *SpawnAttr) flags() [11]*bool {
	return [...]*bool{&a.HasCredential, &a.NoSetGroups, &a.Ptrace, &a.Setsid, &a.Setpgid, &a.Setctty,
		&a.Noctty, &a.Foreground, &a.GidMappingsEnableSetgroups, &a.UseCgroupFD, &a.WantPidFD}
}

// PutSpawnAttr returns a in the layout of blob 5 of NrSpawn. It allocates.
func PutSpawnAttr(a *SpawnAttr) []byte {
	size := spawnHeader + 4*len(a.Groups) + 24*(len(a.UidMappings)+len(a.GidMappings)) +
		8*len(a.AmbientCaps) + len(a.Chroot)
	b := make([]byte, size)
	var flags uint32
	for i, f := range a.flags() {
		if *f {
			flags |= 1 << i
		}
	}
	for i, v := range [...]uint32{flags, a.UID, a.GID, uint32(a.Ctty), uint32(a.Pgid), uint32(a.Pdeathsig),
		uint32(a.CgroupFD), uint32(len(a.Groups)), uint32(len(a.UidMappings)), uint32(len(a.GidMappings)),
		uint32(len(a.AmbientCaps)), uint32(len(a.Chroot))} {
		put32(b[4*i:], v)
	}
	put64(b[48:], a.Cloneflags)
	put64(b[56:], a.Unshareflags)
	at := spawnHeader
	for _, g := range a.Groups {
		put32(b[at:], g)
		at += 4
	}
	for _, maps := range [...][]IDMap{a.UidMappings, a.GidMappings} {
		for _, m := range maps {
			put64(b[at:], uint64(m.ContainerID))
			put64(b[at+8:], uint64(m.HostID))
			put64(b[at+16:], uint64(m.Size))
			at += 24
		}
	}
	for _, c := range a.AmbientCaps {
		put64(b[at:], c)
		at += 8
	}
	copy(b[at:], a.Chroot)
	return b
}

// GetSpawnAttr reads what PutSpawnAttr wrote. It allocates.
func GetSpawnAttr(b []byte) (*SpawnAttr, error) {
	if len(b) < spawnHeader {
		return nil, Error("short SpawnAttr")
	}
	u32 := func(i int) uint32 { return get32(b[4*i:]) }
	a := &SpawnAttr{UID: u32(1), GID: u32(2), Ctty: int32(u32(3)), Pgid: int32(u32(4)),
		Pdeathsig: int32(u32(5)), CgroupFD: int32(u32(6)), Cloneflags: get64(b[48:]), Unshareflags: get64(b[56:])}
	for i, f := range a.flags() {
		*f = u32(0)>>i&1 != 0
	}
	groups, uids, gids, caps, chroot := uint64(u32(7)), uint64(u32(8)), uint64(u32(9)), uint64(u32(10)), uint64(u32(11))
	if spawnHeader+4*groups+24*(uids+gids)+8*caps+chroot != uint64(len(b)) {
		return nil, Error("SpawnAttr does not have the length its counts add up to")
	}
	b = b[spawnHeader:]
	for range groups {
		a.Groups = append(a.Groups, get32(b))
		b = b[4:]
	}
	maps := func(n uint64) (list []IDMap) {
		for range n {
			list = append(list, IDMap{int64(get64(b)), int64(get64(b[8:])), int64(get64(b[16:]))})
			b = b[24:]
		}
		return list
	}
	a.UidMappings, a.GidMappings = maps(uids), maps(gids)
	for range caps {
		a.AmbientCaps = append(a.AmbientCaps, get64(b))
		b = b[8:]
	}
	a.Chroot = string(b)
	return a, nil
}
