package wire

// ioctlArg describes the third argument of an ioctl: ioctl_list(2),
// ioctl_tty(2), netdevice(7), <linux/fs.h>. ok is false for a request that is
// not listed here.
//
// The direction and size that the _IOC macros put into a request cannot be
// relied on: the kernel stores more than they say for a struct with a flexible
// array (FS_IOC_FIEMAP), less for requests whose size was declared wrongly
// (FS_IOC_GETFLAGS), and takes a number where they say pointer
// (TUNSETPERSIST); and many structs hold addresses, which must never reach the
// kernel from a client. So they are believed for a few device classes only.
func ioctlArg(req uint64) (a Arg, r Result, ok bool) {
	switch req >> 8 & 0xff {
	case 'T':
		a, r, ok = ttyArg(req)
	case 0x89:
		a, r, ok = sockArg(req)
	default:
		a, r, ok = fileArg(req)
	}
	if ok || r != Number {
		return a, r, ok
	}
	switch req >> 8 & 0xff {
	case 'W', 'p', 0xb4: // watchdogs, clocks, GPIO
		return sizedArg(req)
	case 'E': // input devices; not force feedback nor the masks, which hold addresses
		if nr := req & 0xff; nr != 0x80 && nr != 0x92 && nr != 0x93 {
			return sizedArg(req)
		}
	}
	return Int, Number, false
}

// sizedArg believes the direction and size in a request.
func sizedArg(req uint64) (Arg, Result, bool) {
	size := Arg(req >> 16 & 0x3fff)
	switch dir := req >> 30 & 3; {
	case size == 0:
		return Int, Number, dir == 0
	case dir == 1:
		return StructIn | size<<sizeShift, Number, true
	case dir == 2:
		return StructOut | size<<sizeShift, Number, true
	case dir == 3:
		return StructIO | size<<sizeShift, Number, true
	}
	return Int, Number, false
}

// ttyArg: terminals, pseudo-terminals, and the tunnels that share their letter.
func ttyArg(req uint64) (Arg, Result, bool) {
	switch req {
	case 0x5401: // TCGETS; the kernel's struct termios is shorter than C's
		return StructOut | 36<<sizeShift, Number, true
	case 0x5402, 0x5403, 0x5404: // TCSETS, TCSETSW, TCSETSF
		return StructIn | 36<<sizeShift, Number, true
	case 0x5405: // TCGETA
		return StructOut | 18<<sizeShift, Number, true
	case 0x5406, 0x5407, 0x5408: // TCSETA, TCSETAW, TCSETAF
		return StructIn | 18<<sizeShift, Number, true
	case 0x5413: // TIOCGWINSZ
		return StructOut | 8<<sizeShift, Number, true
	case 0x5414: // TIOCSWINSZ
		return StructIn | 8<<sizeShift, Number, true
	case 0x540f, 0x541b, 0x5411, 0x5429, 0x5424, 0x5415: // TIOCGPGRP, FIONREAD, TIOCOUTQ, TIOCGSID, TIOCGETD, TIOCMGET
		return StructOut | 4<<sizeShift, Number, true
	case 0x5410, 0x5421, 0x5423, 0x5452, 0x5418, 0x5416, 0x5417, 0x5420: // TIOCSPGRP, FIONBIO, TIOCSETD, FIOASYNC, TIOCMSET, TIOCMBIS, TIOCMBIC, TIOCPKT
		return StructIn | 4<<sizeShift, Number, true
	case 0x5412: // TIOCSTI
		return StructIn | 1<<sizeShift, Number, true
	case 0x5409, 0x540a, 0x540b, 0x540c, 0x540d, 0x540e, 0x5422, 0x5425, 0x5427, 0x5428, 0x5437, 0x5450, 0x5451: // TCSBRK, TCXONC, TCFLSH, TIOCEXCL, TIOCNXCL, TIOCSCTTY, TIOCNOTTY, TCSBRKP, TIOCSBRK, TIOCCBRK, TIOCVHANGUP, FIONCLEX, FIOCLEX
		return Int, Number, true
	case 0x5441: // TIOCGPTPEER
		return Int, NewFD, true
	case 0x400454c9, 0x400454cb, 0x400454cc, 0x400454cd, 0x400454ce, 0x400454d0: // TUNSETDEBUG, PERSIST, OWNER, LINK, GROUP, OFFLOAD: plain numbers
		return Int, Number, true
	case 0x400454ca, 0x800454d2, 0x400454d9: // TUNSETIFF, TUNGETIFF, TUNSETQUEUE: struct ifreq
		return StructIO | 40<<sizeShift, Number, true
	case 0x800454cf, 0x800454d7: // TUNGETFEATURES, TUNGETVNETHDRSZ
		return StructOut | 4<<sizeShift, Number, true
	case 0x400454d8: // TUNSETVNETHDRSZ
		return StructIn | 4<<sizeShift, Number, true
	}
	if nr := req & 0xff; nr < 0xc8 && req>>16&0x3fff != 0 { // TCGETS2, TIOCGPTN, TIOCSPTLCK ...
		return sizedArg(req)
	}
	return Int, Number, false
}

// sockArg: network interfaces by struct ifreq, where no part of it is an
// address, and questions to a socket.
func sockArg(req uint64) (Arg, Result, bool) {
	switch {
	case req == 0x8901 || req == 0x8902: // FIOSETOWN, SIOCSPGRP
		return StructIn | 4<<sizeShift, Number, true
	case req >= 0x8903 && req <= 0x8905, req == 0x894b: // FIOGETOWN, SIOCGPGRP, SIOCATMARK, SIOCOUTQNSD
		return StructOut | 4<<sizeShift, Number, true
	case req == 0x8906 || req == 0x8907: // SIOCGSTAMP, SIOCGSTAMPNS
		return StructOut | 16<<sizeShift, Number, true
	case req == 0x89e0: // SIOCUNIXFILE
		return Int, NewFD, true
	case req == 0x8910 || req == 0x8911, req >= 0x8913 && req <= 0x8929, req >= 0x8931 && req <= 0x8937,
		req == 0x8942 || req == 0x8943, req >= 0x8947 && req <= 0x8949, req == 0x8970 || req == 0x8971:
		return StructIO | 40<<sizeShift, Number, true
	}
	return Int, Number, false
}

// fileArg: files, file systems, block devices, namespaces, random numbers.
func fileArg(req uint64) (Arg, Result, bool) {
	switch req {
	case 0x80086601, 0x80087601, // FS_IOC_GETFLAGS, FS_IOC_GETVERSION: int, whatever their size says
		0x2, 0x125e, 0x1268, 0x127b, 0x80081270, // FIGETBSZ, BLKROGET, BLKSSZGET, BLKPBSZGET, BLKBSZGET
		0x80045200, 0xb704, 0x7b9: // RNDGETENTCNT, NS_GET_OWNER_UID, IOCTL_VM_SOCKETS_GET_LOCAL_CID
		return StructOut | 4<<sizeShift, Number, true
	case 0x40086602, 0x40087602, 0x40045201: // FS_IOC_SETFLAGS, FS_IOC_SETVERSION, RNDADDTOENTCNT
		return StructIn | 4<<sizeShift, Number, true
	case 0x1260, 0x80081272: // BLKGETSIZE, BLKGETSIZE64
		return StructOut | 8<<sizeShift, Number, true
	case 0x1277: // BLKDISCARD
		return StructIn | 16<<sizeShift, Number, true
	case 0x801c581f, 0x401c5820, 0xc0045877, 0xc0045878, 0xc0185879, // FS_IOC_FSGETXATTR, FSSETXATTR, FIFREEZE, FITHAW, FITRIM
		0x4020940d, // FICLONERANGE
		0x1:        // FIBMAP
		if req == 1 {
			return StructIO | 4<<sizeShift, Number, true
		}
		return sizedArg(req)
	case 0x40049409: // FICLONE takes a descriptor, not a pointer
		return FD, Number, true
	case 0xb701, 0xb702: // NS_GET_USERNS, NS_GET_PARENT
		return Int, NewFD, true
	case 0x4c00: // LOOP_SET_FD
		return FD, Number, true
	case 0x4c04: // LOOP_SET_STATUS64
		return StructIn | 232<<sizeShift, Number, true
	case 0x4c05: // LOOP_GET_STATUS64
		return StructOut | 232<<sizeShift, Number, true
	case 0xb703, 0x125f, 0x1261, 0x4c01, 0x4c80, 0x4c81, 0x4c82: // NS_GET_NSTYPE, BLKRRPART, BLKFLSBUF, LOOP_CLR_FD, LOOP_CTL_ADD, _REMOVE, _GET_FREE
		return Int, Number, true
	}
	return Int, Number, false
}
